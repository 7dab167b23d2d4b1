#include "core/graph/graph_json.hpp"

#include "core/base/json_error.hpp"
#include "core/graph/blocks.hpp"
#include "core/graph/data_operators.hpp"
#include "core/graph/grid_sample.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/graph/recurrent.hpp"
#include "core/graph/tensor_operators.hpp"

#include <algorithm>
#include <functional>
#include <map>

namespace jlcm {

NLOHMANN_JSON_SERIALIZE_ENUM(ElementKind, {{ElementKind::number, "number"},
                                           {ElementKind::integer, "integer"},
                                           {ElementKind::truth, "truth"}})

namespace {

using nlohmann::json;
using Maker = std::function<OperatorPtr(const json&)>;

const std::map<std::string, Maker, std::less<>>& makers() {
    static const std::map<std::string, Maker, std::less<>> table{
        {"linear", [](const json& a) { return make_linear(a.at("bias").get<bool>()); }},
        {"embedding", [](const json&) { return make_embedding(); }},
        {"positions", [](const json& a) { return make_positions(a.at("offset").get<std::int64_t>()); }},
        {"attention",
         [](const json& a) {
             return make_attention(a.at("query_heads").get<std::int64_t>(),
                                   a.at("key_heads").get<std::int64_t>(),
                                   a.at("head_dim").get<std::int64_t>(),
                                   AttentionOptions{.causal = a.at("causal").get<bool>(),
                                                    .scale = a.value("scale", 0.0),
                                                    .soft_cap = a.value("soft_cap", 0.0),
                                                    .window = a.value("window", std::int64_t{0})});
         }},
        {"convolution", [](const json& a) { return make_convolution(a.get<ConvolutionAttributes>()); }},
        {"batch_norm", [](const json& a) { return make_batch_norm(a.at("epsilon").get<double>()); }},
        {"constant", [](const json&) { return make_constant(); }},
        {"transpose", [](const json& a) { return make_transpose(a.at("order").get<std::vector<int>>()); }},
        {"reshape", [](const json& a) { return make_reshape(a.at("shape").get<Shape>()); }},
        {"slice", [](const json& a) { return make_slice(a.get<SliceAttributes>()); }},
        {"pad", [](const json& a) { return make_pad(a.get<PadAttributes>()); }},
        {"expand", [](const json& a) { return make_expand(a.at("shape").get<Shape>()); }},
        {"recurrent", [](const json& a) { return make_recurrent(a.get<RecurrentAttributes>()); }},
        {"concat", [](const json& a) { return make_concat(a.at("dimension").get<int>()); }},
        {"transposed_convolution",
         [](const json& a) { return make_transposed_convolution(a.get<TransposedConvolutionAttributes>()); }},
        {"pooling", [](const json& a) { return make_pooling(a.get<PoolingAttributes>()); }},
        {"layer_norm",
         [](const json& a) {
             return make_layer_norm(a.at("epsilon").get<double>(), a.at("affine").get<bool>());
         }},
        {"softmax", [](const json&) { return make_softmax(); }},
        {"log_softmax", [](const json&) { return make_log_softmax(); }},
        {"matmul", [](const json&) { return make_matmul(); }},
        {"reduce", [](const json& a) { return make_reduce(a.get<ReduceAttributes>()); }},
        {"where", [](const json&) { return make_where(); }},
        {"quantize", [](const json& a) { return make_quantize(a.get<QuantizeAttributes>()); }},
        {"cumulative_sum",
         [](const json& a) { return make_cumulative_sum(a.get<CumulativeSumAttributes>()); }},
        {"grid_sample", [](const json& a) { return make_grid_sample(a.get<GridSampleAttributes>()); }},
        {"gather", [](const json& a) { return make_gather(a.at("dimension").get<int>()); }},
        {"gather_elements", [](const json& a) { return make_gather_elements(a.at("dimension").get<int>()); }},
        {"top_k", [](const json& a) { return make_top_k(a.get<TopKAttributes>()); }},
    };
    return table;
}

/// How many values and parameters an operator reads, which relies on them being there.
void check_arity(const std::string& name, const Operator& op, std::size_t inputs, std::size_t parameters) {
    constexpr std::size_t any = 1 << 16;
    struct Arity {
        std::size_t least_inputs;
        std::size_t most_inputs;
        std::size_t parameters;
    };
    const json attributes = op.attributes();
    const std::size_t bias = attributes.value("bias", false) ? 1 : 0;
    const std::string cell = attributes.value("cell", "");
    const std::map<std::string_view, Arity> table{
        {"recurrent",
         {1, cell == "lstm" ? std::size_t{3} : 2, cell == "gru_reset_behind" ? std::size_t{2} : 1}},
        {"linear", {1, 1, 1 + bias}},
        {"convolution", {1, 1, 1 + bias}},
        {"transposed_convolution", {1, 1, 1 + bias}},
        {"embedding", {1, 1, 1}},
        {"positions", {1, 1, 1}},
        {"attention", {3, 3, 0}},
        {"batch_norm", {1, 1, 4}},
        {"constant", {0, 0, 1}},
        {"expand", {1, 2, 0}},
        {"concat", {1, any, 0}},
        {"layer_norm", {1, 1, attributes.value("affine", false) ? std::size_t{2} : 0}},
        {"matmul", {2, 2, 0}},
        {"where", {3, 3, 0}},
        {"quantize", {3, 3, 0}},
        {"grid_sample", {2, 2, 0}},
        {"gather", {2, 2, 0}},
        {"gather_elements", {2, 2, 0}},
    };
    const std::size_t elementwise = is_binary(op.kind()) || make_comparison(op.kind()) ? 2 : 1;
    const auto found = table.find(op.kind());
    const Arity arity = found == table.end() ? Arity{elementwise, elementwise, 0} : found->second;
    require(inputs >= arity.least_inputs && inputs <= arity.most_inputs && parameters == arity.parameters,
            "node {}, a {}, reads {} values and {} parameters", name, op.kind(), inputs, parameters);
}

OutputMeaning meaning_of(const json& name) {
    for (const auto& each : enum_names(OutputMeaning{}))
        if (each.name == name.get<std::string>()) return each.value;
    fail("'{}' is no meaning of an output", name.get<std::string>());
}

/// `last`: the value of the last node.
void read_outputs(const json& description, ValueId last, Graph& graph) {
    const auto listed = description.find("outputs");
    if (listed == description.end()) {
        // Written by a version that knew no meanings.
        require(description.at("output").get<ValueId>() == last,
                "the output is not what the last node makes");
        graph.set_head(last, -1);
        return state_output(graph, graph.values().at(static_cast<std::size_t>(last)));
    }
    std::vector<GraphOutput> outputs;
    for (const json& each : *listed) {
        GraphOutput& output = outputs.emplace_back();
        output = {.name = each.at("name").get<std::string>(),
                  .value = each.at("value").get<ValueId>(),
                  .meaning = meaning_of(each.at("meaning")),
                  .compared = each.at("compared").get<ValueId>(),
                  .compared_as = meaning_of(each.at("compared_as")),
                  .found = each.at("found").get<std::string>()};
        require(std::min(output.value, output.compared) > 0 &&
                    std::max(output.value, output.compared) <= last &&
                    output.compared_as != OutputMeaning::log_probabilities,
                "the output '{}' is not a value that a node makes", output.name);
    }
    require(!outputs.empty(), "no output is described");
    if (outputs.size() > 1) return graph.set_outputs(std::move(outputs), last);
    const GraphOutput& only = outputs.front();
    require(std::max(only.value, only.compared) == last, "the output '{}' is not what the last node makes",
            only.name);
    const ValueId features = only.compared;
    graph.set_outputs(std::move(outputs), features);
}

/// `last`: as above. The record of several outputs is what each is compared by, one behind the other.
void check_record(const Graph& graph, ValueId last) {
    if (graph.outputs().size() < 2) return;
    const auto parts = compared_parts(graph);
    const Shape shape = graph.infer(graph.input_shape()).at(static_cast<std::size_t>(last));
    require(shape.size() == 2 && shape[1] == parts.back().part.first + parts.back().part.size,
            "{} outputs are not compared by what the last node makes, of shape {}", parts.size(),
            to_string(shape));
}

void read_inputs(const json& description, Graph& graph) {
    std::vector<GraphInput> inputs = inputs_from_json(description);
    if (inputs.empty()) return;
    std::int64_t elements = 0;
    for (const GraphInput& each : inputs) {
        for (const std::int64_t size : each.shape)
            require(size > 0 && size < std::int64_t{1} << 31, "the input '{}' has a size {}", each.name,
                    size);
        elements += element_count(each.shape);
    }
    require(inputs.size() > 1 && graph.input_shape() == Shape{1, elements},
            "{} inputs of {} elements do not make the record of shape {}", inputs.size(), elements,
            to_string(graph.input_shape()));
    graph.set_inputs(std::move(inputs));
}

Graph read_graph(const json& description) {
    require(!description.contains("head"), "a language model's graph is that of its configuration");
    Graph graph;
    const auto& input = description.at("input");
    ValueId last = graph.add_input(input.at("name").get<std::string>(), input.at("shape").get<Shape>());
    read_inputs(description, graph);
    if (description.value("one_by_one", false)) {
        require(graph.input_shape().at(0) == 1, "samples run one by one, and the input is {}",
                to_string(graph.input_shape()));
        graph.set_one_by_one();
    }
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
        const OperatorPtr op = make_operator(kind, each.at("attributes"));
        const auto inputs = check(each.at("inputs").get<std::vector<ValueId>>(), graph.values().size(), name);
        const auto parameters =
            check(each.at("parameters").get<std::vector<ParameterId>>(), graph.parameters().size(), name);
        check_arity(name, *op, inputs.size(), parameters.size());
        last = graph.add(name, op, inputs, parameters);
    }
    require(graph.node_count() > 0, "there is no node that makes an output");
    (void)graph.infer(graph.input_shape());
    read_outputs(description, last, graph);
    check_record(graph, last);
    cut_blocks(graph);
    return graph;
}

}  // namespace

OperatorPtr make_operator(std::string_view kind, const json& attributes) {
    if (OperatorPtr op = make_elementwise(kind, attributes)) return op;
    if (OperatorPtr op = make_pointwise(kind)) return op;
    if (OperatorPtr op = make_comparison(kind)) return op;
    const auto found = makers().find(kind);
    require(found != makers().end(), "the operator '{}' is not known", kind);
    return found->second(attributes);
}

std::vector<GraphInput> inputs_from_json(const json& description) {
    std::vector<GraphInput> inputs;
    if (const auto listed = description.find("inputs"); listed != description.end())
        for (const json& each : *listed)
            inputs.push_back({each.at("name").get<std::string>(), each.at("shape").get<Shape>(),
                              each.at("kind").get<ElementKind>()});
    return inputs;
}

json to_json(const Graph& graph) {
    json result{{"input", {{"name", graph.values().front()}, {"shape", graph.input_shape()}}},
                {"parameters", json::array()},
                {"nodes", json::array()}};
    for (const GraphInput& each : graph.inputs())
        result["inputs"].push_back({{"name", each.name}, {"shape", each.shape}, {"kind", each.kind}});
    if (graph.one_by_one()) result["one_by_one"] = true;
    if (graph.outputs().empty()) result["output"] = graph.features();
    if (graph.head() >= 0)
        result["head"] = {{"parameter", graph.head()}, {"soft_cap", graph.head_soft_cap()}};
    for (const GraphOutput& each : graph.outputs())
        result["outputs"].push_back({{"name", each.name},
                                     {"value", each.value},
                                     {"meaning", name_of(each.meaning)},
                                     {"compared", each.compared},
                                     {"compared_as", name_of(each.compared_as)},
                                     {"found", each.found}});
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
