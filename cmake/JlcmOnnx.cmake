# The messages of the ONNX format as C structures, from the definitions that the package brings. In C, since the C++
# library of protocol buffers and SentencePiece's own copy of it take each other's symbols inside one process.
# Fields through which messages contain themselves (subgraphs, types of sequences) are left out, so that no file can
# make the reader recurse without end. The one subgraph of an attribute stays as bytes, which are unpacked to a limited
# depth; nothing else that has them is supported.
include(JlcmMessages)
file(READ ${JLCM_ONNX_PROTO} definitions)
string(REPLACE "optional GraphProto g =" "optional bytes g =" definitions "${definitions}")
string(REGEX REPLACE "\n *(optional|repeated) (GraphProto graphs|TypeProto elem_type|TypeProto value_type) = [0-9]+;"
  "\n" definitions "${definitions}")
set(JLCM_ONNX_GENERATED ${CMAKE_BINARY_DIR}/generated/onnx)
file(CONFIGURE OUTPUT ${JLCM_ONNX_GENERATED}/onnx.proto CONTENT "${definitions}" @ONLY)
jlcm_add_messages(jlcm_onnx_messages ${JLCM_ONNX_GENERATED}/onnx.proto)
