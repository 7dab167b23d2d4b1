#pragma once
// What runs can share through the stage cache, and what it depends on.

#include "core/base/json.hpp"
#include "core/codebook/compressed_matrix.hpp"
#include "core/compress/options.hpp"
#include "core/model/feature_store.hpp"
#include "core/model/model.hpp"
#include "core/model/reordered_model.hpp"
#include "core/store/stage_cache.hpp"
#include "core/store/stages.hpp"

#include <functional>

namespace jlcm {

/// The part of a key that says what computes: the model's content, how it was read and in which order its
/// neurons are (null: as given), and the type of its products. Specs that come to the same order share it.
[[nodiscard]] nlohmann::json source_key(const RunSpec& spec, const Model& model, DType compute,
                                        const ReorderedModel* reordered);

/// The SHA-256 of a tensor's type, shape and bytes.
[[nodiscard]] std::string content_hash(const Tensor& tensor);

/// A stage's result from the cache or from `compute`, told to the stage that is timed.
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
