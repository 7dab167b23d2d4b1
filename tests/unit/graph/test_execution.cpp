// What a forward without a recording does differently: operators that take along what follows on them, images
// that go through apart, weights that are packed once. All against the plain walk.
#include "core/base/parallel.hpp"
#include "core/graph/execution.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/tensor_operators.hpp"
#include "tests/support/random.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

/// A network of convolutions and its weights.
struct Network {
    explicit Network(Shape input) { value = graph.add_input("x", std::move(input)); }

    ValueId add(const OperatorPtr& op, std::vector<ValueId> inputs, const std::vector<Shape>& shapes = {}) {
        std::vector<ParameterId> parameters;
        for (const Shape& shape : shapes)
            parameters.push_back(graph.add_parameter(
                {"p" + std::to_string(graph.parameters().size()), "", shape, -1, shape.size() == 2}));
        const std::string name = "n" + std::to_string(graph.node_count());
        return value = graph.add(name, op, std::move(inputs), parameters);
    }
    ValueId convolution(ValueId x, std::int64_t outputs, std::int64_t size, std::int64_t groups = 1,
                        std::int64_t stride = 1, bool bias = true) {
        const WindowAttributes windows{{size, size},         {stride, stride},     {1, 1},
                                       {size / 2, size / 2}, {size / 2, size / 2}, false};
        std::vector<Shape> shapes{{outputs, channels(x) / groups * size * size}};
        if (bias) shapes.push_back({outputs});
        return add(make_convolution({windows, groups, bias}), {x}, shapes);
    }
    ValueId norm(ValueId x) {
        const Shape size{channels(x)};
        return add(make_batch_norm(10), {x}, {size, size, size, size});
    }
    ValueId function(ValueId x, UnaryFunction f) { return add(make_unary(f), {x}); }
    ValueId sum(ValueId a, ValueId b) { return add(make_binary(Binary::add), {a, b}); }
    [[nodiscard]] std::int64_t channels(ValueId x) const {
        return graph.infer(graph.input_shape())[static_cast<std::size_t>(x)].back();
    }

    [[nodiscard]] Weights weights(DType type) const {
        Weights result(graph);
        for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
            const Parameter& parameter = graph.parameter(id);
            const Tensor plain = random_tensor(parameter.shape, parameter.name)
                                     .to(type == DType::f64 ? DType::f64 : DType::f32);
            const Tensor scaled = cpu_backend().unary({Unary::affine, 0.3, 0.1}, plain);
            result.bind(id, parameter.linear ? scaled.to(type) : scaled);
        }
        return result;
    }

    Graph graph;
    ValueId value = -1;
};

double difference(const Tensor& a, const Tensor& b) {
    REQUIRE(a.shape() == b.shape());
    const Tensor x = a.to(DType::f64);
    const Tensor y = b.to(DType::f64);
    double size = 1e-30;
    double most = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) {
        size = std::max(size, std::abs(y.data<double>()[i]));
        most = std::max(most, std::abs(x.data<double>()[i] - y.data<double>()[i]));
    }
    return most / size;
}

/// The plain walk, which keeps every value.
Tensor plain(const Network& network, const Executor& executor, const Weights& weights, const Tensor& x) {
    Recording recording;
    return executor.forward(network.graph.whole(network.value), weights, x, &recording);
}
Tensor fused(const Network& network, const Executor& executor, const Weights& weights, const Tensor& x) {
    return executor.forward(network.graph.whole(network.value), weights, x);
}

void check(const Network& network, std::int64_t images) {
    Shape shape = network.graph.input_shape();
    shape[0] = images;
    for (const DType type : {DType::f64, DType::f32, DType::bf16}) {
        const Executor executor(network.graph, cpu_backend(), type);
        const Weights weights = network.weights(type);
        const Tensor x = random_tensor(shape, "x").to(type == DType::f64 ? DType::f64 : DType::f32);
        const Tensor expected = plain(network, executor, weights, x);
        set_thread_count(1);
        const Tensor one = fused(network, executor, weights, x);
        // bfloat16: an input of the next product may be rounded the other way.
        const double tolerance = type == DType::f64 ? 1e-13 : (type == DType::f32 ? 2e-6 : 2e-2);
        INFO(name_of(type) << ", " << images << " images");
        CHECK(difference(one, expected) < tolerance);
        for (const int threads : {2, 3}) {
            set_thread_count(threads);
            const Tensor again = fused(network, executor, weights, x);
            CHECK(std::ranges::equal(again.bytes(), one.bytes()));
        }
        set_thread_count(2);
    }
}

}  // namespace

TEST_CASE("what follows on a convolution is done with it") {
    Network n({1, 9, 7, 3});
    const ValueId a = n.function(n.norm(n.convolution(0, 8, 3)), {Unary::relu});
    const ValueId b = n.function(n.convolution(a, 8, 3, 8), {Unary::clip, 0, 6});
    const ValueId c = n.norm(n.convolution(b, 8, 1, 1, 1, false));
    const ValueId d = n.function(n.sum(a, c), {Unary::relu});
    const ValueId e = n.function(n.convolution(d, 5, 3, 1, 2), {Unary::hard_swish});
    n.add(make_concat(3), {n.convolution(e, 4, 1), n.sum(n.convolution(e, 5, 1), e), e});
    for (const std::int64_t images : {1, 2, 5}) check(n, images);
}

TEST_CASE("a value that others read, too, is not done away with") {
    Network n({1, 6, 6, 4});
    const ValueId a = n.convolution(0, 4, 3);
    const ValueId b = n.function(a, {Unary::relu});
    const ValueId c = n.sum(a, b);  // a has two readers
    const ValueId d = n.convolution(c, 4, 1);
    const ValueId e = n.sum(d, d);  // one reader, twice
    const ValueId f = n.convolution(e, 4, 1);
    const ValueId g = n.convolution(e, 4, 3);
    n.sum(f, g);  // the second of two convolutions takes the first one's result along
    check(n, 3);
    n.value = d;  // what is asked for has a reader behind it
    check(n, 3);
}

TEST_CASE("sums that broadcast, and norms behind a sum, stay their own") {
    Network n({1, 5, 5, 4});
    const ValueId a = n.convolution(0, 4, 3);
    const ValueId pooled = n.add(make_reduce({Reduction::mean, {1, 2}, true}), {a});
    const ValueId b = n.sum(n.convolution(a, 4, 1), pooled);
    n.norm(n.sum(n.convolution(b, 4, 1), b));
    check(n, 2);
}

TEST_CASE("large convolutions are cut by lines or by outputs") {
    Network lines({1, 40, 40, 32});
    const ValueId a = lines.function(lines.convolution(0, 64, 3), {Unary::relu});
    lines.function(lines.sum(lines.norm(lines.convolution(a, 64, 3)), a), {Unary::relu});
    check(lines, 1);
    Network outputs({1, 5, 5, 512});
    const ValueId b = outputs.function(outputs.convolution(0, 1000, 3), {Unary::relu});
    const ValueId c = outputs.norm(outputs.convolution(b, 1000, 3));
    outputs.function(outputs.sum(b, c), {Unary::sigmoid});
    check(outputs, 1);
}

TEST_CASE("a weight that is bound anew is packed anew") {
    Network n({1, 8, 8, 16});
    n.convolution(0, 16, 3);
    const Executor executor(n.graph, cpu_backend(), DType::f32);
    Weights weights = n.weights(DType::f32);
    const Tensor x = random_tensor({1, 8, 8, 16}, "x").to(DType::f32);
    const Tensor before = fused(n, executor, weights, x);
    const Weights kept = weights;
    weights.bind(0, cpu_backend().unary({Unary::affine, 2, 0}, weights[0]));
    CHECK(difference(fused(n, executor, weights, x), plain(n, executor, weights, x)) < 2e-6);
    CHECK(difference(fused(n, executor, weights, x), before) > 0.1);
    CHECK(difference(fused(n, executor, kept, x), before) == 0);
}

TEST_CASE("samples that run one by one come out as alone, and their gradients add up") {
    // A reduction over what would be the samples, and a width that the samples lie in.
    Network net({1, 3, 4});
    const ValueId flat = net.add(make_reshape({3, 4}), {net.value});
    const ValueId wide = net.add(make_linear(), {flat}, {{5, 4}});
    const ValueId mean = net.add(make_reduce({Reduction::mean, {0}, true}), {wide});
    const ValueId centred = net.add(make_binary(Binary::subtract), {wide, mean});
    const ValueId out = net.add(make_linear(), {centred}, {{2, 5}});
    net.add(make_reshape({1, 3, 2}), {out});
    net.graph.set_one_by_one();
    net.graph.set_head(net.value, -1);
    const Graph& graph = net.graph;
    CHECK(to_json(graph_from_json(to_json(graph)))["one_by_one"] == true);
    CHECK(graph.infer({7, 3, 4}).back() == Shape{7, 3, 2});
    CHECK(graph.flops({0, graph.node_count()}, {7, 3, 4}) ==
          7 * graph.flops({0, graph.node_count()}, {1, 3, 4}));

    const Weights weights = net.weights(DType::f64);
    const Executor executor(graph, cpu_backend(), DType::f64);
    const Tensor input = random_tensor({7, 3, 4}, "x").to(DType::f64);
    const Tensor slope = random_tensor({7, 3, 2}, "slope").to(DType::f64);
    const auto wanted = [&] {
        Gradients gradients;
        gradients.want_input = true;
        for (const ParameterId id : graph.parameters_of({0, graph.node_count()}))
            gradients.parameters.emplace(id, Tensor::zeros(graph.parameter(id).shape, DType::f64));
        return gradients;
    };
    Recording recording;
    int seen = 0;
    const Tensor together =
        executor.forward(graph.body(), weights, input, &recording, [&](NodeId, const Tensor&) { ++seen; });
    CHECK(seen == 7 * 2);
    CHECK(std::ranges::equal(executor.forward(graph.body(), weights, input).bytes(), together.bytes()));
    Gradients all = wanted();
    executor.backward(graph.body(), recording, weights, slope, all);
    Gradients sum = wanted();
    for (std::int64_t i = 0; i < 7; ++i) {
        const Tensor one = input.slice(i, i + 1);
        const Tensor alone = executor.forward(graph.body(), weights, one, &recording);
        CHECK(std::ranges::equal(alone.bytes(), together.slice(i, i + 1).bytes()));
        executor.backward(graph.body(), recording, weights, slope.slice(i, i + 1), sum);
        CHECK(std::ranges::equal(sum.input.bytes(), all.input.slice(i, i + 1).bytes()));
    }
    for (const auto& [id, gradient] : all.parameters)
        CHECK(std::ranges::equal(gradient.bytes(), sum.parameters.at(id).bytes()));
}
