#pragma once
// A compressed matrix as nodes of an ONNX file: its codes, packed, its codebooks, and the standard operators that make
// weights of them.

#include "core/codebook/compressed_matrix.hpp"
#include "core/formats/onnx_edit.hpp"
#include "core/formats/onnx_lowering.hpp"

#include <string>
#include <vector>

namespace jlcm {

/// Nodes (messages) that make the constant `origin.value` of the file, of element type `type`. They use operators of
/// `opset`: shifts of bits from 11 on, quotients before. An input error where the matrix has outliers and the opset
/// has no scatter (below 9).
[[nodiscard]] std::vector<std::string> onnx_decoder(const CompressedMatrix& matrix, const OnnxOrigin& origin,
                                                    const std::string& output, OnnxType type,
                                                    std::int64_t opset);

}  // namespace jlcm
