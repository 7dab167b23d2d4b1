#pragma once
// One compressed matrix under way: its codebooks and scales moved by Adam, its mapping by an estimator.

#include "core/learn/estimator.hpp"
#include "core/learn/optimizer.hpp"

#include <memory>

namespace jlcm {

/// Learning rates of a step, the schedule's factor included if it says so.
struct LearningRates {
    double codebook = 0;  ///< in units of each codebook's spacing, without the factor
    double scale = 0;     ///< relative to each scale, without the factor
    double factor = 1;    ///< the schedule's value
    double progress = 0;  ///< share of all steps that is done
};

/// The rates of step `step` of `steps`, counted from 0.
[[nodiscard]] LearningRates scheduled_rates(double codebook, double scale, Schedule schedule,
                                            std::int64_t step, std::int64_t steps, std::int64_t warmup);

class LearnedMatrix {
  public:
    /// `matrix` (codewords of dimension 1, one codebook stage) is cloned; `target`: the original weights,
    /// model row order. `estimator` null: the mapping stays.
    LearnedMatrix(std::string name, const CompressedMatrix& matrix, const Tensor& target,
                  const Estimator* estimator, Backend& backend);

    [[nodiscard]] const std::string& name() const { return name_; }
    /// The reconstruction in model row order, float32 or bfloat16.
    [[nodiscard]] Tensor weight(DType type) const;

    /// One step, given dL/dW^ and, for estimators that need it, the curvature d2L/dw^2 (float32 [rows, cols],
    /// model row order; a curvature that all rows share may be [1, cols]).
    void step(const Tensor& gradient, const Tensor& curvature, std::int64_t step, const LearningRates& rates,
              JumpHistogram& jumps);

    void append_state(std::vector<NamedTensor>& state) const;
    /// After the state's tensors were overwritten.
    void restored();
    /// The matrix as it stands, its values rounded to what an artifact stores.
    [[nodiscard]] CompressedMatrix result() const;

  private:
    [[nodiscard]] CodedMatrix view() const;
    void update_tables();
    void sort();

    std::string name_;
    CompressedMatrix matrix_;
    Backend* backend_;
    GroupMap groups_;
    Tensor tables_;   ///< [groups, K]: scale * codeword + offset
    Tensor spacing_;  ///< [codebooks]: mean distance of neighbours at the start; the unit of codebook rates
    Adam codebook_adam_;
    std::unique_ptr<Adam> scale_adam_;
    std::unique_ptr<MappingLearner> mapping_;
};

}  // namespace jlcm
