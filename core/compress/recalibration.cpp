#include "core/compress/recalibration.hpp"

#include "core/base/error.hpp"
#include "core/compress/activations.hpp"

#include <cmath>

namespace jlcm {
namespace {

/// Where a batch norm has its mean and its variance among its parameters.
constexpr std::size_t mean_parameter = 2;
constexpr std::size_t variance_parameter = 3;

bool has_statistics(const Graph& graph, const Node& node) {
    return node.parameters.size() > variance_parameter &&
           graph.parameter(node.parameters[mean_parameter]).role == "norm.statistics";
}

/// NaN stays NaN.
double at_least_zero(double value) {
    return value < 0 ? 0.0 : value;
}

/// Sums over all but the last dimension.
struct ChannelSums {
    std::vector<double> values;
    std::vector<double> squares;
    std::int64_t count = 0;

    void add(const Tensor& x) {
        const auto channels = static_cast<std::size_t>(x.shape().back());
        values.resize(channels);
        squares.resize(channels);
        const auto all = x.values<float>();
        for (std::size_t i = 0; i < all.size(); ++i) {
            const auto value = static_cast<double>(all[i]);
            values[i % channels] += value;
            squares[i % channels] += value * value;
        }
        count += x.size() / x.shape().back();
    }
    [[nodiscard]] double mean(std::size_t channel) const {
        return values[channel] / static_cast<double>(count);
    }
    [[nodiscard]] double variance(std::size_t channel) const {
        return at_least_zero(squares[channel] / static_cast<double>(count) - mean(channel) * mean(channel));
    }
};

/// What a network feeds node `id` of the block, summed over `inputs`.
ChannelSums fed_to(NodeId id, const Executor& executor, const Block& block, const Weights& weights,
                   const Tensor& inputs) {
    const Block before{.nodes = {block.nodes.first, id},
                       .input = block.input,
                       .output = executor.graph().node(id).inputs[0]};
    ChannelSums sums;
    by_samples(inputs.shape(), [&](std::int64_t first, std::int64_t end) {
        sums.add(executor.forward(before, weights, inputs.slice(first, end)));
    });
    return sums;
}

/// A channel that varies less than this share of what it did in training says nothing of a ratio.
constexpr double least_share = 1e-4;

double corrected_variance(double trained, double original, double compressed) {
    if (original > least_share * trained) return trained * compressed / original;
    return at_least_zero(trained + compressed - original);
}

}  // namespace

void recalibrate_norms(const Executor& executor, const Block& block, const WeightSource& original,
                       const Tensor& original_inputs, const Tensor& inputs, CompressedModel& model) {
    const Graph& graph = executor.graph();
    Weights weights(graph);
    bind_weights(weights, model, block.nodes, executor.compute(), executor.backend());
    Weights original_weights(graph);
    bind_weights(original_weights, original, block.nodes, executor.compute(), executor.backend());
    for (NodeId id = block.nodes.first; id < block.nodes.end; ++id) {
        const Node& node = graph.node(id);
        if (!has_statistics(graph, node)) continue;
        const ChannelSums before = fed_to(id, executor, block, original_weights, original_inputs);
        const ChannelSums after = fed_to(id, executor, block, weights, inputs);
        Tensor mean = original_weights[node.parameters[mean_parameter]].clone();
        Tensor variance = original_weights[node.parameters[variance_parameter]].clone();
        for (std::size_t c = 0; c < after.values.size(); ++c) {
            auto& m = mean.values<float>()[c];
            auto& v = variance.values<float>()[c];
            m = static_cast<float>(static_cast<double>(m) + after.mean(c) - before.mean(c));
            v = static_cast<float>(
                corrected_variance(static_cast<double>(v), before.variance(c), after.variance(c)));
            require(std::isfinite(m) && std::isfinite(v),
                    "recalibrate_norms: what {} reads in channel {} is not finite; use compute: "
                    "float32, or leave it out",
                    node.name, c);
        }
        const auto put = [&](std::size_t which, const Tensor& value) {
            model.dense()[node.parameters[which]] = value;
            weights.bind(node.parameters[which], value);
        };
        put(mean_parameter, mean);
        put(variance_parameter, variance);
    }
}

}  // namespace jlcm
