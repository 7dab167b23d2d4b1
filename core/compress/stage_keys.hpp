#pragma once
// What the results that runs share through the stage cache depend on.

#include "core/compress/compression.hpp"
#include "core/model/reordered_model.hpp"

#include <cstddef>
#include <string>

namespace jlcm {

/// The part of a key that says what computes: the model's content, how it was read (`loader`, as YAML), the
/// order of its neurons (`reordered`; null: as given), the device and the type of its products. Specs that
/// come to the same order share it.
[[nodiscard]] nlohmann::json source_key(const std::string& loader, const Model& model, const Backend& backend,
                                        DType compute, const ReorderedModel* reordered);

/// The results that the pass over the blocks keeps in the cache for other runs: those that leave room for
/// theirs.
struct SharedResults {
    bool moments = false;
    bool solved = false;
};
[[nodiscard]] SharedResults shared_results(const Compression& run);

/// The keys of a run's stages.
class StageKeys {
  public:
    /// `samples` (undefined: nothing reads them), the first `observed` of which the layer-wise stages see.
    /// The run outlives it.
    StageKeys(const Compression& run, const Tensor& samples, std::int64_t observed);

    [[nodiscard]] nlohmann::json gradients() const { return {{"gradients", calibration()}}; }
    /// The key of the second moments of a block's layers, of the original's inputs.
    [[nodiscard]] nlohmann::json second_moments(std::size_t block) const;
    /// The key of a block as the solver leaves it.
    [[nodiscard]] nlohmann::json solved(std::size_t block) const;

  private:
    [[nodiscard]] nlohmann::json calibration() const;
    [[nodiscard]] nlohmann::json nodes_of(std::size_t block) const;

    const Compression& run_;
    std::string observed_;  ///< hash of the samples that the layer-wise stages see
    nlohmann::json all_;    ///< what is known of all samples if the compressed model's inputs depend on them
};

}  // namespace jlcm
