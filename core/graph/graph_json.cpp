#include "core/graph/graph_json.hpp"

#include "core/base/json_error.hpp"
#include "core/graph/blocks.hpp"
#include "core/graph/tensor_operators.hpp"

#include <functional>
#include <map>

namespace jlcm {
namespace {

using nlohmann::json;
using Maker = std::function<OperatorPtr(const json&)>;

const std::map<std::string, Maker, std::less<>>& makers() {
    static const std::map<std::string, Maker, std::less<>> table{
        {"linear", [](const json& a) { return make_linear(a.at("bias").get<bool>()); }},
        {"positions", [](const json& a) { return make_positions(a.at("offset").get<std::int64_t>()); }},
        {"attention",
         [](const json& a) {
             return make_attention(a.at("query_heads").get<std::int64_t>(),
                                   a.at("key_heads").get<std::int64_t>(),
                                   a.at("head_dim").get<std::int64_t>(), a.at("causal").get<bool>());
         }},
        {"convolution", [](const json& a) { return make_convolution(a.get<ConvolutionAttributes>()); }},
        {"batch_norm", [](const json& a) { return make_batch_norm(a.at("epsilon").get<double>()); }},
        {"constant", [](const json&) { return make_constant(); }},
        {"transpose", [](const json& a) { return make_transpose(a.at("order").get<std::vector<int>>()); }},
        {"reshape", [](const json& a) { return make_reshape(a.at("shape").get<Shape>()); }},
        {"slice", [](const json& a) { return make_slice(a.get<SliceAttributes>()); }},
        {"pad", [](const json& a) { return make_pad(a.get<PadAttributes>()); }},
        {"expand", [](const json& a) { return make_expand(a.at("shape").get<Shape>()); }},
        {"concat", [](const json& a) { return make_concat(a.at("dimension").get<int>()); }},
        {"transposed_convolution",
         [](const json& a) { return make_transposed_convolution(a.get<TransposedConvolutionAttributes>()); }},
        {"pooling", [](const json& a) { return make_pooling(a.get<PoolingAttributes>()); }},
        {"layer_norm",
         [](const json& a) {
             return make_layer_norm(a.at("epsilon").get<double>(), a.at("affine").get<bool>());
         }},
        {"softmax", [](const json&) { return make_softmax(); }},
        {"matmul", [](const json&) { return make_matmul(); }},
        {"reduce", [](const json& a) { return make_reduce(a.get<ReduceAttributes>()); }},
    };
    return table;
}

Graph read_graph(const json& description) {
    Graph graph;
    const auto& input = description.at("input");
    ValueId last = graph.add_input(input.at("name").get<std::string>(), input.at("shape").get<Shape>());
    for (const auto& each : description.at("parameters")) {
        const auto name = each.at("name").get<std::string>();
        require(!graph.find_parameter(name), "two parameters have the name {}", name);
        (void)graph.add_parameter({name, each.at("role").get<std::string>(), each.at("shape").get<Shape>(),
                                   -1, each.at("linear").get<bool>()});
    }
    const auto check = [](const std::vector<int>& ids, std::size_t count, const std::string& node) {
        for (const int id : ids)
            require(id >= 0 && static_cast<std::size_t>(id) < count, "node {} reads number {} of {}", node,
                    id, count);
        return ids;
    };
    for (const auto& each : description.at("nodes")) {
        const auto name = each.at("name").get<std::string>();
        const auto kind = each.at("operator").get<std::string>();
        last = graph.add(
            name, make_operator(kind, each.at("attributes")),
            check(each.at("inputs").get<std::vector<ValueId>>(), graph.values().size(), name),
            check(each.at("parameters").get<std::vector<ParameterId>>(), graph.parameters().size(), name));
    }
    const auto output = description.at("output").get<ValueId>();
    require(graph.node_count() > 0 && output == last, "the output is not what the last node makes");
    graph.set_head(output, -1);
    (void)graph.infer(graph.input_shape());
    cut_blocks(graph);
    return graph;
}

}  // namespace

OperatorPtr make_operator(std::string_view kind, const json& attributes) {
    if (OperatorPtr op = make_elementwise(kind, attributes)) return op;
    const auto found = makers().find(kind);
    require(found != makers().end(), "the operator '{}' is not known", kind);
    return found->second(attributes);
}

json to_json(const Graph& graph) {
    ensure(graph.head() < 0, "a graph with a head has no JSON");
    json result{{"input", {{"name", graph.values().front()}, {"shape", graph.input_shape()}}},
                {"parameters", json::array()},
                {"nodes", json::array()},
                {"output", graph.features()}};
    for (const Parameter& each : graph.parameters())
        result["parameters"].push_back(
            {{"name", each.name}, {"role", each.role}, {"shape", each.shape}, {"linear", each.linear}});
    for (const Node& node : graph.nodes())
        result["nodes"].push_back({{"name", node.name},
                                   {"operator", std::string(node.op->kind())},
                                   {"attributes", node.op->attributes()},
                                   {"inputs", node.inputs},
                                   {"parameters", node.parameters}});
    return result;
}

Graph graph_from_json(const json& description) {
    try {
        return read_graph(description);
    } catch (const nlohmann::json::exception& error) {
        fail("the description of the graph is damaged: {}", json_error(error));
    }
}

}  // namespace jlcm
