#pragma once
// The model of an artifact that runs from the mapped file: no matrix is decoded as a whole, no code is copied.

#include "core/codebook/artifact.hpp"
#include "core/model/model.hpp"

#include <map>
#include <memory>

namespace jlcm {

/// A mapped artifact as a source of weights.
class PackedModel final : public WeightSource {
  public:
    /// An input error names a matrix that is no parameter of the graph or has another shape.
    explicit PackedModel(const MappedArtifact& artifact);

    [[nodiscard]] const Graph& graph() const override { return base_.graph(); }
    [[nodiscard]] Tensor weight(ParameterId id) const override;
    [[nodiscard]] std::shared_ptr<const PackedWeight> packed(ParameterId id) const override;
    [[nodiscard]] const ModelInput& input() const { return base_.input(); }
    /// The artifact's uncompressed part.
    [[nodiscard]] const Model& base() const { return base_; }

  private:
    Model base_;
    std::map<ParameterId, std::shared_ptr<const PackedWeight>> matrices_;
};

}  // namespace jlcm
