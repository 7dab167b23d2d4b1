#pragma once
// What ONNX's definitions of operators say up to the newest operator set that is known here.

#include "core/formats/onnx_model.hpp"

namespace jlcm {

/// The newest operator set that was known when this was written.
inline constexpr std::int64_t newest_opset = 28;

/// An input error where the file's operator set is newer than that, and the node has an attribute, an input or
/// an output that the newest known definition of its type has not: what it computes may have changed.
void require_known_definition(const OnnxNode& node, std::int64_t opset);

}  // namespace jlcm
