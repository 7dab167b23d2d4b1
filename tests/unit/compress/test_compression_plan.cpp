// What a run leaves as it is, and why.
#include "core/compress/compression_plan.hpp"
#include "core/graph/tensor_operators.hpp"

#include <catch2/catch.hpp>

using namespace jlcm;

TEST_CASE("tensors of two dimensions and 256 weights that a run leaves are listed with the reason") {
    Graph graph;
    const auto parameter = [&](const std::string& name, const std::string& role, Shape shape, bool linear) {
        return graph.add_parameter({name, role, std::move(shape), linear ? 0 : -1, linear});
    };
    ValueId x = graph.add_input("input", {1, 16, 16});
    const auto constant = [&](const std::string& name, Shape shape) {
        return graph.add(name, make_constant(), {}, {parameter(name, "constant", std::move(shape), false)});
    };
    x = graph.add("first", make_linear(), {x}, {parameter("first", "linear", {16, 16}, true)});
    x = graph.add("second", make_linear(), {x}, {parameter("second", "linear", {16, 16}, true)});
    const ValueId table = graph.add("seen", make_reshape({1, 16, 16}), {constant("table", {16, 16})});
    x = graph.add("sum", make_binary(Binary::add), {x, table});
    x = graph.add("small sum", make_binary(Binary::add), {x, constant("small", {15, 16})});
    x = graph.add("product", make_matmul(), {x, constant("matrices", {4, 16, 16})});
    (void)graph.add("shift", make_binary(Binary::add), {x, constant("bias", {256})});

    const auto left = left_tensors(graph, {*graph.find_parameter("first")});
    REQUIRE(left.size() == 3);
    CHECK(left[0].name == "second");
    CHECK_THAT(left[0].reason, Catch::Contains("compress.overrides"));
    CHECK(left[1].name == "table");
    CHECK(left[1].shape == Shape{16, 16});
    CHECK_THAT(left[1].reason, Catch::Contains("'sum'"));
    CHECK(left[2].name == "matrices");
    CHECK_THAT(left[2].reason, Catch::Contains("'product'"));
}
