#include "core/learn/learned_matrix.hpp"

#include "core/learn/diverged.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace jlcm {

LearningRates scheduled_rates(double codebook, double scale, Schedule schedule, std::int64_t step,
                              std::int64_t steps, std::int64_t warmup) {
    return {.codebook = codebook,
            .scale = scale,
            .factor = schedule_factor(schedule, step, steps, warmup),
            .progress = static_cast<double>(step) / static_cast<double>(steps)};
}

LearnedMatrix::LearnedMatrix(std::string name, const CompressedMatrix& matrix, const Tensor& target,
                             const Estimator* estimator, Backend& backend, std::int64_t gathered_steps)
    : name_(std::move(name)),
      backend_(&backend),
      codes_(make_learned_codes(name_, matrix.clone(),
                                estimator != nullptr ? to_stored_order(target, matrix.row_order) : target,
                                estimator, backend)),
      spacing_(codes_->spacing()),
      codebook_adam_(matrix.codebooks.shape(), name_ + ".codebooks"),
      gathered_steps_(gathered_steps) {
    if (matrix.scales.defined())
        scale_adam_ = std::make_unique<Adam>(matrix.scales.shape(), name_ + ".scales");
    if (codes_->mapping() != nullptr && gathered_steps_ > 1)
        mapping_gradient_ = Tensor::zeros({matrix.layout.rows, matrix.layout.cols});
}

Tensor LearnedMatrix::weight(DType type) const {
    return to_model_order(codes_->weight(type), matrix().row_order);
}

void LearnedMatrix::observe(const Tensor& gradient, std::int64_t number) {
    require_converging(backend_->sum_of_squares(gradient), fmt::format("the gradient of {}", name_), number);
    Tensor stored_gradient = to_stored_order(gradient, matrix().row_order);
    codes_->observe(stored_gradient);
    if (codes_->mapping() == nullptr) return;
    if (mapping_gradient_.defined())
        backend_->add_scaled(mapping_gradient_, stored_gradient, 1.0 / static_cast<double>(gathered_steps_));
    else
        mapping_gradient_ = std::move(stored_gradient);
}

void LearnedMatrix::step(const MatrixStep& step, const Tensor& curvature, JumpHistogram& jumps) {
    step_codebooks(step.number, step.rates);
    jumps.weights += matrix().mapping.size();
    if (codes_->mapping() == nullptr || !step.mapping) return;
    const Layout& layout = matrix().layout;
    const bool by_row = curvature.defined() && curvature.rows() == layout.rows;
    const double most = step.mapping->most * static_cast<double>(layout.rows * layout.codes_per_row());
    codes_->step({.gradient = mapping_gradient_,
                  .curvature = by_row ? to_stored_order(curvature, matrix().row_order) : curvature,
                  .number = step.mapping->number,
                  .rate_factor = step.mapping->factor,
                  .progress = step.mapping->progress,
                  .most = std::max<std::int64_t>(1, std::llround(most))},
                 jumps);
    if (gathered_steps_ > 1)
        backend_->fill(mapping_gradient_, 0.0);
    else
        mapping_gradient_ = {};
}

void LearnedMatrix::step_codebooks(std::int64_t number, const LearningRates& rates) {
    const CodebookGradients gradients = codes_->take_gradients();
    CompressedMatrix& matrix = codes_->matrix();
    if (rates.codebook > 0) {
        std::vector<double> book_rates;
        for (const float gap : spacing_.values<float>())
            book_rates.push_back(rates.codebook * rates.factor * static_cast<double>(gap));
        codebook_adam_.step(matrix.codebooks, gradients.codebooks, number, book_rates, *backend_);
    }
    if (scale_adam_ != nullptr && rates.scale > 0) {
        std::vector<double> scale_rates;
        for (const float scale : matrix.scales.values<float>())
            scale_rates.push_back(rates.scale * rates.factor * static_cast<double>(std::abs(scale)));
        scale_adam_->step(matrix.scales, gradients.scales, number, scale_rates, *backend_);
    }
    codes_->changed();
}

void LearnedMatrix::append_position(std::vector<NamedTensor>& positions) const {
    if (Tensor own = position(); own.defined()) positions.push_back({name_, std::move(own)});
}

void LearnedMatrix::append_state(std::vector<NamedTensor>& state) const {
    state.push_back({name_ + ".codebooks", matrix().codebooks});
    state.push_back({name_ + ".mapping", matrix().mapping});
    state.push_back({name_ + ".spacing", spacing_});
    codebook_adam_.append_state(state);
    if (scale_adam_ != nullptr) {
        state.push_back({name_ + ".scales", matrix().scales});
        scale_adam_->append_state(state);
    }
    if (codes_->mapping() == nullptr) return;
    for (const NamedTensor& entry : codes_->mapping()->state())
        state.push_back({name_ + "." + entry.name, entry.tensor});
    if (gathered_steps_ > 1) state.push_back({name_ + ".gathered_gradient", mapping_gradient_});
}

void LearnedMatrix::restored() {
    codes_->changed();
}

CompressedMatrix LearnedMatrix::result() const {
    CompressedMatrix result = matrix().clone();
    result.round_to_storage(name_);
    return result;
}

}  // namespace jlcm
