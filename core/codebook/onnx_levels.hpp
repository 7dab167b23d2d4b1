#pragma once
// Products of quantised levels in an ONNX file (MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv) as products of
// numbers, so that a weight may be any number.

#include "core/formats/onnx_edit.hpp"

#include <string>

namespace jlcm {

/// The node that makes `output` multiplies with the numbers `weight` in place of the levels `levels`; its other input
/// stays what it is. An input error where another node than a Cast reads whole numbers that it made.
void multiply_numbers(OnnxEdit& edit, const std::string& output, const std::string& levels,
                      const std::string& weight);

}  // namespace jlcm
