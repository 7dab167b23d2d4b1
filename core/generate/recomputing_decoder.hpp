#pragma once
// A decoder without a cache: what the others are compared with.

#include "core/generate/decoder.hpp"
#include "core/model/scoring.hpp"

#include <vector>

namespace jlcm {

/// Keeps the tokens, and runs the model on all of them at each read.
class RecomputingDecoder final : public Decoder {
  public:
    /// `model` (its head predicts tokens) must outlive the decoder.
    RecomputingDecoder(const BoundModel& model, std::int64_t context) : model_(&model), context_(context) {}

    [[nodiscard]] Tensor read(std::span<const std::int32_t> tokens) override;
    void keep(std::int64_t count) override;
    [[nodiscard]] std::int64_t position() const override { return std::ssize(ids_); }
    [[nodiscard]] std::int64_t context() const override { return context_; }

  private:
    const BoundModel* model_;
    std::int64_t context_;
    std::vector<std::int32_t> ids_;
};

}  // namespace jlcm
