#include "core/learn/learned_matrix.hpp"

#include "core/learn/coded_matrix.hpp"
#include "core/learn/diverged.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace jlcm {
namespace {

void check(const std::string& name, const CompressedMatrix& matrix) {
    require(matrix.layout.dimension == 1 && matrix.layout.residual == 1,
            "{}: joint learning takes codewords of dimension 1 and one codebook a group; "
            "this has dimension {} and {}",
            name, matrix.layout.dimension, matrix.layout.residual);
    require(matrix.outliers.empty(), "{}: joint learning of a matrix with outliers is not supported", name);
}

Tensor spacing_of(const Tensor& codebooks) {
    const std::int64_t words = codebooks.shape().at(2);
    Tensor spacing = Tensor::empty({codebooks.rows()});
    for (std::int64_t i = 0; i < codebooks.rows(); ++i) {
        const float* book = codebooks.data<float>() + i * words;
        spacing.data<float>()[i] =
            words > 1 ? (book[words - 1] - book[0]) / static_cast<float>(words - 1) : 0.0F;
    }
    return spacing;
}

}  // namespace

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
      matrix_(matrix.clone()),
      backend_(&backend),
      groups_(matrix.layout.group_map()),
      spacing_(spacing_of(matrix_.codebooks)),
      codebook_adam_(matrix_.codebooks.shape(), name_ + ".codebooks"),
      gathered_steps_(gathered_steps) {
    check(name_, matrix_);
    if (matrix_.scales.defined())
        scale_adam_ = std::make_unique<Adam>(matrix_.scales.shape(), name_ + ".scales");
    if (estimator != nullptr)
        mapping_ = estimator->start(matrix_, to_stored_order(target, matrix_.row_order));
    if (mapping_ != nullptr && gathered_steps_ > 1)
        mapping_gradient_ = Tensor::zeros({matrix_.layout.rows, matrix_.layout.cols});
    update_tables();
}

CodedMatrix LearnedMatrix::view() const {
    return coded_matrix(matrix_, tables_, groups_);
}

void LearnedMatrix::update_tables() {
    tables_ = group_tables(matrix_);
}

Tensor LearnedMatrix::weight(DType type) const {
    if (mapping_ != nullptr) {
        const Tensor soft = mapping_->soft_weights(view(), *backend_);
        if (soft.defined()) return to_model_order(backend_->convert(soft, type), matrix_.row_order);
    }
    Tensor weight = Tensor::empty({matrix_.layout.rows, matrix_.layout.cols}, type);
    backend_->decode_codes(view(), weight);
    return to_model_order(weight, matrix_.row_order);
}

void LearnedMatrix::observe(const Tensor& gradient, std::int64_t number) {
    require_converging(backend_->sum_of_squares(gradient), fmt::format("the gradient of {}", name_), number);
    Tensor stored_gradient = to_stored_order(gradient, matrix_.row_order);
    Tensor sums = backend_->table_gradient(view(), stored_gradient, matrix_.layout.groups());
    if (table_gradient_.defined())
        backend_->add_scaled(table_gradient_, sums, 1.0);
    else
        table_gradient_ = std::move(sums);
    if (mapping_ == nullptr) return;
    if (mapping_gradient_.defined())
        backend_->add_scaled(mapping_gradient_, stored_gradient, 1.0 / static_cast<double>(gathered_steps_));
    else
        mapping_gradient_ = std::move(stored_gradient);
}

void LearnedMatrix::step(const MatrixStep& step, const Tensor& curvature, JumpHistogram& jumps) {
    step_tables(step.number, step.rates);
    jumps.weights += matrix_.mapping.size();
    if (mapping_ == nullptr || !step.mapping) return;
    const bool by_row = curvature.defined() && curvature.rows() == matrix_.layout.rows;
    const double most = step.mapping->most * static_cast<double>(matrix_.mapping.size());
    mapping_->step(view(),
                   {.gradient = mapping_gradient_,
                    .curvature = by_row ? to_stored_order(curvature, matrix_.row_order) : curvature,
                    .number = step.mapping->number,
                    .rate_factor = step.mapping->factor,
                    .progress = step.mapping->progress,
                    .most = std::max<std::int64_t>(1, std::llround(most))},
                   jumps, *backend_);
    if (gathered_steps_ > 1)
        backend_->fill(mapping_gradient_, 0.0);
    else
        mapping_gradient_ = {};
}

void LearnedMatrix::step_tables(std::int64_t number, const LearningRates& rates) {
    const Tensor sums = std::exchange(table_gradient_, {});
    const std::int64_t groups = matrix_.layout.groups();
    const std::int64_t words = matrix_.layout.codewords();

    // A table is scale * codeword + offset, so its gradient gives both factors' by the product rule.
    Tensor codebook_gradient = Tensor::zeros(matrix_.codebooks.shape());
    Tensor scale_gradient = matrix_.scales.defined() ? Tensor::zeros(matrix_.scales.shape()) : Tensor();
    for (std::int64_t g = 0; g < groups; ++g) {
        float* book_gradient = codebook_gradient.data<float>() + matrix_.layout.codebook_of(g) * words;
        const float* book = matrix_.codebook(g);
        const float scale = matrix_.scale(g);
        for (std::int64_t k = 0; k < words; ++k) {
            const float slope = sums.data<float>()[g * words + k];
            book_gradient[k] += scale * slope;
            if (matrix_.scales.defined()) scale_gradient.data<float>()[g] += slope * book[k];
        }
    }
    if (rates.codebook > 0) {
        std::vector<double> book_rates;
        for (const float gap : spacing_.values<float>())
            book_rates.push_back(rates.codebook * rates.factor * static_cast<double>(gap));
        codebook_adam_.step(matrix_.codebooks, codebook_gradient, number, book_rates, *backend_);
    }
    if (scale_adam_ != nullptr && rates.scale > 0) {
        std::vector<double> scale_rates;
        for (const float scale : matrix_.scales.values<float>())
            scale_rates.push_back(rates.scale * rates.factor * static_cast<double>(std::abs(scale)));
        scale_adam_->step(matrix_.scales, scale_gradient, number, scale_rates, *backend_);
    }
    sort();
    update_tables();
}

void LearnedMatrix::sort() {
    const Tensor former = sort_codewords(matrix_);
    if (former.defined() && mapping_ != nullptr) mapping_->relabel(matrix_, groups_, former);
}

void LearnedMatrix::append_position(std::vector<NamedTensor>& positions) const {
    if (Tensor own = position(); own.defined()) positions.push_back({name_, std::move(own)});
}

void LearnedMatrix::append_state(std::vector<NamedTensor>& state) const {
    state.push_back({name_ + ".codebooks", matrix_.codebooks});
    state.push_back({name_ + ".mapping", matrix_.mapping});
    state.push_back({name_ + ".spacing", spacing_});
    codebook_adam_.append_state(state);
    if (scale_adam_ != nullptr) {
        state.push_back({name_ + ".scales", matrix_.scales});
        scale_adam_->append_state(state);
    }
    if (mapping_ == nullptr) return;
    for (const NamedTensor& entry : mapping_->state())
        state.push_back({name_ + "." + entry.name, entry.tensor});
    if (gathered_steps_ > 1) state.push_back({name_ + ".gathered_gradient", mapping_gradient_});
}

void LearnedMatrix::restored() {
    update_tables();
}

CompressedMatrix LearnedMatrix::result() const {
    CompressedMatrix result = matrix_.clone();
    result.round_to_storage(name_);
    return result;
}

}  // namespace jlcm
