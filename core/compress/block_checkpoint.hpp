#pragma once
// A finished block on disk.

#include "core/codebook/compressed_model.hpp"
#include "core/compress/compression.hpp"

namespace jlcm {

/// Saves what block `index` of `model` (and of `solver_only`, may be null) was compressed to, with the run's
/// metrics from `metrics_begin` on and what its stages took since `stages_before`.
void save_block(const Compression& run, std::size_t index, const CompressedModel& model,
                const CompressedModel* solver_only, std::size_t metrics_begin, const Stages& stages_before);

/// Takes the block, its metrics and its stages from its checkpoint, to the same bits; false if there is
/// none that can be used.
[[nodiscard]] bool load_block(const Compression& run, std::size_t index, CompressedModel& model,
                              CompressedModel* solver_only);

/// Lets memory go that a saved block takes: unless the distillation will change them, its mappings are read
/// from its checkpoint from now on, and so are the source's weights.
void leave_block_on_disk(const Compression& run, std::size_t index, CompressedModel& model,
                         CompressedModel* solver_only);

}  // namespace jlcm
