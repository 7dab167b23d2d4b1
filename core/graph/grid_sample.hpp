#pragma once
// Images read at places that are data: spatial transformers, optical flow.

#include "core/base/json.hpp"
#include "core/graph/operator.hpp"

namespace jlcm {

/// What lies outside of the image.
enum class Outside : std::uint8_t { zeros, border, reflection };
NLOHMANN_JSON_SERIALIZE_ENUM(Outside, {{Outside::zeros, "zeros"},
                                       {Outside::border, "border"},
                                       {Outside::reflection, "reflection"}})

struct GridSampleAttributes {
    bool nearest = false;  ///< the nearest pixel in place of the four around, weighted
    Outside outside = Outside::zeros;
    bool align_corners = false;  ///< -1 and 1 are the centres of the outermost pixels, not their edges
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GridSampleAttributes, nearest, outside, align_corners)

/// Inputs: images [images, height, width, channels], and places [images, rows, columns, 2] in them: x, y from -1 to 1.
/// The output is [images, rows, columns, channels]. A place that is not a number gives NaN. ONNX GridSample; Jaderberg
/// et al., "Spatial transformer networks", 2015.
[[nodiscard]] OperatorPtr make_grid_sample(GridSampleAttributes attributes);

}  // namespace jlcm
