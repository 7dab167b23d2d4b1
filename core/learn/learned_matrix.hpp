#pragma once
// One compressed matrix under way: its codebooks and scales moved by Adam, its mapping by an estimator.

#include "core/learn/learned_codes.hpp"
#include "core/learn/optimizer.hpp"

#include <memory>
#include <optional>

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

/// A step of a mapping, from the gradients that were observed since its last one.
struct MappingRates {
    std::int64_t number = 0;  ///< counts the mapping's steps from 0
    double factor = 1;        ///< its schedule's value
    double progress = 0;      ///< share of its steps that is done
    double most = 1;          ///< share of the matrix's codes that may change, at least one of them
};

/// What of a step a matrix makes.
struct MatrixStep {
    std::int64_t number = 0;
    LearningRates rates;
    std::optional<MappingRates> mapping;  ///< none: gradients are gathered for a later step

    /// One in which the mapping moves like everything else.
    [[nodiscard]] static MatrixStep of_all(std::int64_t number, const LearningRates& rates) {
        return {number, rates,
                MappingRates{.number = number, .factor = rates.factor, .progress = rates.progress}};
    }
};

class LearnedMatrix {
  public:
    /// `matrix` (as require_learnable wants it) is cloned; `target`: the original weights, model row order. `estimator` null: the mapping stays. `gathered_steps`: how many of the matrix's
    /// steps the mapping gathers gradients from for one of its own; from two on that takes 4 bytes a weight
    /// of the state.
    LearnedMatrix(std::string name, const CompressedMatrix& matrix, const Tensor& target,
                  const Estimator* estimator, Backend& backend, std::int64_t gathered_steps = 1);

    [[nodiscard]] const std::string& name() const { return name_; }
    /// The reconstruction in model row order, float32 or bfloat16.
    [[nodiscard]] Tensor weight(DType type) const;

    /// Adds dL/dW^ of some of the samples of the next step: float32 [rows, cols], model row order, taken
    /// over. What is added before a step makes its gradient; the mapping takes the mean over its gathered
    /// steps. `number`: the step's, for messages.
    void observe(const Tensor& gradient, std::int64_t number);
    /// One step of codebooks and scales, and of the mapping if `step` has one. `curvature`: d2L/dw^2 for
    /// estimators that need it (as the gradient; one that all rows share may be [1, cols]).
    void step(const MatrixStep& step, const Tensor& curvature, JumpHistogram& jumps);

    /// MappingState::position, stored row order; undefined if the mapping stays.
    [[nodiscard]] Tensor position() const {
        return codes_->mapping() != nullptr ? codes_->mapping()->position() : Tensor();
    }
    /// Adds that by the matrix's name; nothing if it is undefined.
    void append_position(std::vector<NamedTensor>& positions) const;
    void append_state(std::vector<NamedTensor>& state) const;
    /// After the state's tensors were overwritten.
    void restored();
    /// The matrix as it stands, its values rounded to what an artifact stores.
    [[nodiscard]] CompressedMatrix result() const;

  private:
    [[nodiscard]] const CompressedMatrix& matrix() const { return codes_->matrix(); }
    void step_codebooks(std::int64_t number, const LearningRates& rates);

    std::string name_;
    Backend* backend_;
    std::unique_ptr<LearnedCodes> codes_;
    Tensor spacing_;  ///< LearnedCodes::spacing at the start: the unit of codebook rates
    Adam codebook_adam_;
    std::unique_ptr<Adam> scale_adam_;
    std::int64_t gathered_steps_ = 1;
    Tensor mapping_gradient_;  ///< [rows, cols], stored row order: what the mapping's next step is made from
};

}  // namespace jlcm
