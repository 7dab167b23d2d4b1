# The messages of the ONNX format as C structures, from the definitions that the package brings. In C, since the C++
# library of protocol buffers and SentencePiece's own copy of it take each other's symbols inside one process.
# Fields through which messages contain themselves (subgraphs, types of sequences) are left out, so that no file can
# make the reader recurse without end; nothing that has them is supported.
enable_language(C)
file(READ ${JLCM_ONNX_PROTO} definitions)
string(REGEX REPLACE "\n *(optional|repeated) (GraphProto g|GraphProto graphs|TypeProto elem_type|TypeProto value_type) = [0-9]+;"
  "\n" definitions "${definitions}")
set(JLCM_ONNX_GENERATED ${CMAKE_BINARY_DIR}/generated/onnx)
file(CONFIGURE OUTPUT ${JLCM_ONNX_GENERATED}/onnx.proto CONTENT "${definitions}" @ONLY)
add_custom_command(OUTPUT ${JLCM_ONNX_GENERATED}/onnx.pb-c.c ${JLCM_ONNX_GENERATED}/onnx.pb-c.h
  COMMAND ${JLCM_PROTOC_C} --proto_path=${JLCM_ONNX_GENERATED} --c_out=${JLCM_ONNX_GENERATED}
          ${JLCM_ONNX_GENERATED}/onnx.proto
  DEPENDS ${JLCM_ONNX_GENERATED}/onnx.proto VERBATIM)
add_library(jlcm_onnx_messages STATIC ${JLCM_ONNX_GENERATED}/onnx.pb-c.c)
target_include_directories(jlcm_onnx_messages SYSTEM PUBLIC ${JLCM_ONNX_GENERATED})
target_link_libraries(jlcm_onnx_messages PUBLIC PkgConfig::PROTOBUF_C)
