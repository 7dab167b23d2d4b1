#include "core/learn/learned_weights.hpp"

#include "core/base/parallel.hpp"
#include "core/graph/blocks.hpp"

#include <algorithm>

namespace jlcm {
namespace {

/// The gradient of a linear weight: the sum over its uses.
Tensor multiply_out(const std::vector<WeightGradientTerm>& terms, const Shape& shape, Backend& backend) {
    Tensor total = Tensor::empty(shape);
    if (terms.empty()) backend.fill(total, 0.0);
    for (std::size_t i = 0; i < terms.size(); ++i) {
        const auto& [gradient, input] = terms[i];
        if (gradient.defined())
            backend.gemm(matrix(gradient), Transpose::yes, matrix(input), Transpose::no, total, i > 0);
        else if (i == 0)
            total = input.clone();
        else
            backend.add_scaled(total, input, 1.0);
    }
    return total;
}

}  // namespace

LearnedWeights::LearnedWeights(const CompressedModel& model, NodeRange range, const Estimator* estimator,
                               bool norms, Backend& backend, std::int64_t gathered_steps, bool tables)
    : graph_(&model.graph()), backend_(&backend) {
    const auto add = [&](ParameterId id) {
        const auto found = model.matrices().find(id);
        if (found == model.matrices().end()) return false;
        matrices_.try_emplace(id, graph_->parameter(id).name, found->second,
                              estimator != nullptr ? model.base().weight(id) : Tensor(), estimator, backend,
                              gathered_steps);
        return true;
    };
    for (const auto& use : own_linears(*graph_, range)) add(use.parameter);
    if (tables)
        for (const ParameterId id : graph_->tables())
            if (add(id)) tables_.insert(id);
    if (estimator != nullptr && estimator->needs_curvature())
        for (const auto& [id, matrix] : matrices_)
            curvatures_.try_emplace(id, matrix.name(), graph_->parameter(id).shape);
    if (norms) norms_ = learned_norms(model, range);
}

template <class Map>
std::vector<ParameterId> LearnedWeights::read_by(NodeRange range, const Map& learned) const {
    std::vector<ParameterId> ids;
    std::ranges::copy_if(graph_->parameters_of(range), std::back_inserter(ids),
                         [&](ParameterId id) { return learned.contains(id); });
    return ids;
}

void LearnedWeights::bind(NodeRange range, DType type, Weights& weights) const {
    const auto ids = read_by(range, matrices_);
    std::vector<Tensor> decoded(ids.size());
    parallel_for(static_cast<std::int64_t>(ids.size()), 1, [&](std::int64_t i, std::int64_t) {
        const auto at = static_cast<std::size_t>(i);
        // Rows that are looked up are no factors of a product.
        decoded[at] = matrices_.at(ids[at]).weight(tables_.contains(ids[at]) ? DType::f32 : type);
    });
    for (std::size_t i = 0; i < ids.size(); ++i) weights.bind(ids[i], std::move(decoded[i]));
    for (const ParameterId id : read_by(range, norms_)) weights.bind(id, norms_.at(id).value());
}

void LearnedWeights::release(NodeRange range, Weights& weights) const {
    for (const ParameterId id : read_by(range, matrices_)) weights.release(id);
}

Gradients LearnedWeights::wanted(NodeRange range) const {
    Gradients gradients;
    for (const ParameterId id : moved_with(range)) {
        if (tables_.contains(id))
            gradients.parameters.emplace(id, Tensor::zeros(graph_->parameter(id).shape));
        else
            gradients.terms[id] = {};
    }
    for (const ParameterId id : read_by(range, norms_))
        gradients.parameters.emplace(id, Tensor::zeros(norms_.at(id).value().shape()));
    return gradients;
}

std::vector<ParameterId> LearnedWeights::moved_with(NodeRange range) const {
    auto ids = read_by(range, matrices_);
    const NodeRange last = graph_->epilogue().nodes;
    const bool has_head = tables_.contains(graph_->head());  // one that is tied goes with its table
    if (has_head && range.first == last.first && range.end == last.end) ids.push_back(graph_->head());
    return ids;
}

bool LearnedWeights::has_tables(NodeRange range) const {
    return std::ranges::any_of(moved_with(range), [&](ParameterId id) { return tables_.contains(id); });
}

Tensor LearnedWeights::gradient_of(ParameterId id, const Gradients& gradients) const {
    if (tables_.contains(id)) return gradients.parameters.at(id);
    return multiply_out(gradients.terms.at(id), graph_->parameter(id).shape, *backend_);
}

void LearnedWeights::observe_curvature(NodeRange range, const Gradients& probes, double factor,
                                       std::int64_t step) {
    for (const ParameterId id : moved_with(range))
        curvatures_.at(id).update(gradient_of(id, probes), factor, step);
}

std::vector<ParameterId> LearnedWeights::by_size(NodeRange range) const {
    auto ids = moved_with(range);
    std::ranges::stable_sort(ids, std::greater(),
                             [&](ParameterId id) { return element_count(graph_->parameter(id).shape); });
    return ids;
}

void LearnedWeights::observe_norms(NodeRange range, Gradients& gradients) {
    for (const ParameterId id : read_by(range, norms_))
        norms_.at(id).observe(std::move(gradients.parameters.at(id)), *backend_);
}

void LearnedWeights::observe(NodeRange range, Gradients& gradients, std::int64_t number) {
    const auto ids = by_size(range);
    parallel_for(std::ssize(ids), 1, [&](std::int64_t i, std::int64_t) {
        const ParameterId id = ids[static_cast<std::size_t>(i)];
        matrices_.at(id).observe(gradient_of(id, gradients), number);
    });
    observe_norms(range, gradients);
}

JumpHistogram LearnedWeights::step(NodeRange range, Gradients& gradients, const MatrixStep& step,
                                   double norm_rate) {
    const auto ids = by_size(range);
    std::vector<JumpHistogram> jumped(ids.size());
    parallel_for(std::ssize(ids), 1, [&](std::int64_t i, std::int64_t) {
        const auto at = static_cast<std::size_t>(i);
        matrices_.at(ids[at]).observe(gradient_of(ids[at], gradients), step.number);
        const Tensor curvature = needs_curvature() ? curvatures_.at(ids[at]).mean() : Tensor();
        matrices_.at(ids[at]).step(step, curvature, jumped[at]);
    });
    observe_norms(range, gradients);
    for (const ParameterId id : read_by(range, norms_)) norms_.at(id).step(step.number, norm_rate, *backend_);
    JumpHistogram jumps;
    for (const JumpHistogram& each : jumped) jumps.add(each);
    return jumps;
}

std::vector<NamedTensor> LearnedWeights::positions() const {
    std::vector<NamedTensor> positions;
    for (const auto& [id, matrix] : matrices_) matrix.append_position(positions);
    return positions;
}

void LearnedWeights::go_on_from(NodeRange range, const std::vector<NamedTensor>& positions) {
    for (const auto& [id, node] : own_linears(*graph_, range)) {
        if (!matrices_.contains(id) || tables_.contains(id)) continue;  // blocks do not learn tables
        const std::string& name = matrices_.at(id).name();
        Tensor own = matrices_.at(id).position();
        if (!own.defined()) continue;
        const auto found = std::ranges::find(positions, name, &NamedTensor::name);
        require(found != positions.end() && found->tensor.shape() == own.shape(),
                "distill.mapping.start is learned, and block learning left no positions of {} for this "
                "estimator: give both the same one, with the same options",
                name);
        std::ranges::copy(found->tensor.bytes(), own.bytes().begin());
    }
}

void LearnedWeights::append_state(std::vector<NamedTensor>& state) const {
    for (const auto& [id, matrix] : matrices_) matrix.append_state(state);
    for (const auto& [id, estimate] : curvatures_) estimate.append_state(state);
    for (const auto& [id, norm] : norms_) norm.append_state(state);
}

void LearnedWeights::restored() {
    for (auto& [id, matrix] : matrices_) matrix.restored();
}

void LearnedWeights::finish(CompressedModel& model) const {
    for (const auto& [id, matrix] : matrices_) model.matrices().at(id) = matrix.result();
    if (const ParameterId table = graph_->head_table(); tables_.contains(table) && table != graph_->head())
        model.matrices().at(graph_->head()) = model.matrices().at(table);
    for (const auto& [id, norm] : norms_) model.dense()[id] = norm.value().clone();
}

}  // namespace jlcm
