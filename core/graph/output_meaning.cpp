#include "core/graph/output_meaning.hpp"

#include "core/graph/record.hpp"
#include "core/graph/tensor_operators.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

std::size_t index(int id) {
    return static_cast<std::size_t>(id);
}

/// The node that makes a value; null for the input.
const Node* maker(const Graph& graph, ValueId value) {
    return value == graph.input() ? nullptr : &graph.node(value - 1);
}

bool is(const Node* node, std::string_view kind) {
    return node != nullptr && node->op->kind() == kind;
}

/// The value whose elements `value` holds in another arrangement.
ValueId before_moves(const Graph& graph, ValueId value) {
    const Node* node = maker(graph, value);
    while (is(node, "reshape") || is(node, "transpose")) {
        value = node->inputs[0];
        node = maker(graph, value);
    }
    return value;
}

/// Shapes of all values for as many samples as the graph's example has, and for twice as many; the latter
/// empty where the graph takes no other number.
struct Shapes {
    std::vector<Shape> once;
    std::vector<Shape> twice;

    explicit Shapes(const Graph& graph) : once(graph.infer(graph.input_shape())) {
        Shape shape = graph.input_shape();
        shape.at(0) *= 2;
        try {
            twice = graph.infer(shape);
        } catch (const Error&) {
            twice.clear();
        }
    }
    /// Whether the first dimension is that of samples, and no other depends on their number.
    [[nodiscard]] bool keeps_samples_apart(ValueId value) const {
        const Shape& shape = once[index(value)];
        if (shape.size() < 2) return false;
        if (twice.empty()) return true;
        const Shape& other = twice[index(value)];
        return other.size() == shape.size() && other[0] == 2 * shape[0] &&
               std::equal(shape.begin() + 1, shape.end(), other.begin() + 1);
    }
};

/// What is known of the end of a graph.
struct Ending {
    OutputMeaning meaning = OutputMeaning::values;
    ValueId compared = -1;
    OutputMeaning compared_as = OutputMeaning::values;
    std::string found;
};

/// The sum along the last dimension of a value made of softmaxes by positive factors and sums.
std::optional<double> mass(const Graph& graph, ValueId value) {
    const Node* node = maker(graph, value);
    if (is(node, "softmax")) return 1.0;
    if (is(node, "affine")) {
        const auto constants = node->op->attributes();
        const double factor = constants.at("a").get<double>();
        const auto inner = mass(graph, node->inputs[0]);
        if (inner && factor > 0 && constants.at("b").get<double>() == 0) return factor * *inner;
    }
    if (is(node, "add")) {
        const auto first = mass(graph, node->inputs[0]);
        const auto second = mass(graph, node->inputs[1]);
        if (first && second) return *first + *second;
    }
    return std::nullopt;
}

std::optional<Ending> ending_of(const Graph& graph, ValueId output) {
    const ValueId last = before_moves(graph, output);
    const Node* node = maker(graph, last);
    if (is(node, "softmax"))
        return Ending{OutputMeaning::probabilities, node->inputs[0], OutputMeaning::logits,
                      "a Softmax at its end"};
    if (is(node, "log_softmax"))
        return Ending{OutputMeaning::log_probabilities, node->inputs[0], OutputMeaning::logits,
                      "a LogSoftmax at its end"};
    if (is(node, "sigmoid"))
        return Ending{OutputMeaning::multilabel_probabilities, node->inputs[0],
                      OutputMeaning::multilabel_logits, "a Sigmoid at its end"};
    if (is(node, "logarithm")) {
        const Node* inner = maker(graph, before_moves(graph, node->inputs[0]));
        if (is(inner, "softmax"))
            return Ending{OutputMeaning::log_probabilities, inner->inputs[0], OutputMeaning::logits,
                          "the logarithm of a Softmax at its end"};
    }
    constexpr double rounding = 1e-5;
    if (const auto total = mass(graph, last); total && std::abs(*total - 1) < rounding)
        return Ending{OutputMeaning::probabilities, last, OutputMeaning::probabilities,
                      "a mean of Softmaxes at its end"};
    return std::nullopt;
}

/// [n, 10], of the shape for one sample or for several.
std::string shape_text(const Shape& shape) {
    std::string text = "[n";
    for (std::size_t d = 1; d < shape.size(); ++d) text += fmt::format(", {}", shape[d]);
    return text + "]";
}

bool excludes_classes(OutputMeaning meaning) {
    return meaning == OutputMeaning::logits || meaning == OutputMeaning::probabilities ||
           meaning == OutputMeaning::log_probabilities;
}

/// `value` with its classes, which lie along `axis`, in the last dimension.
ValueId classes_last(Graph& graph, ValueId value, const Shape& shape, std::size_t axis) {
    if (axis + 1 == shape.size()) return value;
    if (std::all_of(shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, shape.end(),
                    [](std::int64_t size) { return size == 1; })) {
        Shape flat(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1);
        flat[0] = -1;
        return graph.add("classes_last", make_reshape(std::move(flat)), {value});
    }
    std::vector<int> order;
    for (std::size_t d = 0; d < shape.size(); ++d)
        if (d != axis) order.push_back(static_cast<int>(d));
    order.push_back(static_cast<int>(axis));
    return graph.add("classes_last", make_transpose(std::move(order)), {value});
}

Ending stated(Graph& graph, ValueId output, const Shapes& shapes, const OutputChoice& choice) {
    const std::string& name = choice.name;
    const OutputMeaning meaning = choice.meaning.value_or(OutputMeaning::values);
    Ending ending{meaning, output, meaning, "set in the spec"};
    if (meaning == OutputMeaning::values) return ending;
    const Shape& shape = shapes.once[index(output)];
    require(shapes.keeps_samples_apart(output),
            "the output '{}' has shape {}, whose first dimension is not that of samples: it cannot hold {}; "
            "its meaning is values",
            name, to_string(shape), name_of(meaning));
    const auto rank = static_cast<std::int64_t>(shape.size());
    // As networks write them: [n, classes, height, width], [n, length, classes].
    std::int64_t axis = choice.axis.value_or(rank == 4 ? 1 : rank - 1);
    if (axis < 0) axis += rank;
    require(axis >= 1 && axis < rank, "the output '{}' of shape {} has no classes along axis {}", name,
            shape_text(shape), choice.axis.value_or(axis));
    const std::int64_t classes = shape[static_cast<std::size_t>(axis)];
    require(classes >= 2 || !excludes_classes(meaning),
            "the output '{}' of shape {} has one class along axis {}: it cannot hold {}; set another axis, "
            "or meaning: multilabel_logits, multilabel_probabilities or values",
            name, shape_text(shape), axis, name_of(meaning));
    ending.compared = classes_last(graph, output, shape, static_cast<std::size_t>(axis));
    if (meaning == OutputMeaning::log_probabilities) ending.compared_as = OutputMeaning::logits;
    return ending;
}

/// Where no operator tells.
Ending assumed(Graph& graph, ValueId output, const Shapes& shapes) {
    const Shape& shape = shapes.once[index(output)];
    const bool has_classes =
        shapes.keeps_samples_apart(output) && shape[1] >= 2 &&
        std::all_of(shape.begin() + 2, shape.end(), [](std::int64_t size) { return size == 1; });
    if (!has_classes)
        return {OutputMeaning::values, output, OutputMeaning::values,
                "no operator at its end makes probabilities"};
    return {OutputMeaning::logits, classes_last(graph, output, shape, 1), OutputMeaning::logits,
            "assumed of a score per class"};
}

GraphOutput stated_output(Graph& graph, ValueId value, const OutputChoice& choice) {
    const Shapes shapes(graph);
    GraphOutput output{.name = choice.name, .value = value, .found = {}};
    auto ending = ending_of(graph, output.value);
    if (ending && !shapes.keeps_samples_apart(ending->compared))
        ending = Ending{OutputMeaning::values, output.value, OutputMeaning::values,
                        ending->found + ", but it mixes samples"};
    // Nothing but what the user feeds lies in front of it.
    if (ending && ending->compared == graph.input())
        ending = Ending{
            ending->meaning, before_moves(graph, output.value),
            ending->meaning == OutputMeaning::log_probabilities ? OutputMeaning::logits : ending->meaning,
            ending->found};
    const bool is_as_stated = ending && ending->meaning == choice.meaning;
    if (choice.meaning && !is_as_stated)
        ending = stated(graph, value, shapes, choice);
    else if (!ending)
        ending = assumed(graph, value, shapes);
    output.meaning = ending->meaning;
    output.compared = ending->compared;
    output.compared_as = ending->compared_as;
    output.found = ending->found;
    return output;
}

}  // namespace

std::string name_of(OutputMeaning meaning) {
    return std::string(enum_name(meaning));
}

void state_outputs(Graph& graph, const std::vector<ValueId>& values,
                   const std::vector<OutputChoice>& choices) {
    ensure(!values.empty() && values.size() == choices.size(), "{} outputs and {} choices", values.size(),
           choices.size());
    std::vector<GraphOutput> outputs;
    std::vector<ValueId> compared;
    for (std::size_t i = 0; i < values.size(); ++i) {
        GraphOutput& output = outputs.emplace_back(stated_output(graph, values[i], choices[i]));
        output.compared = by_sample(graph, output.compared);
        compared.push_back(output.compared);
    }
    const ValueId features = add_record(graph, compared);
    graph.set_outputs(std::move(outputs), features);
}

void state_output(Graph& graph, const std::string& name, OutputChoice choice) {
    choice.name = name;
    state_outputs(graph, {graph.features()}, {std::move(choice)});
}

OutputMeaning compared_as(const Graph& graph) {
    if (graph.outputs().empty()) return OutputMeaning::logits;
    return graph.outputs().size() == 1 ? graph.outputs().front().compared_as : OutputMeaning::values;
}

std::vector<ComparedPart> compared_parts(const Graph& graph) {
    const std::vector<Shape> shapes = graph.infer(graph.input_shape());
    std::vector<Shape> compared;
    for (const GraphOutput& output : graph.outputs()) {
        const Shape& shape = shapes.at(index(output.compared));
        compared.emplace_back(shape.begin() + (shape.empty() ? 0 : 1), shape.end());
    }
    std::vector<ComparedPart> parts;
    for (RecordPart& part : record_parts(compared))
        parts.push_back({&graph.outputs()[parts.size()], std::move(part)});
    return parts;
}

Shape sample_shape(const Graph& graph, const GraphOutput& output) {
    Shape shape = graph.infer(graph.input_shape()).at(index(output.value));
    if (!shape.empty()) shape.erase(shape.begin());
    return shape;
}

std::int64_t need_classes(const Graph& graph, std::string_view what) {
    ensure(!graph.outputs().empty(), "{} counts classes of a graph without outputs", what);
    require(
        graph.outputs().size() == 1,
        "{} counts the classes of one output, and the model has {}, '{}' among them. Choose it: model.outputs: "
        "[{{name: {}}}] in a spec, --output {} of jlcm-eval",
        what, graph.outputs().size(), graph.outputs().front().name, graph.outputs().front().name,
        graph.outputs().front().name);
    const GraphOutput& output = graph.outputs().front();
    const Shapes shapes(graph);
    const Shape& shape = shapes.once[index(output.value)];
    require(output.meaning != OutputMeaning::values,
            "{} counts classes, and the output '{}' {} holds values ({}); if these are scores of classes, "
            "say so: model.outputs: [{{name: {}, meaning: logits}}]",
            what, output.name, shape_text(shape), output.found, output.name);
    const bool has_classes =
        shapes.keeps_samples_apart(output.value) && shape[1] >= 2 &&
        std::all_of(shape.begin() + 2, shape.end(), [](std::int64_t size) { return size == 1; });
    require(has_classes,
            "{} wants one score per class for each image, [n, classes], and the output '{}' has the shape "
            "{}; choose another output (model.outputs), or leave this evaluation out",
            what, output.name, shape_text(shape));
    const std::int64_t together = shapes.once[index(output.compared)].back();
    require(
        together == shape[1] || !excludes_classes(output.compared_as),
        "{} wants one distribution over classes for each image, and the Softmax of the output '{}' {} runs "
        "over {} numbers at a time; leave this evaluation out",
        what, output.name, shape_text(shape), together);
    return shape[1];
}

nlohmann::json output_record(const Graph& graph, const GraphOutput& output) {
    return {{"name", output.name},
            {"shape", sample_shape(graph, output)},
            {"meaning", name_of(output.meaning)},
            {"found", output.found},
            {"compared", name_of(output.compared_as)}};
}

std::string describe(const Graph& graph, const GraphOutput& output) {
    Shape shape = sample_shape(graph, output);
    shape.insert(shape.begin(), 1);
    std::string text = fmt::format("output '{}' {}: {} ({})", output.name, shape_text(shape),
                                   name_of(output.meaning), output.found);
    if (output.compared_as != output.meaning && output.compared != output.value)
        text += fmt::format(", compared by the {} in front", name_of(output.compared_as));
    return text;
}

}  // namespace jlcm
