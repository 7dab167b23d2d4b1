// Any order that the analysis allows leaves what random networks over images compute unchanged.
#include "core/graph/execution.hpp"
#include "core/graph/permutation.hpp"
#include "core/graph/tensor_operators.hpp"
#include "core/tensor/reorder.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_permutations.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

/// Convolutions, plain, grouped and depthwise, with norms, residual sums, concatenations, slices and padding
/// of channels, shuffles, squeeze-and-excitation and pooling; then flattened, or pooled, to a linear layer.
class RandomNetwork {
  public:
    explicit RandomNetwork(std::uint64_t seed) : rng_(seed, "random network") {
        ValueId x = graph_.add_input("x", {1, 6, 5, 3});
        x = convolution(x, 4 * (1 + below(3)));
        const std::int64_t layers = 2 + below(5);
        for (std::int64_t i = 0; i < layers; ++i) x = layer(x);
        if (below(2) == 0) {
            x = add("flat", make_reshape({-1, shape(x)[1] * shape(x)[2] * shape(x)[3]}), {x});
        } else {
            x = add("pooled", make_reduce({Reduction::mean, {1, 2}, false}), {x});
        }
        output = add("classes", make_linear(), {x}, {parameter({3, shape(x).back()})});
    }
    const Graph& graph() const { return graph_; }
    ValueId output = -1;

  private:
    std::int64_t below(std::int64_t n) {
        return static_cast<std::int64_t>(rng_.bits(draws_++) % static_cast<std::uint64_t>(n));
    }
    ParameterId parameter(Shape shape) {
        return graph_.add_parameter({"p" + std::to_string(draws_++), "", std::move(shape), -1, true});
    }
    ValueId add(const std::string& name, const OperatorPtr& op, const std::vector<ValueId>& inputs,
                const std::vector<ParameterId>& parameters = {}) {
        return graph_.add(name + std::to_string(draws_++), op, inputs, parameters);
    }
    Shape shape(ValueId value) const {
        return graph_.infer(graph_.input_shape())[static_cast<std::size_t>(value)];
    }
    std::int64_t channels(ValueId value) const { return shape(value).back(); }

    ValueId convolution(ValueId x, std::int64_t outputs, std::int64_t groups = 1) {
        const std::int64_t size = 1 + 2 * below(2);
        const WindowAttributes windows{{size, size},         {1, 1}, {1, 1}, {size / 2, size / 2},
                                       {size / 2, size / 2}, false};
        const bool bias = below(2) == 0;
        std::vector<ParameterId> parameters{parameter({outputs, channels(x) / groups * size * size})};
        if (bias) parameters.push_back(parameter({outputs}));
        return add("conv", make_convolution({windows, groups, bias}), {x}, parameters);
    }
    ValueId norm(ValueId x) {
        const Shape size{channels(x)};
        return add("norm", make_batch_norm(10), {x},
                   {parameter(size), parameter(size), parameter(size), parameter(size)});
    }
    ValueId relu(ValueId x) { return add("relu", make_unary({Unary::relu}), {x}); }

    ValueId layer(ValueId x) {
        const std::int64_t width = channels(x);
        switch (below(9)) {
            case 0:
                return relu(norm(convolution(x, 4 * (1 + below(3)))));
            case 1:
                return relu(norm(convolution(x, width, width)));
            case 2:
                return convolution(x, width, width % 4 == 0 ? 4 : 1);
            case 3: {
                const ValueId inner = convolution(relu(norm(convolution(x, 8))), width);
                return relu(add("sum", make_binary(Binary::add), {x, inner}));
            }
            case 4:
                return add("concat", make_concat(3), {convolution(x, 4), convolution(x, 5 + below(4)), x});
            case 5: {
                // ResNet's option A: more channels, the new ones zero.
                const ValueId padded =
                    add("pad", make_pad({{0, 0, 0, 2}, {0, 0, 0, 2}, PadMode::constant, 0}), {x});
                return relu(add("sum", make_binary(Binary::add), {padded, convolution(x, width + 4)}));
            }
            case 6: {
                if (width % 2 != 0) return relu(x);
                // A shuffle of two groups of channels.
                const Shape s = shape(x);
                const ValueId cut = add("cut", make_reshape({-1, s[1], s[2], 2, width / 2}), {x});
                const ValueId turned = add("turned", make_transpose({0, 1, 2, 4, 3}), {cut});
                return convolution(add("joined", make_reshape({-1, s[1], s[2], width}), {turned}), width, 2);
            }
            case 7: {
                const ValueId pooled = add("pool", make_reduce({Reduction::mean, {1, 2}, true}), {x});
                const ValueId gate = add("gate", make_unary({Unary::sigmoid}), {convolution(pooled, width)});
                return add("gated", make_binary(Binary::multiply), {x, gate});
            }
            default: {
                if (width < 4) return relu(x);
                const WindowAttributes windows{{2, 2}, {1, 1}, {1, 1}, {0, 0}, {1, 1}, false};
                const ValueId part = add("slice", make_slice({3, 1, width - 2, 1}), {x});
                return add("pool", make_pooling({windows, Pooling::maximum}), {part});
            }
        }
    }

    Rng rng_;
    std::uint64_t draws_ = 0;
    Graph graph_;
};

Tensor run(const RandomNetwork& network, const PermutationAnalysis* analysis,
           const Permutations& permutations) {
    const Graph& graph = network.graph();
    Weights weights(graph);
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
        const Parameter& parameter = graph.parameter(id);
        // Positive: variances are among them.
        Tensor value = random_tensor(parameter.shape, parameter.name, DType::f64, 0.5);
        for (double& v : value.values<double>()) v = parameter.shape.size() == 1 ? std::abs(v) : v;
        if (analysis != nullptr)
            value = reorder(value, analysis->order({id, 0}, permutations),
                            parameter.shape.size() > 1 ? analysis->order({id, 1}, permutations)
                                                       : std::vector<std::int32_t>());
        weights.bind(id, value);
    }
    Shape shape = graph.input_shape();
    shape[0] = 2;
    return Executor(graph, cpu_backend(), DType::f64)
        .forward(graph.whole(network.output), weights, random_tensor(shape, "images"));
}

}  // namespace

TEST_CASE("any order that the analysis allows leaves random networks over images as they are") {
    std::int64_t moved = 0;
    for (std::uint64_t seed = 0; seed < 80; ++seed) {
        INFO("seed " << seed);
        const RandomNetwork network(seed);
        const PermutationAnalysis analysis(network.graph());
        const Permutations permutations = test::random_permutations(analysis, seed);
        analysis.validate(permutations);
        for (ParameterId id = 0; id < static_cast<ParameterId>(network.graph().parameters().size()); ++id)
            moved += analysis.order({id, 0}, permutations).empty() ? 0 : 1;
        const Tensor expected = run(network, nullptr, {});
        const Tensor actual = run(network, &analysis, permutations);
        double worst = 0;
        for (std::int64_t i = 0; i < expected.size(); ++i)
            worst = std::max(worst, std::abs(expected.data<double>()[i] - actual.data<double>()[i]) /
                                        std::max(1.0, std::abs(expected.data<double>()[i])));
        REQUIRE(worst < 1e-10);
    }
    CHECK(moved > 500);
}
