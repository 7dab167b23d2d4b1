#pragma once
// The artifact that a run will write, to the byte, before anything is compressed.

#include "core/codebook/artifact.hpp"
#include "core/compress/compression_plan.hpp"
#include "core/model/model.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace jlcm {

/// Compressed weights of one role, bits and grouping.
struct PlannedShare {
    std::int64_t matrices = 0;
    std::int64_t weights = 0;
    std::int64_t codebooks = 0;
    Shape shape;
};

struct ArtifactPlan {
    /// The file's size is artifact_footprint(form).bytes.total() once `provenance` is set: exactly, or at
    /// most where a solver keeps weights aside (Solver::outliers) or a norm that is learned was not float32.
    ArtifactForm form;
    std::map<ParameterId, MatrixPlan> matrices;  ///< those of blocks, with the groups of rows in place
    std::map<std::string, PlannedShare> shares;  ///< by the beginning of a line: role, bits, grouping
};

/// Makes the groups of every weight, for which each is decoded once.
[[nodiscard]] ArtifactPlan plan_artifact(const Model& model, const CompressOptions& options);

}  // namespace jlcm
