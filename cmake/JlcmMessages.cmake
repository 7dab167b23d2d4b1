# jlcm_add_messages(TARGET FILE.proto): the messages of a file of definitions as a library of C structures (protobuf-c),
# with the header FILE.pb-c.h.
enable_language(C)
function(jlcm_add_messages target definitions)
  get_filename_component(folder ${definitions} DIRECTORY)
  get_filename_component(name ${definitions} NAME_WE)
  set(generated ${CMAKE_BINARY_DIR}/generated/${name})
  file(MAKE_DIRECTORY ${generated})
  add_custom_command(OUTPUT ${generated}/${name}.pb-c.c ${generated}/${name}.pb-c.h
    COMMAND ${JLCM_PROTOC_C} --proto_path=${folder} --c_out=${generated} ${definitions}
    DEPENDS ${definitions} VERBATIM)
  add_library(${target} STATIC ${generated}/${name}.pb-c.c)
  target_include_directories(${target} SYSTEM PUBLIC ${generated})
  target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUF_C)
endfunction()
