#pragma once
// A compressed ONNX model as an ONNX file again: the file that it was made of, with other weights in place.

#include "core/codebook/artifact.hpp"
#include "core/formats/onnx.hpp"

#include <filesystem>

namespace jlcm {

enum class OnnxForm : std::uint8_t {
    float32,  ///< weights decoded, of the types that the file has
    float16,  ///< compressed matrices decoded to float16, and made what the file has by a Cast
    compact,  ///< codes and codebooks, decoded by operators in the graph
};

/// What was written.
struct OnnxExport {
    std::uint64_t source_bytes = 0;  ///< of the original, external data included
    std::uint64_t bytes = 0;
    std::int64_t matrices = 0;  ///< compressed ones
    std::int64_t others = 0;    ///< further constants that were changed: those that follow a new order
};

/// Writes `artifact` to `path`. `source`: the file that it was made of, read as `options` say (its sizes, output and
/// folding are those of the run). Nodes, names, metadata and whatever else the file holds stay byte for byte.
/// Input errors: another file than the artifact's, by its hash or its weights; a weight that is no constant of the
/// file's graph by itself.
OnnxExport write_onnx_model(const std::filesystem::path& path, const Artifact& artifact,
                            const std::filesystem::path& source, const OnnxOptions& options, OnnxForm form);

}  // namespace jlcm
