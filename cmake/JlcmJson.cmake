# nlohmann/json.hpp defines literals whose bodies call the parser, so that every file that includes it, or a precompiled
# header with it, instantiates the parser: 0.45 s of processor time each, 200 s of a build. Sources are compiled with a copy
# of that header without the literals.
get_target_property(directories nlohmann_json::nlohmann_json INTERFACE_INCLUDE_DIRECTORIES)
find_file(JLCM_JSON_HEADER nlohmann/json.hpp HINTS ${directories} REQUIRED NO_CMAKE_FIND_ROOT_PATH)
file(READ ${JLCM_JSON_HEADER} header)
string(FIND "${header}" "inline namespace literals" first)
string(FIND "${header}" "}  // namespace literals" last)
string(FIND "${header}" "#if JSON_USE_GLOBAL_UDLS" uses)
if(first GREATER 0 AND last GREATER first AND uses GREATER last)
  set(JLCM_JSON_COPY ${CMAKE_BINARY_DIR}/generated/json)
  string(SUBSTRING "${header}" 0 ${first} before)
  string(SUBSTRING "${header}" ${last} -1 after)
  string(REPLACE "}  // namespace literals" "" after "${after}")
  string(REPLACE "#if JSON_USE_GLOBAL_UDLS" "#if 0" after "${after}")
  file(CONFIGURE OUTPUT ${JLCM_JSON_COPY}/nlohmann/json.hpp CONTENT "@before@@after@" @ONLY)
  target_include_directories(jlcm_settings SYSTEM INTERFACE $<BUILD_INTERFACE:${JLCM_JSON_COPY}>)
endif()
