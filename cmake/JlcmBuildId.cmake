# Run as a script: writes OUTPUT, a header with the build id that a shared plugin and core must have in common
# (core/plugin/library.hpp): version, hash of core's headers, compiler, sanitizers.
# Arguments: OUTPUT, SOURCE_DIR, VERSION, COMPILER, SANITIZE.
file(GLOB_RECURSE headers RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/core/*.hpp)
list(SORT headers)
set(all "")
foreach(header ${headers})
  file(SHA256 ${SOURCE_DIR}/${header} hash)
  string(APPEND all "${header} ${hash}\n")
endforeach()
string(SHA256 interfaces "${all}")
string(SUBSTRING ${interfaces} 0 12 interfaces)
set(id "${VERSION}, interfaces ${interfaces}, ${COMPILER}")
if(SANITIZE)
  string(APPEND id ", sanitizers ${SANITIZE}")
endif()
file(WRITE ${OUTPUT}.new "#pragma once\n\n#define JLCM_BUILD_ID \"${id}\"\n")
file(COPY_FILE ${OUTPUT}.new ${OUTPUT} ONLY_IF_DIFFERENT)
file(REMOVE ${OUTPUT}.new)
