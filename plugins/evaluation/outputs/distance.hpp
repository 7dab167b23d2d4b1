#pragma once
// How far an output of a model stays from the original's, whatever its numbers mean.

#include "core/graph/output.hpp"
#include "core/model/divergence_distribution.hpp"
#include "core/model/evaluation.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace jlcm {

/// Sums over samples of one output of one model.
class OutputDistance {
  public:
    /// `axis`: the dimension whose arg-max is compared, from 1 on; none: of no dimension, but labels by whether each is
    /// more likely than not.
    OutputDistance(OutputMeaning compared_as, std::optional<std::size_t> axis)
        : compared_as_(compared_as), axis_(axis) {}

    /// Outputs of so many samples, equally many rows each.
    void add(const Tensor& original, const Tensor& own, std::int64_t samples);

    /// |own - original|^2 / |original|^2 with the standard error of its shares by sample, KL divergence and its
    /// distribution (kl_distribution) over rows, agreement, and {"cosine", "largest_difference"}; of the original by
    /// itself (`is_original`) neither error, divergence nor agreement.
    [[nodiscard]] Figures figures(bool is_original) const;

  private:
    double error_ = 0;      ///< of squares of differences
    double reference_ = 0;  ///< of squares of the original
    double own_ = 0;        ///< of squares of the model
    double product_ = 0;
    double largest_ = 0;  ///< difference
    double kl_ = 0;       ///< over rows of classes
    std::int64_t rows_ = 0;
    std::vector<Divergence>
        divergences_;  ///< of every `stride_`th row, so that outputs of an element a pixel fit
    std::int64_t stride_ = 1;
    std::int64_t predictions_ = 0;
    std::int64_t agreeing_ = 0;
    std::vector<double> errors_;  ///< of squares of differences, by sample
    bool is_finite_ = true;
    OutputMeaning compared_as_;
    std::optional<std::size_t> axis_;

    void add_row(std::span<const float> original, std::span<const float> own);
    void add_sample(std::span<const float> original, std::span<const float> own);
    void add_labels(std::span<const float> original, std::span<const float> own);
};

/// Figures of several outputs as those of one: means of the relative squared errors, of the divergences and agreements
/// of those that have one, and under "outputs" the figures of each by name.
[[nodiscard]] Figures together(const std::vector<std::string>& names, const std::vector<Figures>& outputs);

}  // namespace jlcm
