// What graphs say of their outputs: found from the last operators, stated, refused.
#include "core/base/error.hpp"
#include "core/graph/execution.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/graph/tensor_operators.hpp"
#include "tests/support/random.hpp"

#include <functional>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Matchers::Contains;

/// A linear layer [n, 4] to [n, 6], and what `end` makes of it.
Graph network(const std::function<ValueId(Graph&, ValueId)>& end, Shape input = {1, 4}) {
    Graph graph;
    ValueId x = graph.add_input("x", std::move(input));
    x = graph.add("z", make_linear(), {x}, {graph.add_parameter({"w", "linear", {6, 4}, -1, true})});
    graph.set_head(end(graph, x), -1);
    return graph;
}

ValueId apply(Graph& graph, OperatorPtr op, ValueId x) {
    return graph.add("node", std::move(op), {x});
}

const GraphOutput& stated(Graph& graph, const OutputChoice& choice = {}) {
    state_output(graph, "p", choice);
    return graph.outputs().front();
}

OutputChoice meaning(OutputMeaning value, std::optional<std::int64_t> axis = {}) {
    return {.name = "p", .meaning = value, .axis = axis};
}

}  // namespace

TEST_CASE("an output's meaning is found through whatever only moves elements") {
    struct Case {
        const char* name;
        std::function<ValueId(Graph&, ValueId)> end;
        OutputMeaning meaning;
        OutputMeaning compared_as;
        ValueId compared;
    };
    const auto softmax = [](Graph& g, ValueId x) { return apply(g, make_softmax(), x); };
    const auto scaled = [](Graph& g, ValueId x, double factor) {
        return apply(g, make_unary({Unary::affine, factor, 0}), x);
    };
    const std::vector<Case> cases{
        {"softmax", softmax, OutputMeaning::probabilities, OutputMeaning::logits, 1},
        {"log_softmax", [](Graph& g, ValueId x) { return apply(g, make_log_softmax(), x); },
         OutputMeaning::log_probabilities, OutputMeaning::logits, 1},
        {"logarithm",
         [&](Graph& g, ValueId x) { return apply(g, make_unary({Unary::logarithm}), softmax(g, x)); },
         OutputMeaning::log_probabilities, OutputMeaning::logits, 1},
        {"sigmoid", [](Graph& g, ValueId x) { return apply(g, make_unary({Unary::sigmoid}), x); },
         OutputMeaning::multilabel_probabilities, OutputMeaning::multilabel_logits, 1},
        {"moved",
         [&](Graph& g, ValueId x) {
             return apply(g, make_reshape({-1, 6, 1, 1}), softmax(g, x));
         },
         OutputMeaning::probabilities, OutputMeaning::logits, 1},
        {"mean",
         [&](Graph& g, ValueId x) {
             const ValueId other = softmax(g, scaled(g, x, -1));
             const ValueId sum = g.add("sum", make_binary(Binary::add), {softmax(g, x), other});
             return scaled(g, sum, 0.5);
         },
         OutputMeaning::probabilities, OutputMeaning::probabilities, 6},
        {"sum",  // to 2
         [&](Graph& g, ValueId x) {
             return g.add("sum", make_binary(Binary::add), {softmax(g, x), softmax(g, scaled(g, x, -1))});
         },
         OutputMeaning::logits, OutputMeaning::logits, 5},
        {"over samples",
         [](Graph& g, ValueId x) {
             const ValueId turned = apply(g, make_softmax(), apply(g, make_transpose({1, 0}), x));
             return apply(g, make_transpose({1, 0}), turned);
         },
         OutputMeaning::values, OutputMeaning::values, 4},
        {"linear", [](Graph&, ValueId x) { return x; }, OutputMeaning::logits, OutputMeaning::logits, 1},
        {"one score",
         [](Graph& g, ValueId x) {
             return apply(g, make_slice({1, 0, 1, 1}), x);
         },
         OutputMeaning::values, OutputMeaning::values, 2},
        {"boxes",
         [](Graph& g, ValueId x) {
             return apply(g, make_reshape({-1, 3, 2}), x);
         },
         OutputMeaning::values, OutputMeaning::values, 2},
        // Channels first: the classes are moved behind the pixel.
        {"pixel",
         [](Graph& g, ValueId x) {
             return apply(g, make_reshape({-1, 6, 1, 1}), x);
         },
         OutputMeaning::logits, OutputMeaning::logits, 3},
    };
    for (const Case& each : cases) {
        INFO(each.name);
        Graph graph = network(each.end);
        const ValueId last = graph.features();
        const GraphOutput& output = stated(graph);
        CHECK(output.meaning == each.meaning);
        CHECK(output.compared_as == each.compared_as);
        CHECK(output.compared == each.compared);
        CHECK(output.value == last);
        CHECK(graph.features() == output.compared);
        CHECK(graph.body().nodes.end == graph.features());
        const Graph again = graph_from_json(to_json(graph));
        CHECK(to_json(again) == to_json(graph));
        CHECK(again.blocks().back().output == graph.features());
        CHECK(again.epilogue().nodes.first == again.epilogue().nodes.end);
    }
}

TEST_CASE("a stated meaning puts the classes last, and is refused where the shape does not allow it") {
    const auto image = [](Graph& g, ValueId x) { return apply(g, make_reshape({-1, 3, 2, 1}), x); };
    Graph graph = network(image);
    CHECK(stated(graph, meaning(OutputMeaning::logits)).compared_as == OutputMeaning::logits);
    CHECK(graph.infer({2, 4}).at(static_cast<std::size_t>(graph.features())) == Shape({2, 2, 1, 3}));
    graph = network(image);
    CHECK(stated(graph, meaning(OutputMeaning::log_probabilities, -2)).compared_as == OutputMeaning::logits);
    CHECK(graph.infer({2, 4}).at(static_cast<std::size_t>(graph.features())) == Shape({2, 3, 2}));
    graph = network([](Graph&, ValueId x) { return x; });
    CHECK(stated(graph, meaning(OutputMeaning::values)).meaning == OutputMeaning::values);

    // What the graph says already stays with its logits; anything else is the user's word.
    const auto softmax = [](Graph& g, ValueId x) { return apply(g, make_softmax(), x); };
    graph = network(softmax);
    CHECK(stated(graph, meaning(OutputMeaning::probabilities)).compared == 1);
    graph = network(softmax);
    CHECK(stated(graph, meaning(OutputMeaning::logits)).compared == 2);

    graph = network(image);
    CHECK_THROWS_WITH(state_output(graph, "p", meaning(OutputMeaning::logits, 0)), Contains("along axis 0"));
    CHECK_THROWS_WITH(state_output(graph, "p", meaning(OutputMeaning::logits, 3)), Contains("one class"));
    CHECK_NOTHROW(state_output(graph, "p", meaning(OutputMeaning::multilabel_logits, 3)));
    graph = network([](Graph& g, ValueId x) { return apply(g, make_reshape({-1}), x); });
    CHECK_THROWS_WITH(state_output(graph, "p", meaning(OutputMeaning::logits)),
                      Contains("its meaning is values"));
}

TEST_CASE("classes are one score per class for each sample") {
    const auto classes = [](const std::function<ValueId(Graph&, ValueId)>& end,
                            const OutputChoice& choice = {}) {
        Graph graph = network(end);
        state_output(graph, "p", choice);
        return need_classes(graph, "counting");
    };
    CHECK(classes([](Graph&, ValueId x) { return x; }) == 6);
    CHECK(classes([](Graph& g, ValueId x) { return apply(g, make_reshape({-1, 6, 1, 1}), x); }) == 6);
    const auto boxes = [](Graph& g, ValueId x) { return apply(g, make_reshape({-1, 3, 2}), x); };
    CHECK_THROWS_WITH(classes(boxes), Contains("[n, 3, 2]") && Contains("meaning: logits"));
    CHECK_THROWS_WITH(classes(boxes, meaning(OutputMeaning::logits)),
                      Contains("[n, 3, 2]") && Contains("model.outputs"));
    CHECK_THROWS_WITH(classes([](Graph& g, ValueId x) {
                          return apply(g, make_slice({1, 0, 1, 1}), x);
                      }),
                      Contains("[n, 1]"));
}

TEST_CASE("graphs of versions that knew no meanings are read, and damaged outputs are not") {
    Graph graph = network([](Graph& g, ValueId x) { return apply(g, make_softmax(), x); });
    nlohmann::json json = to_json(graph);
    REQUIRE(json.contains("output"));
    CHECK(graph_from_json(json).features() == 1);
    CHECK(graph_from_json(json).outputs().front().meaning == OutputMeaning::probabilities);
    json["output"] = 1;
    CHECK_THROWS_AS(graph_from_json(json), Error);
    state_output(graph, "p");
    json = to_json(graph);
    for (const auto& [key, value] :
         std::vector<std::pair<std::string, nlohmann::json>>{{"value", 7},
                                                             {"value", -1},
                                                             {"compared", 0},
                                                             {"compared", 3},
                                                             {"meaning", "x"},
                                                             {"compared_as", "log_probabilities"},
                                                             {"found", 1}}) {
        INFO(key);
        nlohmann::json damaged = json;
        damaged["outputs"][0][key] = value;
        CHECK_THROWS_AS(graph_from_json(damaged), Error);
    }
    json["outputs"] = nlohmann::json::array();
    CHECK_THROWS_AS(graph_from_json(json), Error);
}

TEST_CASE("log_softmax is finite, exact and as a softmax's logarithm") {
    Graph graph;
    const ValueId x = graph.add_input("x", {1, 4});
    const ValueId y = graph.add("y", make_log_softmax(), {x});
    const Weights weights(graph);
    const std::vector<float> rows{0, 1000, -1000, 999, -3e38F, 0, 3e38F, 1, 5, 5, 5, 5};
    const Tensor input = Tensor::from<float>({3, 4}, rows);
    const Executor executor(graph, cpu_backend(), DType::f32);
    Recording recording;
    const Tensor output = executor.forward(graph.whole(y), weights, input, &recording);
    const double shift = std::log1p(std::exp(-1.0));
    const std::vector<double> expected{-1000 - shift, -shift, -2000 - shift, -1 - shift};
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(static_cast<double>(output.data<float>()[i]) == Approx(expected[i]).epsilon(1e-7));
    CHECK(output.data<float>()[6] == 0);
    CHECK(static_cast<double>(output.data<float>()[8]) == Approx(-std::log(4.0)).epsilon(1e-7));
    Gradients gradients;
    gradients.want_input = true;
    executor.backward(graph.whole(y), recording, weights, test::random_tensor({3, 4}, "upstream", DType::f32),
                      gradients);
    for (const float g : gradients.input.values<float>()) CHECK(std::isfinite(g));
}
