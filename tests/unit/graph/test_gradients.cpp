// Every operator's backward against central differences, in double precision.
#include "core/graph/data_operators.hpp"
#include "core/graph/execution.hpp"
#include "core/graph/expert_operators.hpp"
#include "core/graph/grid_sample.hpp"
#include "core/graph/recurrent.hpp"
#include "core/graph/tensor_operators.hpp"
#include "core/graph/transformer.hpp"
#include "tests/support/random.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

/// loss = sum(upstream * output), the scalar whose gradient is checked.
struct Problem {
    Graph graph;
    Weights weights;
    Tensor input;
    ValueId output;

    Tensor run(Recording* recording = nullptr) const {
        const Executor executor(graph, cpu_backend(), DType::f64);
        return executor.forward(graph.whole(output), weights, input, recording);
    }
    double loss(const Tensor& upstream) const {
        const Tensor y = run();
        double total = 0;
        for (std::int64_t i = 0; i < y.size(); ++i) total += y.data<double>()[i] * upstream.data<double>()[i];
        return total;
    }
};

/// Compares `analytic` with central differences over (at most 40 evenly spread elements of) `variable`.
void check_gradient(const Problem& problem, Tensor variable, const Tensor& analytic, const Tensor& upstream) {
    REQUIRE(analytic.shape() == variable.shape());
    const std::int64_t step = std::max<std::int64_t>(1, variable.size() / 40);
    for (std::int64_t i = 0; i < variable.size(); i += step) {
        double& x = variable.data<double>()[i];
        const double kept = x;
        const double h = 1e-5 * std::max(1.0, std::abs(kept));
        x = kept + h;
        const double up = problem.loss(upstream);
        x = kept - h;
        const double down = problem.loss(upstream);
        x = kept;
        const double expected = (up - down) / (2 * h);
        INFO("element " << i << " of " << to_string(variable.shape()));
        REQUIRE(analytic.data<double>()[i] == Approx(expected).epsilon(2e-6).margin(2e-7));
    }
}

void check_all_gradients(const Problem& problem, bool check_input = true) {
    Recording recording;
    const Tensor y = problem.run(&recording);
    const Tensor upstream = random_tensor(y.shape(), "upstream");
    Gradients gradients;
    gradients.want_input = check_input;
    for (ParameterId id = 0; id < static_cast<ParameterId>(problem.graph.parameters().size()); ++id)
        gradients.parameters[id] = Tensor::zeros(problem.weights[id].shape(), DType::f64);
    const Executor executor(problem.graph, cpu_backend(), DType::f64);
    executor.backward(problem.graph.whole(problem.output), recording, problem.weights, upstream, gradients);
    if (check_input) check_gradient(problem, problem.input, gradients.input, upstream);
    for (const auto& [id, gradient] : gradients.parameters) {
        INFO("parameter " << problem.graph.parameter(id).name);
        check_gradient(problem, problem.weights[id], gradient, upstream);
    }
}

/// One operator on one input, with parameters of the given shapes.
Problem single(const OperatorPtr& op, const Shape& input, const std::vector<Shape>& parameters,
               int uses = 1) {
    Graph graph;
    const ValueId x = graph.add_input("x");
    std::vector<ParameterId> ids;
    for (const Shape& shape : parameters)
        ids.push_back(graph.add_parameter({"p" + std::to_string(ids.size()), "other", shape}));
    const ValueId y = graph.add("op", op, std::vector<ValueId>(static_cast<std::size_t>(uses), x), ids);
    Weights weights(graph);
    for (const ParameterId id : ids)
        weights.bind(id, random_tensor(graph.parameter(id).shape, graph.parameter(id).name));
    return {graph, weights, random_tensor(input, "input"), y};
}

}  // namespace

TEST_CASE("linear backward matches finite differences") {
    check_all_gradients(single(make_linear(), {2, 3, 5}, {{4, 5}}));
    check_all_gradients(single(make_linear(true), {7, 5}, {{4, 5}, {4}}));
    check_all_gradients(single(make_linear(), {1, 1}, {{1, 1}}));
}

TEST_CASE("rms_norm backward matches finite differences") {
    check_all_gradients(single(make_rms_norm(1e-5), {3, 4, 6}, {{6}}));
    check_all_gradients(single(make_rms_norm(1e-2), {1, 1}, {{1}}));
}

TEST_CASE("rotary backward matches finite differences") {
    check_all_gradients(single(make_rotary(4, 10000.0), {2, 5, 8}, {}));
    RotaryScaling scaling;
    scaling.kind = RotaryScaling::Kind::llama3;
    scaling.factor = 8;
    scaling.original_context = 16;
    check_all_gradients(single(make_rotary(8, 100.0, scaling), {1, 9, 8}, {}));
}

TEST_CASE("rotary backward of some features of a head, and of every scaling, matches finite differences") {
    check_all_gradients(single(make_rotary(6, 100.0, {}, 4), {2, 5, 12}, {}));
    RotaryScaling scaling;
    scaling.kind = RotaryScaling::Kind::yarn;
    scaling.factor = 4;
    scaling.original_context = 32;
    scaling.magnitude = 1.2;
    check_all_gradients(single(make_rotary(8, 100.0, scaling), {1, 9, 8}, {}));
    scaling.kind = RotaryScaling::Kind::long_rope;
    scaling.short_factors = {1, 2};
    scaling.long_factors = {1.5, 4};
    for (const double original : {4.0, 32.0}) {
        scaling.original_context = original;
        check_all_gradients(single(make_rotary(6, 100.0, scaling, 4), {1, 9, 6}, {}));
    }
}

TEST_CASE("rms_norm backward of heads, and with an offset, matches finite differences") {
    check_all_gradients(single(make_rms_norm(1e-5, 1.0), {3, 4, 6}, {{6}}));
    check_all_gradients(single(make_rms_norm(1e-5), {2, 3, 12}, {{4}}));
    check_all_gradients(single(make_rms_norm(1e-5, 1.0), {2, 3, 12}, {{4}}));
}

TEST_CASE("routing and routed linear backward match finite differences") {
    for (const bool normalised : {false, true}) {
        check_all_gradients(single(make_routing(2, normalised), {2, 3, 5}, {}));
        check_all_gradients(single(make_routing(1, normalised), {4, 3}, {}));
        check_all_gradients(single(make_routing(3, normalised), {4, 3}, {}));
    }
    check_all_gradients(single(make_routed_linear(0.5), {2, 3, 5}, {{4, 5}}));
    Problem some = single(make_routed_linear(0.5), {2, 3, 5}, {{4, 5}});
    for (std::int64_t i = 5; i < 15; ++i) some.input.data<double>()[i] = 0;
    check_all_gradients(some);
    CHECK(rows_in_use(some.input) == std::vector<std::int64_t>{0, 3, 4, 5});
    some.input = Tensor::zeros({2, 3, 5}, DType::f64);
    check_all_gradients(some);
}

TEST_CASE("element-wise backward matches finite differences") {
    for (const Unary function : {Unary::silu, Unary::relu, Unary::gelu, Unary::tanh, Unary::sigmoid})
        check_all_gradients(single(make_unary({function}), {3, 7}, {}));
    for (const Binary function : {Binary::add, Binary::multiply, Binary::silu_multiply})
        check_all_gradients(single(make_binary(function), {3, 7}, {}, 2));
}

TEST_CASE("broadcast and further element-wise backward match finite differences") {
    using enum Unary;
    for (const UnaryFunction& function : {UnaryFunction{clip, -0.4, 0.7},
                                          {leaky_relu, 0.2},
                                          {hard_sigmoid, 0.3, 0.5},
                                          {hard_swish},
                                          {elu, 0.7},
                                          {softplus},
                                          {affine, -2, 3},
                                          {exponential},
                                          {absolute},
                                          {erf},
                                          {soft_cap, 0.8},
                                          {power, 3}})
        check_all_gradients(single(make_unary(function), {3, 7}, {}));
    for (const Binary function :
         {Binary::subtract, Binary::divide, Binary::minimum, Binary::maximum, Binary::add})
        for (const Shape& shape : {Shape{2, 3, 4}, Shape{4}, Shape{3, 1}, Shape{1, 1, 4}, Shape{1}}) {
            Graph graph;
            const ValueId x = graph.add_input("x");
            const ParameterId p = graph.add_parameter({"p", "other", shape});
            const ValueId c = graph.add("c", make_constant(), {}, {p});
            const ValueId y = graph.add("op", make_binary(function), {x, c});
            Weights weights(graph);
            weights.bind(p, random_tensor(shape, "p"));
            check_all_gradients({graph, weights, random_tensor({2, 3, 4}, "x"), y});
        }
}

TEST_CASE("convolution backward matches finite differences") {
    const auto windows = [](Integers kernel, Integers stride, Integers dilation, Integers before,
                            Integers behind) {
        return WindowAttributes{std::move(kernel), std::move(stride), std::move(dilation),
                                std::move(before), std::move(behind), false};
    };
    const auto plain = windows({3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1});
    const auto odd = windows({3, 2}, {2, 1}, {1, 2}, {0, 2}, {1, 0});
    const auto pointwise = windows({1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0});
    const auto line = windows({3}, {2}, {2}, {1}, {2});
    check_all_gradients(single(make_convolution({plain, 1, true}), {2, 5, 4, 3}, {{4, 27}, {4}}));
    check_all_gradients(single(make_convolution({odd, 1, false}), {2, 5, 6, 3}, {{4, 18}}));
    check_all_gradients(single(make_convolution({odd, 2, true}), {2, 5, 6, 4}, {{6, 12}, {6}}));
    check_all_gradients(single(make_convolution({odd, 3, false}), {2, 5, 6, 3}, {{3, 6}}));
    check_all_gradients(single(make_convolution({odd, 3, false}), {1, 5, 6, 3}, {{6, 6}}));
    check_all_gradients(single(make_convolution({pointwise, 1, false}), {2, 5, 6, 3}, {{4, 3}}));
    check_all_gradients(single(make_convolution({line, 1, true}), {2, 9, 3}, {{4, 9}, {4}}));
    check_all_gradients(single(make_convolution({plain, 1, false}), {1, 1, 1, 1}, {{1, 9}}));
}

TEST_CASE("batch_norm backward matches finite differences, statistics included") {
    Problem problem = single(make_batch_norm(1e-3), {2, 3, 4, 5}, {{5}, {5}, {5}, {5}});
    Tensor variance = problem.weights[3].clone();
    for (double& v : variance.values<double>()) v = v * v + 0.1;
    problem.weights.bind(3, variance);
    check_all_gradients(problem);
}

TEST_CASE("transposed convolution backward matches finite differences") {
    // From 3 x 4 pixels to 6 x 7.
    const WindowAttributes windows{{3, 2}, {2, 2}, {1, 1}, {1, 0}, {0, 1}, false};
    check_all_gradients(
        single(make_transposed_convolution({windows, {6, 7}, 1, true}), {2, 3, 4, 3}, {{12, 3}, {2}}));
    check_all_gradients(
        single(make_transposed_convolution({windows, {6, 7}, 2, false}), {2, 3, 4, 4}, {{24, 2}}));
}

TEST_CASE("pooling, layer_norm, softmax and matmul backward match finite differences") {
    const WindowAttributes windows{{3, 2}, {2, 1}, {1, 2}, {1, 0}, {1, 1}, true};
    for (const Pooling pooling : {Pooling::maximum, Pooling::average, Pooling::average_with_padding})
        check_all_gradients(single(make_pooling({windows, pooling}), {2, 6, 5, 3}, {}));
    check_all_gradients(single(make_layer_norm(1e-3, true), {2, 3, 5}, {{5}, {5}}));
    check_all_gradients(single(make_layer_norm(1e-3, false), {3, 5}, {}));
    check_all_gradients(single(make_softmax(), {2, 3, 5}, {}));
    check_all_gradients(single(make_log_softmax(), {2, 3, 5}, {}));
    check_all_gradients(single(make_matmul(), {2, 3, 3}, {}, 2));
    Graph graph;
    const ValueId x = graph.add_input("x");
    const ParameterId p = graph.add_parameter({"p", "other", {4, 5}});
    const ValueId c = graph.add("c", make_constant(), {}, {p});
    const ValueId y = graph.add("op", make_matmul(), {x, c});
    Weights weights(graph);
    weights.bind(p, random_tensor({4, 5}, "p"));
    check_all_gradients({graph, weights, random_tensor({2, 3, 4}, "x"), y});
}

TEST_CASE("backward of what moves elements matches finite differences") {
    check_all_gradients(single(make_transpose({2, 0, 1}), {2, 3, 4}, {}));
    check_all_gradients(single(make_reshape({4, -1}), {2, 3, 4}, {}));
    check_all_gradients(single(make_slice({1, 2, 2, -2}), {2, 3, 4}, {}));
    check_all_gradients(single(make_slice({2, 1, 2, 1}), {2, 3, 4}, {}));
    for (const PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::edge})
        check_all_gradients(single(make_pad({{0, 2, 1}, {0, 1, 3}, mode, 0.5}), {2, 4, 5}, {}));
    check_all_gradients(single(make_concat(1), {2, 3, 4}, {}, 3));
    check_all_gradients(single(make_expand({2, 3, 4}), {2, 1, 4}, {}));
    check_all_gradients(single(make_expand({5, 2, 3}), {2, 1}, {}));
    check_all_gradients(single(make_expand({-1, 2, 3}), {2, 1}, {}, 2));
    for (const bool keep : {true, false})
        for (const Reduction reduction : {Reduction::sum, Reduction::mean})
            check_all_gradients(single(make_reduce({reduction, {0, 2}, keep}), {2, 3, 4}, {}));
}

TEST_CASE("embedding backward matches finite differences") {
    Graph graph;
    const ValueId ids = graph.add_input("ids");
    const ParameterId table = graph.add_parameter({"table", "embedding", {6, 4}});
    const ValueId y = graph.add("embedding", make_embedding(), {ids}, {table});
    Weights weights(graph);
    weights.bind(table, random_tensor({6, 4}, "table"));
    check_all_gradients({graph, weights, test::random_ids({2, 5}, 6, "ids"), y}, false);
}

TEST_CASE("attention backward matches finite differences") {
    for (const AttentionOptions& options : {AttentionOptions{},
                                            {.causal = false},
                                            {.window = 3},
                                            {.scale = 0.4, .soft_cap = 0.7, .window = 140},
                                            {.causal = false, .scale = 0.9, .soft_cap = 2}}) {
        for (const std::int64_t length : {1, 5, 150}) {
            // q, k and v by three linear layers from one input: grouped-query, 4 heads over 2.
            Graph graph;
            const ValueId x = graph.add_input("x");
            std::vector<ValueId> qkv;
            Weights weights(graph);
            for (const auto& [name, width] : {std::pair{"q", 8}, std::pair{"k", 4}, std::pair{"v", 4}}) {
                const ParameterId id = graph.add_parameter({name, "other", {width, 3}});
                qkv.push_back(graph.add(name, make_linear(), {x}, {id}));
            }
            const ValueId y = graph.add("attention", make_attention(4, 2, 2, options), qkv);
            Weights bound(graph);
            for (ParameterId id = 0; id < 3; ++id)
                bound.bind(id, random_tensor(graph.parameter(id).shape, graph.parameter(id).name));
            check_all_gradients({graph, bound, random_tensor({2, length, 3}, "x"), y});
        }
    }
}

TEST_CASE("a window is what a mask of it leaves, at once and over a cache") {
    constexpr std::int64_t length = 300;  // more than a page of the cache
    const Tensor q = random_tensor({1, length, 8}, "q", DType::f32);
    const Tensor k = random_tensor({1, length, 4}, "k", DType::f32);
    const Tensor v = random_tensor({1, length, 4}, "v", DType::f32);
    for (const double soft_cap : {0.0, 0.8}) {
        for (const std::int64_t window : {1, 7, 200, 300}) {
            CAPTURE(soft_cap, window);
            AttentionShape shape{1, length, 2, 1, 4};
            shape.scale = 0.6;
            shape.soft_cap = soft_cap;
            shape.window = window;
            Tensor sums;
            const Tensor y = cpu_backend().attention(shape, q, k, v, DType::f32, sums);
            KeyValueCache cache(CacheType::f32);
            cache.append({1, 1, 4}, k, v);
            shape.length = 150;
            const Tensor late =
                cpu_backend().cached_attention(shape, q.reshape({length, 8}).slice(150, 300), cache);
            for (std::int64_t t = 0; t < length; t += 23) {
                for (std::int64_t head = 0; head < 2; ++head) {
                    double total = 0;
                    std::vector<double> mixed(4, 0.0);
                    for (std::int64_t s = std::max<std::int64_t>(0, t + 1 - window); s <= t; ++s) {
                        double score = 0;
                        for (std::int64_t i = 0; i < 4; ++i)
                            score += 0.6 * static_cast<double>(q.data<float>()[t * 8 + head * 4 + i] *
                                                               k.data<float>()[s * 4 + i]);
                        const double weight =
                            std::exp(soft_cap > 0 ? soft_cap * std::tanh(score / soft_cap) : score);
                        total += weight;
                        for (std::size_t i = 0; i < 4; ++i)
                            mixed[i] += weight * static_cast<double>(
                                                     v.data<float>()[s * 4 + static_cast<std::int64_t>(i)]);
                    }
                    for (std::int64_t i = 0; i < 4; ++i) {
                        const double expected = mixed[static_cast<std::size_t>(i)] / total;
                        CHECK(static_cast<double>(y.data<float>()[t * 8 + head * 4 + i]) ==
                              Approx(expected).margin(1e-5));
                        if (t >= 150)
                            CHECK(static_cast<double>(late.data<float>()[(t - 150) * 8 + head * 4 + i]) ==
                                  Approx(expected).margin(1e-5));
                    }
                }
            }
        }
    }
}

TEST_CASE("a whole decoder backward matches finite differences, plain and with every option") {
    const bool has_options = GENERATE(false, true);
    TransformerConfig config;
    config.hidden_size = 8;
    config.intermediate_size = 12;
    config.layers = 2;
    config.query_heads = 4;
    config.key_heads = 2;
    config.head_dim = 2;
    config.vocabulary = 11;
    config.tied_head = true;
    if (has_options) {
        config.norm_place = NormPlace::around;
        config.names.attention_out_norm = "attention_out";
        config.names.mlp_out_norm = "mlp_out";
        config.norm_offset = 1;
        config.query_norm = QueryNorm::heads;
        config.embedding_scale = 1.5;
        config.window = 3;
        config.local_layers = {true, false};
        config.local_rotary_base = 100;
        config.attention_soft_cap = 1.5;
        config.activation = Unary::gelu_tanh;
        config.experts = {.count = 3, .chosen = 2, .intermediate_size = 5, .dense_layers = {true, false}};
    }
    Graph graph = build_transformer(config);
    Weights weights(graph);
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id)
        weights.bind(id, random_tensor(graph.parameter(id).shape, graph.parameter(id).name, DType::f64, 0.5));
    const ValueId features = graph.features();
    Problem problem{graph, weights, test::random_ids({2, 6}, 11, "ids"), features};
    problem.weights.release(graph.head());
    Recording recording;
    const Tensor y = problem.run(&recording);
    const Tensor upstream = random_tensor(y.shape(), "upstream");
    Gradients gradients;
    for (const auto& node : graph.nodes())
        for (const ParameterId id : node.parameters)
            gradients.parameters.insert({id, Tensor::zeros(problem.weights[id].shape(), DType::f64)});
    Executor(graph, cpu_backend(), DType::f64)
        .backward(graph.whole(features), recording, problem.weights, upstream, gradients);
    for (const auto& [id, gradient] : gradients.parameters) {
        INFO(graph.parameter(id).name);
        check_gradient(problem, problem.weights[id], gradient, upstream);
    }
}

TEST_CASE("backward through time matches finite differences") {
    constexpr std::int64_t width = 3;
    for (const RecurrentCell cell : {RecurrentCell::lstm, RecurrentCell::gru, RecurrentCell::gru_reset_behind,
                                     RecurrentCell::tanh, RecurrentCell::relu}) {
        for (const bool reverse : {false, true}) {
            INFO(nlohmann::json(cell).dump() << (reverse ? ", reverse" : ""));
            const OperatorPtr op = make_recurrent({cell, reverse});
            const std::int64_t rows = gates_of(cell) * width;
            std::vector<Shape> parameters{{rows, width}};
            if (cell == RecurrentCell::gru_reset_behind) parameters.push_back({width});
            check_all_gradients(single(op, {2, 4, rows}, parameters));
            // First states made of the same input.
            Problem problem = single(op, {2, 4, rows}, parameters);
            Graph graph;
            const ValueId x = graph.add_input("x");
            for (const Parameter& each : problem.graph.parameters()) (void)graph.add_parameter(each);
            const ValueId step = graph.add("step", make_slice({1, 0, 1, 1}), {x});
            std::vector<ValueId> inputs{x};
            for (std::int64_t i = 0; i < (cell == RecurrentCell::lstm ? 2 : 1); ++i) {
                const ValueId part = graph.add("part", make_slice({2, i, width, 1}), {step});
                inputs.push_back(graph.add("state", make_reshape({-1, width}), {part}));
            }
            std::vector<ParameterId> ids;
            for (std::size_t i = 0; i < parameters.size(); ++i) ids.push_back(static_cast<ParameterId>(i));
            problem.output = graph.add("op", op, inputs, ids);
            problem.graph = graph;
            check_all_gradients(problem);
        }
    }
}

TEST_CASE("the weight of a recurrent layer is multiplied with the states in front of the steps") {
    constexpr std::int64_t width = 3;
    const Shape shape{2, 4, 3 * width};
    for (const RecurrentCell cell : {RecurrentCell::gru, RecurrentCell::gru_reset_behind}) {
        std::vector<Shape> parameters{{3 * width, width}};
        if (cell == RecurrentCell::gru_reset_behind) parameters.push_back({width});
        Problem problem = single(make_recurrent({cell, false}), shape, parameters);
        Graph graph;
        const ValueId x = graph.add_input("x");
        std::vector<ParameterId> ids;
        for (Parameter each : problem.graph.parameters()) {
            each.linear = ids.empty();
            ids.push_back(graph.add_parameter(each));
        }
        problem.output = graph.add("op", problem.graph.node(0).op, {x}, ids);
        problem.graph = graph;
        CHECK(graph.node(0).op->weight_inputs_key() != make_linear()->weight_inputs_key());
        CHECK(graph.node(0).op->weight_inputs_key() != make_recurrent({cell, true})->weight_inputs_key());
        Tensor rows;
        const Executor executor(problem.graph, cpu_backend(), DType::f64);
        const Tensor y = executor.forward(problem.graph.whole(problem.output), problem.weights, problem.input,
                                          nullptr, [&](NodeId, const Tensor& seen) { rows = seen; });
        const bool has_groups = cell == RecurrentCell::gru;
        REQUIRE(rows.size() == 2 * 4 * width * (has_groups ? 3 : 1));
        // [.., steps, samples, width]: the second step reads what the first made.
        for (std::int64_t s = 0; s < 2; ++s)
            for (std::int64_t j = 0; j < width; ++j) {
                CHECK(rows.data<double>()[s * width + j] == 0);
                CHECK(rows.data<double>()[(2 + s) * width + j] == y.data<double>()[s * 4 * width + j]);
            }
    }
}

TEST_CASE("backward of selections and sums matches finite differences") {
    check_all_gradients(single(make_pointwise(Pointwise::sine), {3, 7}, {}));
    check_all_gradients(single(make_pointwise(Pointwise::cosine), {3, 7}, {}));
    for (const bool exclusive : {false, true})
        for (const bool reverse : {false, true})
            check_all_gradients(single(make_cumulative_sum({exclusive, reverse}), {2, 3, 5}, {}));
    check_all_gradients(single(make_top_k({3, true, false, false}), {2, 7}, {}));
    check_all_gradients(single(make_top_k({1, false, false, true}), {2, 3, 4}, {}));
    // A condition, indices: constants beside the input.
    const auto with_constant = [](const OperatorPtr& op, const Shape& input, const Shape& shape,
                                  const std::vector<double>& values, bool constant_first) {
        Graph graph;
        const ValueId x = graph.add_input("x");
        const ParameterId id = graph.add_parameter({"c", "other", shape});
        const ValueId c = graph.add("constant", make_constant(), {}, {id});
        std::vector<ValueId> inputs =
            constant_first ? std::vector<ValueId>{c, x, x} : std::vector<ValueId>{x, c};
        const ValueId y = graph.add("op", op, inputs);
        Weights weights(graph);
        weights.bind(id, Tensor::from<double>(shape, values));
        return Problem{graph, weights, random_tensor(input, "input"), y};
    };
    const auto check_input = [](const Problem& problem) {
        Recording recording;
        const Tensor y = problem.run(&recording);
        const Tensor upstream = random_tensor(y.shape(), "upstream");
        Gradients gradients;
        gradients.want_input = true;
        const Executor executor(problem.graph, cpu_backend(), DType::f64);
        executor.backward(problem.graph.whole(problem.output), recording, problem.weights, upstream,
                          gradients);
        check_gradient(problem, problem.input, gradients.input, upstream);
    };
    check_input(with_constant(make_where(), {2, 4}, {4}, {1, 0, 0, 1}, true));
    check_input(with_constant(make_gather(1), {3, 4, 2}, {2, 3}, {0, 3, 3, -1, 1, 0}, false));
    check_input(with_constant(make_gather_elements(1), {2, 4}, {2, 3}, {0, 3, 3, -1, 1, 1}, false));
}

TEST_CASE("the backward of images read at places matches finite differences, in images and places") {
    for (const Outside outside : {Outside::zeros, Outside::border, Outside::reflection})
        for (const bool align : {false, true}) {
            Graph graph;
            const ValueId places = graph.add_input("places");
            const ParameterId id = graph.add_parameter({"image", "constant", {2, 4, 5, 3}});
            const ValueId image = graph.add("image", make_constant(), {}, {id});
            const ValueId y = graph.add("read", make_grid_sample({false, outside, align}), {image, places});
            Weights weights(graph);
            weights.bind(id, random_tensor({2, 4, 5, 3}, "image"));
            check_all_gradients({graph, weights, random_tensor({2, 3, 4, 2}, "places"), y});
        }
    // The nearest pixel stays what it is where the place moves a little.
    Graph graph;
    const ValueId image = graph.add_input("image");
    const ParameterId id = graph.add_parameter({"places", "constant", {1, 3, 4, 2}});
    const ValueId places = graph.add("places", make_constant(), {}, {id});
    const ValueId y = graph.add("read", make_grid_sample({true, Outside::border, true}), {image, places});
    Weights weights(graph);
    weights.bind(id, random_tensor({1, 3, 4, 2}, "places"));
    check_all_gradients({graph, weights, random_tensor({1, 4, 5, 3}, "image"), y});
}
