#pragma once
// A model some of whose linear weights are codebooks and mappings, and some of whose other parameters were
// learned: under way in a run, or as an artifact holds it.

#include "core/codebook/compressed_matrix.hpp"
#include "core/model/model.hpp"

#include <map>
#include <memory>

namespace jlcm {

struct Artifact;

/// The parameters that compressed matrices are, each with its name: tied ones are several. An input error
/// names a matrix that is no parameter of the graph or has another shape.
[[nodiscard]] std::map<ParameterId, std::string> compressed_parameters(
    const Graph& graph, const std::map<std::string, Shape>& matrices);

/// Views a model with parameters replaced.
class CompressedModel final : public WeightSource {
  public:
    /// Over `base`, which must outlive it.
    explicit CompressedModel(const WeightSource& base) : base_(&base, [](const WeightSource*) {}) {}
    /// The model of an artifact, over its tensors that are not compressed. An input error names a matrix that
    /// is no parameter of the graph or has another shape.
    explicit CompressedModel(const Artifact& artifact)
        : CompressedModel(artifact, uncompressed_part(artifact)) {}
    /// The same with `base`, the artifact's uncompressed part.
    CompressedModel(const Artifact& artifact, std::shared_ptr<const Model> base);
    /// The model of an artifact's checkpoint, which serves the tensors that are not compressed.
    [[nodiscard]] static std::shared_ptr<const Model> uncompressed_part(const Artifact& artifact);

    [[nodiscard]] const Graph& graph() const override { return base_->graph(); }
    [[nodiscard]] Tensor weight(ParameterId id) const override;
    [[nodiscard]] std::shared_ptr<const PackedWeight> packed(ParameterId id) const override;

    [[nodiscard]] const WeightSource& base() const { return *base_; }
    [[nodiscard]] std::map<ParameterId, CompressedMatrix>& matrices() { return matrices_; }
    [[nodiscard]] const std::map<ParameterId, CompressedMatrix>& matrices() const { return matrices_; }
    /// Parameters kept as float32 that differ from the base's: learned norms.
    [[nodiscard]] std::map<ParameterId, Tensor>& dense() { return dense_; }
    [[nodiscard]] const std::map<ParameterId, Tensor>& dense() const { return dense_; }
    /// Gives `other`, a model over the same base, copies of everything that differs from the base.
    void copy_to(CompressedModel& other) const;

  private:
    std::shared_ptr<const WeightSource> base_;
    std::map<ParameterId, CompressedMatrix> matrices_;
    std::map<ParameterId, Tensor> dense_;
};

}  // namespace jlcm
