#include "core/compress/second_moments.hpp"

#include "core/codebook/original_output.hpp"
#include "core/graph/expert_operators.hpp"

#include <cmath>
#include <set>

namespace jlcm {
namespace {

/// Inputs of one of the groups of a convolution.
Tensor group_of(const Tensor& input, std::int64_t group, std::int64_t groups) {
    return groups == 1 ? input : input.slice(group, group + 1);
}

void append(SavedState& state, const std::string& name, const std::vector<Tensor>& matrices) {
    for (std::size_t i = 0; i < matrices.size(); ++i)
        state.tensors.push_back({fmt::format("{}.{}", name, i), matrices[i]});
}

std::vector<Tensor> find(const SavedState& state, const std::string& name, std::size_t count) {
    std::vector<Tensor> matrices;
    for (std::size_t i = 0; i < count; ++i) {
        matrices.push_back(state.find(fmt::format("{}.{}", name, i)));
        require(matrices.back().defined(), "{}.{} is not in the saved state", name, i);
    }
    return matrices;
}

}  // namespace

LinearObserver SecondMoments::observer() {
    return [this](NodeId node, const Tensor& input) {
        add_weighted(node, input);
        const Operator& op = *executor_->graph().node(node).op;
        const std::int64_t width = input.shape().back();
        Sum& sum = sums_[key_of(node)];
        if (sum.first_reader < 0) {
            sum.first_reader = node;
            for (std::int64_t g = 0; g < op.weight_groups(); ++g)
                sum.matrices.push_back(Tensor::zeros({width, width}));
        }
        if (sum.first_reader != node) return;
        const std::int64_t groups = op.weight_groups();
        ensure(groups > 0, "node {} has no weights", node);
        for (std::int64_t g = 0; g < groups; ++g)
            executor_->backend().accumulate_gram(group_of(input, g, groups),
                                                 sum.matrices[static_cast<std::size_t>(g)]);
        sum.samples += reads_routed_rows(op) ? std::ssize(rows_in_use(input)) : input.size() / width / groups;
        if (const auto original = original_inputs_.extract(key_of(node)))
            add_with_original(sum, original.mapped(), input);
    };
}

LinearObserver SecondMoments::original_observer() {
    return [this](NodeId node, const Tensor& input) { original_inputs_.try_emplace(key_of(node), input); };
}

void SecondMoments::add_with_original(Sum& sum, const Tensor& original, const Tensor& input) const {
    ensure(original.shape() == input.shape(), "the original's inputs are {}, the compressed model's {}",
           to_string(original.shape()), to_string(input.shape()));
    const std::int64_t width = input.shape().back();
    const auto groups = static_cast<std::int64_t>(sum.matrices.size());
    if (sum.with_original.empty())
        for (std::int64_t g = 0; g < groups; ++g) sum.with_original.push_back(Tensor::zeros({width, width}));
    for (std::int64_t g = 0; g < groups; ++g)
        executor_->backend().gemm(jlcm::matrix(group_of(original, g, groups)), Transpose::yes,
                                  jlcm::matrix(group_of(input, g, groups)), Transpose::no,
                                  sum.with_original[static_cast<std::size_t>(g)], true);
}

void SecondMoments::add_weighted(NodeId node, const Tensor& input) {
    if (gradients_ == nullptr) return;
    const auto found = gradients_->token_weights.find(node);
    if (found == gradients_->token_weights.end()) return;
    const Tensor& weights = found->second;
    const std::int64_t width = input.shape().back();
    const std::int64_t tokens = input.size() / width;
    WeightedSum& sum = weighted_[node];
    if (sum.matrices.empty())
        for (std::int64_t q = 0; q < weights.cols(); ++q)
            sum.matrices.push_back(Tensor::zeros({width, width}));
    ensure(sum.tokens + tokens <= weights.rows(), "weights of {} tokens, and there are more", weights.rows());
    Backend& backend = executor_->backend();
    std::vector<float> factors(static_cast<std::size_t>(tokens));
    for (std::int64_t q = 0; q < weights.cols(); ++q) {
        for (std::int64_t t = 0; t < tokens; ++t)
            factors[static_cast<std::size_t>(t)] =
                std::sqrt(weights.data<float>()[(sum.tokens + t) * weights.cols() + q]);
        backend.accumulate_gram(backend.scale_rows(input, factors),
                                sum.matrices[static_cast<std::size_t>(q)]);
    }
    sum.tokens += tokens;
}

SecondMoments::Key SecondMoments::key_of(NodeId node) const {
    const Node& reader = executor_->graph().node(node);
    return {reader.inputs[0], reader.op->weight_inputs_key()};
}

const SecondMoments::Sum& SecondMoments::sum(NodeId node) const {
    const auto found = sums_.find(key_of(node));
    ensure(found != sums_.end(), "no second moments for node {}", executor_->graph().node(node).name);
    return found->second;
}

const std::vector<Tensor>& SecondMoments::matrices(NodeId node) const {
    return sum(node).matrices;
}

Tensor SecondMoments::matrix(NodeId node) const {
    const auto& all = matrices(node);
    if (all.size() == 1) return all.front();
    Tensor total = Tensor::zeros(all.front().shape());
    for (const Tensor& each : all) executor_->backend().add_scaled(total, each, 1.0);
    return total;
}

std::vector<Tensor> SecondMoments::weighted(NodeId node) const {
    if (matrices(node).size() > 1) return matrices(node);
    const auto found = weighted_.find(node);
    return found == weighted_.end() ? std::vector<Tensor>() : found->second.matrices;
}

std::int64_t SecondMoments::samples(NodeId node) const {
    return sum(node).samples;
}

Tensor SecondMoments::fitted_to_original(NodeId node, const Tensor& weights) const {
    const Sum& observed = sum(node);
    const auto groups = static_cast<std::int64_t>(observed.with_original.size());
    if (groups == 0) return weights;
    Tensor fitted = weights.clone();
    const std::int64_t rows = weights.rows() / groups;
    for (std::int64_t g = 0; g < groups; ++g) {
        Tensor part = fitted.slice(g * rows, (g + 1) * rows);
        fit_to_original_output(part, observed.matrices[static_cast<std::size_t>(g)],
                               observed.with_original[static_cast<std::size_t>(g)], executor_->backend());
    }
    return fitted;
}

SavedState SecondMoments::state() const {
    SavedState state;
    auto sums = nlohmann::json::array();
    for (const auto& [key, sum] : sums_) {
        append(state, fmt::format("sum.{}", sums.size()), sum.matrices);
        append(state, fmt::format("with_original.{}", sums.size()), sum.with_original);
        sums.push_back({{"value", key.first},
                        {"rows", key.second},
                        {"reader", sum.first_reader},
                        {"samples", sum.samples},
                        {"matrices", sum.matrices.size()},
                        {"with_original", sum.with_original.size()}});
    }
    auto weighted = nlohmann::json::array();
    for (const auto& [node, sum] : weighted_) {
        append(state, fmt::format("weighted.{}", weighted.size()), sum.matrices);
        weighted.push_back({{"node", node}, {"tokens", sum.tokens}, {"matrices", sum.matrices.size()}});
    }
    state.words = {{"sums", sums.dump()}, {"weighted", weighted.dump()}};
    return state;
}

void SecondMoments::restore(const SavedState& state) {
    sums_.clear();
    weighted_.clear();
    const auto sums = nlohmann::json::parse(state.words.at("sums"));
    for (std::size_t i = 0; i < sums.size(); ++i)
        sums_[{sums[i].at("value"), sums[i].at("rows")}] = {
            .first_reader = sums[i].at("reader"),
            .matrices = find(state, fmt::format("sum.{}", i), sums[i].at("matrices")),
            .with_original = find(state, fmt::format("with_original.{}", i), sums[i].at("with_original")),
            .samples = sums[i].at("samples")};
    const auto weighted = nlohmann::json::parse(state.words.at("weighted"));
    for (std::size_t i = 0; i < weighted.size(); ++i)
        weighted_[weighted[i].at("node")] = {
            .matrices = find(state, fmt::format("weighted.{}", i), weighted[i].at("matrices")),
            .tokens = weighted[i].at("tokens")};
}

double second_moment_bytes(const Graph& graph, const Block& block, const DataNeeds& needs) {
    if (!needs.moments()) return 0;
    const double matrices = needs.original_moments ? 2 : 1;
    std::set<std::pair<ValueId, std::string>> inputs;
    double total = 0;
    for (const auto& use : graph.linears(block.nodes)) {
        const Node& node = graph.node(use.node);
        const auto columns = static_cast<double>(graph.parameter(use.parameter).shape.back());
        const double square = columns * columns * 4;
        if (inputs.insert({node.inputs[0], node.op->weight_inputs_key()}).second)
            total += matrices * static_cast<double>(node.op->weight_groups()) * square;
        total += static_cast<double>(needs.row_sets) * square;
    }
    return total;
}

}  // namespace jlcm
