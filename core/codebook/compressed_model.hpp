#pragma once
// A model some of whose linear weights are codebooks and mappings, and some of whose other parameters were
// learned.

#include "core/codebook/compressed_matrix.hpp"
#include "core/model/model.hpp"

#include <map>

namespace jlcm {

/// Views `base` (which must outlive it) with parameters replaced.
class CompressedModel final : public WeightSource {
  public:
    explicit CompressedModel(const WeightSource& base) : base_(&base) {}

    [[nodiscard]] const Graph& graph() const override { return base_->graph(); }
    [[nodiscard]] Tensor weight(ParameterId id) const override {
        if (const auto found = matrices_.find(id); found != matrices_.end()) return decode(found->second);
        if (const auto found = dense_.find(id); found != dense_.end()) return found->second.clone();
        return base_->weight(id);
    }

    [[nodiscard]] const WeightSource& base() const { return *base_; }
    [[nodiscard]] std::map<ParameterId, CompressedMatrix>& matrices() { return matrices_; }
    [[nodiscard]] const std::map<ParameterId, CompressedMatrix>& matrices() const { return matrices_; }
    /// Parameters kept as float32 that differ from the base's: learned norms.
    [[nodiscard]] std::map<ParameterId, Tensor>& dense() { return dense_; }
    [[nodiscard]] const std::map<ParameterId, Tensor>& dense() const { return dense_; }
    /// Gives `other`, a model over the same base, copies of everything that differs from the base.
    void copy_to(CompressedModel& other) const {
        for (const auto& [id, matrix] : matrices_) other.matrices_[id] = matrix.clone();
        for (const auto& [id, tensor] : dense_) other.dense_[id] = tensor.clone();
    }

  private:
    const WeightSource* base_;
    std::map<ParameterId, CompressedMatrix> matrices_;
    std::map<ParameterId, Tensor> dense_;
};

}  // namespace jlcm
