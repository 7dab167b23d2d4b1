// Several inputs and outputs of a graph as records.
#include "core/graph/blocks.hpp"
#include "core/graph/cuts.hpp"
#include "core/graph/execution.hpp"
#include "core/graph/graph_json.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/graph/record.hpp"
#include "core/graph/tensor_operators.hpp"
#include "tests/support/random.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// Inputs a [2, 3] and b [4] of a sample; outputs tanh(a), [2, 3], and the softmax of b.
Graph two_in_two_out() {
    Graph graph;
    const std::vector<RecordPart> parts = record_parts({{2, 3}, {4}});
    const ValueId in = graph.add_input("inputs", {1, 10});
    graph.set_inputs({{"a", {2, 3}}, {"b", {4}, ElementKind::integer}});
    const ValueId a = graph.add("a", make_reshape({-1, 2, 3}),
                                {graph.add("a", make_slice({1, parts[0].first, parts[0].size, 1}), {in})});
    const ValueId b = graph.add("b", make_slice({1, parts[1].first, parts[1].size, 1}), {in});
    const ValueId p = graph.add("p", make_unary({Unary::tanh}), {a});
    const ValueId q = graph.add("q", make_softmax(), {b});
    state_outputs(graph, {p, q}, {{"p", {}, {}}, {"q", {}, {}}});
    return graph;
}

}  // namespace

TEST_CASE("parts of a record are taken out and put back") {
    const std::vector<RecordPart> parts = record_parts({{2, 3}, {}, {4}});
    REQUIRE(parts.size() == 3);
    CHECK((parts[1].first == 6 && parts[1].size == 1 && parts[2].first == 7));
    const Tensor record = test::random_tensor({5, 11}, "record");
    Tensor copy = Tensor::zeros({5, 11}, record.dtype());
    for (const RecordPart& part : parts) put_part(part_of(record, part), part, copy);
    CHECK(part_of(record, parts[0]).shape() == Shape{5, 2, 3});
    CHECK(part_of(record, parts[1]).shape() == Shape{5});
    CHECK(std::ranges::equal(record.bytes(), copy.bytes()));
}

TEST_CASE("a graph of several inputs and outputs computes on records, and its JSON is the same graph") {
    const Graph graph = two_in_two_out();
    REQUIRE(graph.outputs().size() == 2);
    CHECK(graph.outputs()[0].meaning == OutputMeaning::values);
    CHECK(graph.outputs()[1].compared_as == OutputMeaning::logits);  // in front of the Softmax
    CHECK(compared_as(graph) == OutputMeaning::values);
    const auto parts = compared_parts(graph);
    REQUIRE(parts.size() == 2);
    CHECK((parts[1].part.first == 6 && parts[1].part.shape == Shape{4}));
    const Tensor record = test::random_tensor({3, 10}, "record");
    const Executor executor(graph, cpu_backend(), DType::f64);
    const Tensor compared = executor.forward(graph.body(), Weights(graph), record);
    REQUIRE(compared.shape() == Shape{3, 10});
    const Tensor logits = part_of(record, record_parts({{2, 3}, {4}})[1]);
    CHECK(std::ranges::equal(part_of(compared, parts[1].part).bytes(), logits.bytes()));
    CHECK(part_of(compared, parts[0].part).data<double>()[0] == Approx(std::tanh(record.data<double>()[0])));
    const nlohmann::json json = to_json(graph);
    const Graph again = graph_from_json(json);
    CHECK(to_json(again) == json);
    CHECK(again.inputs() == graph.inputs());
    nlohmann::json damaged = json;
    damaged["inputs"][0]["shape"] = {2, 4};
    CHECK_THROWS_WITH(graph_from_json(damaged), Catch::Contains("record of shape"));
    damaged = json;
    damaged["outputs"][1]["compared"] = 2;
    CHECK_THROWS_WITH(graph_from_json(damaged), Catch::Contains("what the last node makes"));
    CHECK_THROWS_WITH(need_classes(graph, "a count"),
                      Catch::Contains("Choose it: model.outputs: [{name: p}]"));
}

TEST_CASE("inputs of a fixed batch are columns of as many rows") {
    Graph graph;
    (void)graph.add_input("inputs", {2, 10});
    CHECK_NOTHROW(graph.set_inputs({{"a", {2, 3}}, {"b", {4}}}));
    CHECK_THROWS_AS(graph.set_inputs({{"a", {2, 3}}, {"b", {5}}}), Error);
}

TEST_CASE("an output among several whose Softmax has several rows per sample is compared by sample") {
    Graph graph;
    const ValueId in = graph.add_input("x", {1, 2, 4});
    const ValueId rows = graph.add("rows", make_reshape({-1, 4}), {in});
    const ValueId scores = graph.add("scores", make_unary({Unary::tanh}), {rows});
    const ValueId softmax = graph.add("softmax", make_softmax(), {scores});
    const ValueId p = graph.add("p", make_reshape({-1, 2, 4}), {softmax});
    const ValueId q = graph.add("q", make_unary({Unary::tanh}), {in});
    state_outputs(graph, {p, q}, {{"p", {}, {}}, {"q", {}, {}}});
    CHECK(graph.outputs()[0].compared_as == OutputMeaning::logits);
    const auto parts = compared_parts(graph);
    CHECK(parts[0].part.shape == Shape{2, 4});
    const Tensor input = test::random_tensor({3, 2, 4}, "x");
    const Tensor compared =
        Executor(graph, cpu_backend(), DType::f64).forward(graph.body(), Weights(graph), input);
    REQUIRE(compared.shape() == Shape{3, 16});
    for (const ComparedPart& each : parts) {
        const Tensor part = part_of(compared, each.part);
        for (std::int64_t i = 0; i < part.size(); ++i)
            CHECK(part.data<double>()[i] == Approx(std::tanh(input.data<double>()[i])));
    }
    CHECK(to_json(graph_from_json(to_json(graph))) == to_json(graph));
}

namespace {

/// With records and blocks; what it makes of two samples of three rows is what `graph` does.
Graph cut_graph(const Graph& graph, ValueId output) {
    Weights weights(graph);
    for (ParameterId id = 0; id < std::ssize(graph.parameters()); ++id)
        weights.bind(id, test::random_tensor(graph.parameter(id).shape, graph.parameter(id).name));
    const Tensor input = test::random_tensor({2, 3, graph.input_shape().back()}, "input");
    const auto run = [&](const Graph& which, ValueId value) {
        return Executor(which, cpu_backend(), DType::f64).forward(which.whole(value), weights, input);
    };
    std::vector<ValueId> values{output};
    Graph cut = with_records(graph, values);
    CHECK(std::ranges::equal(run(cut, values.front()).bytes(), run(graph, output).bytes()));
    state_outputs(cut, values, {{"y", {}, {}}});
    cut_blocks(cut);
    return cut;
}

}  // namespace

TEST_CASE("a graph whose layers all read a mask is cut into layers, and computes the same") {
    constexpr std::int64_t width = 4;
    constexpr int layers = 12;
    Graph graph;
    const ValueId in = graph.add_input("x", {1, 3, width});
    const ValueId mask = graph.add("mask", make_unary({Unary::tanh}), {in});
    ValueId x = in;
    for (int layer = 0; layer < layers; ++layer) {
        const auto name = std::to_string(layer);
        const ParameterId a = graph.add_parameter({"a" + name, "linear", {width, width}, -1, true});
        const ParameterId b = graph.add_parameter({"b" + name, "linear", {width, width}, -1, true});
        const ValueId wide = graph.add("wide", make_linear(), {x}, {a});
        const ValueId masked = graph.add("masked", make_binary(Binary::multiply), {wide, mask});
        const ValueId narrow = graph.add("narrow", make_linear(), {masked}, {b});
        x = graph.add("sum", make_binary(Binary::add), {x, narrow});
    }
    const Graph cut = cut_graph(graph, x);
    CHECK(cut.blocks().size() >= layers - 4);  // of the last weights a block remains
    for (const Block& block : cut.blocks())
        if (&block != &cut.blocks().back()) CHECK(cut.linears(block.nodes).size() == 2);

    // Nothing is cut that a value passes alone.
    Graph chain;
    ValueId y = chain.add_input("x", {1, width});
    for (int layer = 0; layer < layers; ++layer)
        y = chain.add("linear", make_linear(), {y},
                      {chain.add_parameter({std::to_string(layer), "linear", {width, width}, -1, true})});
    std::vector<ValueId> end{y};
    CHECK(with_records(chain, end).node_count() == chain.node_count());
}

TEST_CASE("what runs one by one is cut into blocks whose values have a dimension of samples") {
    constexpr std::int64_t width = 4;
    constexpr int layers = 12;
    Graph graph;
    ValueId x = graph.add_input("x", {1, 3, width});
    x = graph.add("steps", make_reshape({3, width}), {x});
    for (int layer = 0; layer < layers; ++layer)
        x = graph.add("linear", make_linear(), {x},
                      {graph.add_parameter({std::to_string(layer), "linear", {width, width}, -1, true})});
    x = graph.add("back", make_reshape({1, 3, width}), {x});
    graph.set_one_by_one();
    const Graph cut = cut_graph(graph, x);
    CHECK(cut.one_by_one());
    CHECK(cut.blocks().size() == layers);
    const std::vector<Shape> shapes = cut.infer(cut.input_shape());
    for (const Block& block : cut.blocks()) CHECK(shapes.at(static_cast<std::size_t>(block.output))[0] == 1);
}
