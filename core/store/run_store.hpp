#pragma once
// What the stages of a run write to and take from.

#include "core/store/cached_features.hpp"
#include "core/store/run_directory.hpp"

#include <functional>

namespace jlcm {

struct RunStore {
    RunFiles files;
    Metrics& metrics;
    Stages& stages;
    StageCache& cache;
    double checkpoint_minutes = 2;  ///< how often learning saves its state

    /// A stage's result from the cache or from `compute`. Time and bytes count for the stage that is timed.
    [[nodiscard]] SavedState shared(const nlohmann::json& key,
                                    const std::function<SavedState()>& compute) const {
        return shared_stage(cache, stages, key, compute);
    }
};

}  // namespace jlcm
