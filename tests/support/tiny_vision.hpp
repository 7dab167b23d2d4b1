#pragma once
// A small random convolutional network in memory, as a Model that tests can compress.

#include "core/graph/graph_json.hpp"
#include "core/graph/tensor_operators.hpp"
#include "core/model/model.hpp"
#include "tests/support/checkpoint_parameters.hpp"
#include "tests/support/random.hpp"

#include <cmath>

namespace jlcm::test {

/// Grey images of 6 x 6 in 5 classes: a convolution 1 -> 4 and a residual block with a convolution of two
/// groups, each with a batch norm; mean over the pixels; a linear layer. Float32 weights.
inline Model tiny_vision() {
    Graph graph;
    ValueId x = graph.add_input("input", {1, 1, 6, 6});
    const auto parameter = [&](const std::string& name, const std::string& role, Shape shape) {
        return graph.add_parameter({name, role, std::move(shape), -1, role == "conv" || role == "linear"});
    };
    const auto convolution = [&](const std::string& name, ValueId from, std::int64_t inputs,
                                 std::int64_t groups) {
        const ConvolutionAttributes attributes{
            {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false}, groups, false};
        const ParameterId weight = parameter(name + ".weight", "conv", {4, 9 * inputs / groups});
        const ValueId y = graph.add(name, make_convolution(attributes), {from}, {weight});
        return graph.add(
            name + ".norm", make_batch_norm(1e-5), {y},
            {parameter(name + ".norm.scale", "norm", {4}), parameter(name + ".norm.shift", "norm", {4}),
             parameter(name + ".norm.mean", "norm.statistics", {4}),
             parameter(name + ".norm.variance", "norm.statistics", {4})});
    };
    x = graph.add("channels_last", make_transpose({0, 2, 3, 1}), {x});
    x = convolution("first", x, 1, 1);
    const ValueId inner = convolution("inner", x, 4, 2);
    x = graph.add("residual", make_binary(Binary::add), {x, inner});
    x = graph.add("pool", make_reduce({Reduction::mean, {1, 2}, false}), {x});
    x = graph.add("classes", make_linear(true), {x},
                  {parameter("classes.weight", "linear", {5, 4}), parameter("classes.bias", "bias", {5})});
    graph.set_head(x, -1);

    Checkpoint checkpoint;
    checkpoint.config = {{"model_type", "graph"}, {"graph", to_json(graph)}};
    checkpoint.extra["preprocess"] = {{"input_size", {1, 6, 6}},
                                      {"channel_order", "L"},
                                      {"range", {0, 1}},
                                      {"mean", {0.5}},
                                      {"std", {0.25}}};
    for (const Parameter& each : graph.parameters()) {
        Tensor values = random_tensor(each.shape, each.name, DType::f32, 0.5);
        if (each.name.ends_with("variance") || each.name.ends_with("scale"))
            for (float& value : values.values<float>()) value = std::abs(value) + 0.5F;
        add_parameter(checkpoint, each.name, std::move(values));
    }
    return Model(std::move(checkpoint));
}

}  // namespace jlcm::test
