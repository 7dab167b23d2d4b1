#pragma once
// The pass over the blocks: calibrate, group, initialise, solve, learn, one block after another.

#include "core/codebook/compressed_model.hpp"
#include "core/compress/compression.hpp"
#include "core/compress/samples.hpp"

namespace jlcm {

/// Blocks [first, end), counted from 0.
struct BlockRange {
    std::size_t first = 0;
    std::size_t end = 0;
};

/// Some of a model's blocks as a user names them: "3", "3-5", or "2/8", the second of eight parts of about
/// the same size. An input error if it is written otherwise, or the model does not have them.
[[nodiscard]] BlockRange parse_blocks(const std::string& text, std::size_t blocks);

/// The option that makes a block depend on earlier compressed blocks; empty if each block
/// looks at the original model alone.
[[nodiscard]] std::string needs_former_blocks(const CompressOptions& compress);

/// Compresses `blocks` of the run's model into `model`. A block that was finished before is taken from its
/// checkpoint. `solver_only` (may be null) receives each matrix as the solver left it.
void compress_blocks(const Compression& run, const CalibrationSamples& samples, CompressedModel& model,
                     CompressedModel* solver_only, BlockRange blocks);

}  // namespace jlcm
