#pragma once
// What the stages of a run share.

#include "core/compress/options.hpp"
#include "core/compress/shared_stages.hpp"
#include "core/store/run_directory.hpp"

namespace jlcm {

struct RunContext {
    const RunSpec& spec;
    const WeightSource& model;  ///< what is compressed: the source's weights, re-ordered or not
    Backend& backend;
    DType compute = DType::f32;
    RunFiles files;
    Metrics& metrics;
    Stages& stages;
    StageCache& cache;
    nlohmann::json source;  ///< source_key of `model`

    /// A stage's result from the cache or from `computed`, told to the stage that is timed.
    [[nodiscard]] SavedState shared(const nlohmann::json& key,
                                    const std::function<SavedState()>& computed) const {
        return shared_stage(cache, stages, key, computed);
    }
};

}  // namespace jlcm
