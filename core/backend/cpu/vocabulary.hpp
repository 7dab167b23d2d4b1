#pragma once
// Next-token predictions over a large vocabulary without ever holding all logits: Backend::score_tokens,
// kl_backward and cross_entropy_backward.

#include "core/backend/backend.hpp"

namespace jlcm::cpu {

[[nodiscard]] TokenScores score_tokens(const Tensor& features, const BoundWeight& head,
                                       std::span<const std::int32_t> targets, const Tensor* reference,
                                       const BoundWeight* reference_head, double soft_cap);

[[nodiscard]] double kl_backward(Backend& backend, const Tensor& features, const Tensor& head,
                                 const Tensor& reference, const Tensor& reference_head, double soft_cap,
                                 double factor, Tensor& feature_gradient, Tensor* head_gradient);

[[nodiscard]] double cross_entropy_backward(Backend& backend, const Tensor& features, const Tensor& head,
                                            std::span<const std::int32_t> targets, double soft_cap,
                                            double factor, Tensor& feature_gradient);

}  // namespace jlcm::cpu
