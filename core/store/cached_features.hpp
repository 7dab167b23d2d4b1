#pragma once
// A model's features of samples, from the stage cache.

#include "core/model/feature_store.hpp"
#include "core/store/stage_cache.hpp"
#include "core/store/stages.hpp"

#include <functional>
#include <string>
#include <utility>

namespace jlcm {

/// The SHA-256 of a tensor's type, shape and bytes.
[[nodiscard]] std::string content_hash(const Tensor& tensor);

/// A stage's result from the cache or from `compute`. What it took counts for the stage that is timed.
[[nodiscard]] SavedState shared_stage(StageCache& cache, Stages& stages, const nlohmann::json& key,
                                      const std::function<SavedState()>& compute);

/// The features of a model's samples, each set of samples an entry.
class CachedFeatures final : public FeatureStore {
  public:
    /// `source`: source_key of the model. References outlive it.
    CachedFeatures(StageCache& cache, Stages& stages, nlohmann::json source)
        : cache_(cache), stages_(stages), source_(std::move(source)) {}
    [[nodiscard]] Tensor features(const Tensor& samples, const std::function<Tensor()>& compute) override;

  private:
    StageCache& cache_;
    Stages& stages_;
    nlohmann::json source_;
};

}  // namespace jlcm
