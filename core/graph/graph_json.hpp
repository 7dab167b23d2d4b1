#pragma once
// A graph as JSON: how an artifact of a model that has no architecture of a name brings its graph along.

#include "core/base/json.hpp"
#include "core/graph/graph.hpp"

namespace jlcm {

/// {"input": {"name", "shape"}, "parameters": [{"name", "role", "shape", "linear"}], "nodes": [{"name", "operator",
/// "attributes", "inputs", "parameters"}], "outputs": [GraphOutput]}. Values are numbered: 0 is the input, then a
/// node's each. An input that is a record of several has "inputs": [{"name", "shape", "kind"}] besides; several outputs
/// are compared by the last node's value, their record. "one_by_one": see Graph. In place of "outputs" there may be
/// "output", the last node's value, whose meaning is then found (output_meaning.hpp). A language model has "head":
/// {"parameter", "soft_cap"}, the last linear layer, and parameters with equal names, which share a tensor.
[[nodiscard]] nlohmann::json to_json(const Graph& graph);
/// The reverse, with blocks (blocks.hpp). An input error if the JSON is no graph whose shapes fit, and of a language
/// model, whose graph is that of its configuration.
[[nodiscard]] Graph graph_from_json(const nlohmann::json& json);
/// The inputs whose record a described graph reads; none: its input is one tensor.
[[nodiscard]] std::vector<GraphInput> inputs_from_json(const nlohmann::json& json);

/// An operator of its kind() and attributes(). An input error names a kind that there is not.
[[nodiscard]] OperatorPtr make_operator(std::string_view kind, const nlohmann::json& attributes);
/// The unary and binary ones; null if it is none.
[[nodiscard]] OperatorPtr make_elementwise(std::string_view kind, const nlohmann::json& attributes);
/// Whether a kind is a binary one.
[[nodiscard]] bool is_binary(std::string_view kind);

}  // namespace jlcm
