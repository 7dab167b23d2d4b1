#include "core/formats/onnx_model.hpp"

#include "core/base/half.hpp"
#include "core/formats/onnx_external_data.hpp"
#include "core/formats/onnx_values_apart.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <set>

#include <fmt/ranges.h>
#include <onnx.pb-c.h>

namespace jlcm {
namespace {

constexpr std::int64_t first_opset = 7;

/// Newer than the definitions that this is built with.
constexpr int uint4_type = 21;
constexpr int int4_type = 22;

/// Names of TensorProto.DataType, those newer than the definitions included.
std::string type_name(int type) {
    static constexpr std::array names{
        "UNDEFINED",      "FLOAT",      "UINT8",          "INT8",       "UINT16",   "INT16",
        "INT32",          "INT64",      "STRING",         "BOOL",       "FLOAT16",  "DOUBLE",
        "UINT32",         "UINT64",     "COMPLEX64",      "COMPLEX128", "BFLOAT16", "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4",      "INT4",     "FLOAT4E2M1"};
    if (type < 0 || static_cast<std::size_t>(type) >= names.size()) return std::to_string(type);
    return names[static_cast<std::size_t>(type)];
}

std::int64_t checked_count(const Shape& shape, const std::string& name) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) {
        require(size >= 0, "the tensor '{}' has shape {}", name, to_string(shape));
        require(size == 0 || count <= std::numeric_limits<std::int64_t>::max() / size,
                "the size of tensor '{}' {} overflows", name, to_string(shape));
        count *= size;
    }
    return count;
}

/// Text of the file, which may be left out.
std::string text_of(const char* text) {
    return text != nullptr ? text : "";
}

using Bytes = std::span<const std::byte>;

OnnxExternalData::Entries entries_of(const Onnx__TensorProto& tensor) {
    OnnxExternalData::Entries entries;
    for (const auto* entry : std::span(tensor.external_data, tensor.n_external_data))
        entries[text_of(entry->key)] = text_of(entry->value);
    return entries;
}

/// Raw bytes of a tensor, its own or those of another file; nothing where its values stand in fields.
std::optional<Bytes> raw_bytes(const Onnx__TensorProto& tensor, OnnxExternalData& external,
                               const std::string& name) {
    if (tensor.data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || tensor.n_external_data > 0)
        return external.bytes_of(entries_of(tensor), name);
    if (tensor.has_raw_data != 0) return std::as_bytes(std::span(tensor.raw_data.data, tensor.raw_data.len));
    return std::nullopt;
}

template <class Stored>
void require_size(const Onnx__TensorProto& tensor, Bytes raw, std::int64_t count) {
    require(
        raw.size() / sizeof(Stored) == static_cast<std::size_t>(count) && raw.size() % sizeof(Stored) == 0,
        "the tensor '{}' has {} bytes of data for {} elements", text_of(tensor.name), raw.size(), count);
}

/// Elements of type Stored, converted; from raw bytes or from the field of their type.
template <class Stored, class Value, class Element, class Convert>
std::vector<Value> elements(const Onnx__TensorProto& tensor, std::optional<Bytes> raw, std::int64_t count,
                            std::span<Element> field, Convert convert) {
    std::vector<Value> values;
    if (raw) {
        require_size<Stored>(tensor, *raw, count);
        values.reserve(static_cast<std::size_t>(count));
        for (std::size_t at = 0; at < raw->size(); at += sizeof(Stored)) {
            Stored element{};
            std::memcpy(&element, raw->data() + at, sizeof element);
            values.push_back(convert(element));
        }
        return values;
    }
    require(std::ssize(field) == count, "the tensor '{}' has {} elements of data for {}",
            text_of(tensor.name), field.size(), count);
    values.reserve(static_cast<std::size_t>(count));
    for (const auto& element : field) values.push_back(convert(static_cast<Stored>(element)));
    return values;
}

/// Two elements of four bits a byte, the lower ones first.
std::vector<std::int64_t> nibbles(const Onnx__TensorProto& tensor, std::optional<Bytes> raw,
                                  std::int64_t count, bool is_signed) {
    const std::int64_t pairs = count / 2 + count % 2;
    const auto bytes = elements<std::uint8_t, std::int64_t>(tensor, raw, pairs,
                                                            std::span(tensor.int32_data, tensor.n_int32_data),
                                                            [](std::uint8_t v) { return v; });
    std::vector<std::int64_t> values;
    values.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t value = bytes[static_cast<std::size_t>(i / 2)] >> (i % 2 * 4) & 15;
        values.push_back(is_signed && value > 7 ? value - 16 : value);
    }
    return values;
}

/// `apart`: the raw bytes, if they are not in the message. `leaves_values`: as of OnnxReading, if bytes from outside of
/// the message last.
OnnxTensor tensor_of(const Onnx__TensorProto& tensor, OnnxExternalData& external,
                     std::optional<Bytes> apart = {}, bool leaves_values = false) {
    const std::string name = text_of(tensor.name);
    require(tensor.segment == nullptr, "the tensor '{}' is a segment, which is not supported", name);
    OnnxTensor result;
    result.shape.assign(tensor.dims, tensor.dims + tensor.n_dims);
    result.type = tensor.data_type;
    const std::int64_t count = checked_count(result.shape, name);
    const auto raw = apart ? apart : raw_bytes(tensor, external, name);
    if (leaves_values && raw && tensor.has_raw_data == 0 &&
        tensor.data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) {
        require_size<float>(tensor, *raw, count);
        result.left = *raw;
        result.file_bytes = raw->size();
        return result;
    }
    const auto floats = [&]<class Stored, class Element>(Stored, std::span<Element> field, auto convert) {
        result.values = elements<Stored, float>(tensor, raw, count, field, convert);
    };
    const auto integers = [&]<class Stored, class Element>(Stored, std::span<Element> field) {
        result.values = elements<Stored, std::int64_t>(tensor, raw, count, field,
                                                       [](Stored v) { return static_cast<std::int64_t>(v); });
    };
    const std::span small(tensor.int32_data, tensor.n_int32_data);
    const std::span large(tensor.uint64_data, tensor.n_uint64_data);
    switch (tensor.data_type) {
        case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
            floats(float{}, std::span(tensor.float_data, tensor.n_float_data), [](float v) { return v; });
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
            floats(double{}, std::span(tensor.double_data, tensor.n_double_data),
                   [](double v) { return static_cast<float>(v); });
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
            floats(std::uint16_t{}, small, [](std::uint16_t v) { return float_from_f16(v); });
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
            floats(std::uint16_t{}, small,
                   [](std::uint16_t v) { return std::bit_cast<float>(static_cast<std::uint32_t>(v) << 16); });
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
            integers(std::int64_t{}, std::span(tensor.int64_data, tensor.n_int64_data));
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
            integers(std::int32_t{}, small);
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__INT16:
            integers(std::int16_t{}, small);
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
            integers(std::int8_t{}, small);
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__UINT64:
            integers(std::uint64_t{}, large);
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
            integers(std::uint32_t{}, large);
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16:
            integers(std::uint16_t{}, small);
            break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
        case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
            integers(std::uint8_t{}, small);
            break;
        case uint4_type:
        case int4_type:
            result.values = nibbles(tensor, raw, count, tensor.data_type == int4_type);
            break;
        default:
            fail("the tensor '{}' is of type {}, which is not supported", name, type_name(tensor.data_type));
    }
    result.file_bytes = raw ? raw->size() : onnx__tensor_proto__get_packed_size(&tensor);
    return result;
}

struct Free {
    void operator()(Onnx__ModelProto* model) const { onnx__model_proto__free_unpacked(model, nullptr); }
    void operator()(Onnx__TensorProto* tensor) const { onnx__tensor_proto__free_unpacked(tensor, nullptr); }
    void operator()(Onnx__GraphProto* graph) const { onnx__graph_proto__free_unpacked(graph, nullptr); }
};

OnnxGraph body_of(const Onnx__AttributeProto& attribute, OnnxExternalData& external, int depth);

OnnxAttribute attribute_of(const Onnx__AttributeProto& attribute, OnnxExternalData& external, int depth) {
    switch (attribute.type) {
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
            return attribute.i;
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
            return attribute.f;
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING: {
            const std::span bytes(attribute.s.data, attribute.s.len);
            return std::string(bytes.begin(), bytes.end());
        }
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
            return std::vector<std::int64_t>(attribute.ints, attribute.ints + attribute.n_ints);
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
            return std::vector<float>(attribute.floats, attribute.floats + attribute.n_floats);
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS: {
            std::vector<std::string> texts;
            for (const auto& each : std::span(attribute.strings, attribute.n_strings))
                texts.emplace_back(each.data, each.data + each.len);
            return texts;
        }
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
            require(attribute.t != nullptr, "the attribute '{}' has no value", text_of(attribute.name));
            return tensor_of(*attribute.t, external);
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
            return std::make_shared<const OnnxGraph>(body_of(attribute, external, depth + 1));
        default:
            return OnnxUnread{fmt::format("type {}", static_cast<int>(attribute.type))};
    }
}

OnnxNode node_of(const Onnx__NodeProto& proto, std::int64_t number, OnnxExternalData& external, int depth) {
    OnnxNode node;
    node.type = text_of(proto.op_type);
    node.name = text_of(proto.name);
    if (node.name.empty()) node.name = fmt::format("{}_{}", node.type, number);
    node.domain = text_of(proto.domain);
    if (node.domain == "ai.onnx") node.domain.clear();
    node.inputs.assign(proto.input, proto.input + proto.n_input);
    node.outputs.assign(proto.output, proto.output + proto.n_output);
    require(!node.outputs.empty(), "node '{}', a {}, has no output", node.name, node.type);
    for (const auto* attribute : std::span(proto.attribute, proto.n_attribute)) {
        try {
            node.attributes.emplace(text_of(attribute->name), attribute_of(*attribute, external, depth));
        } catch (const Error& error) {
            throw error.within(fmt::format("node '{}', a {}", node.name, node.type));
        }
    }
    return node;
}

/// `apart`: raw bytes of initializers that are not in the message; empty, or as many.
void read_constants(const Onnx__GraphProto& graph, OnnxExternalData& external,
                    std::map<std::string, OnnxTensor>& constants,
                    std::span<const std::optional<std::string_view>> apart = {}, bool leaves_values = false) {
    require(graph.n_sparse_initializer == 0, "sparse initializers are not supported");
    for (std::size_t i = 0; i < graph.n_initializer; ++i) {
        const auto& tensor = *graph.initializer[i];
        std::optional<Bytes> raw;
        const auto values = i < apart.size() ? apart[i] : std::nullopt;
        if (values) raw = std::as_bytes(std::span(*values));
        require(
            constants.emplace(text_of(tensor.name), tensor_of(tensor, external, raw, leaves_values)).second,
            "two initializers have the name '{}'", text_of(tensor.name));
    }
}

OnnxGraph body_of(const Onnx__AttributeProto& attribute, OnnxExternalData& external, int depth) {
    constexpr int deepest = 16;
    require(depth <= deepest, "graphs within graphs are nested more than {} deep", deepest);
    const std::unique_ptr<Onnx__GraphProto, Free> unpacked(
        onnx__graph_proto__unpack(nullptr, attribute.g.len, attribute.g.data));
    require(unpacked != nullptr, "the graph of the attribute '{}' is damaged", text_of(attribute.name));
    const Onnx__GraphProto& proto = *unpacked;
    OnnxGraph graph;
    read_constants(proto, external, graph.constants);
    graph.has_inputs = proto.n_input > 0;
    for (const auto* node : std::span(proto.node, proto.n_node))
        graph.nodes.push_back(node_of(*node, std::ssize(graph.nodes), external, depth));
    for (const auto* output : std::span(proto.output, proto.n_output))
        graph.outputs.push_back(text_of(output->name));
    return graph;
}

std::int64_t opset_of(const Onnx__ModelProto& model) {
    std::int64_t opset = -1;
    for (const auto* import : std::span(model.opset_import, model.n_opset_import)) {
        const std::string domain = text_of(import->domain);
        if (domain.empty() || domain == "ai.onnx") opset = import->version;
    }
    require(opset >= 0, "no operator set is named (opset_import)");
    require(opset >= first_opset,
            "opset {} is not supported; supported are {} and later. onnx.version_converter.convert_version("
            "onnx.load(PATH), 17) makes a later one of it",
            opset, first_opset);
    return opset;
}

struct Input {
    std::string name;
    Shape shape;  ///< -1 where the file leaves a size open
    int type = 0;
    bool is_whole = false;  ///< said to have no dimension of samples

    [[nodiscard]] bool is_float() const {
        return type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
               type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 ||
               type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 ||
               type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    }
    [[nodiscard]] ElementKind kind() const {
        if (is_float()) return ElementKind::number;
        return type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL ? ElementKind::truth : ElementKind::integer;
    }
    [[nodiscard]] std::string describe() const {
        std::vector<std::string> sizes;
        for (const std::int64_t size : shape) sizes.push_back(size < 0 ? "?" : std::to_string(size));
        return fmt::format("'{}' {} [{}]", name, type_name(type), fmt::join(sizes, ", "));
    }
};

Input input_of(const Onnx__ValueInfoProto& proto) {
    Input input;
    input.name = text_of(proto.name);
    require(proto.type != nullptr && proto.type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE,
            "the input '{}' is no tensor", input.name);
    const Onnx__TypeProto__Tensor& type = *proto.type->tensor_type;
    input.type = type.elem_type;
    const bool is_integer = (input.type >= ONNX__TENSOR_PROTO__DATA_TYPE__UINT8 &&
                             input.type <= ONNX__TENSOR_PROTO__DATA_TYPE__INT64) ||
                            input.type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL ||
                            input.type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT32 ||
                            input.type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64;
    require(input.is_float() || is_integer,
            "the input '{}' is of type {}; numbers and integers are supported", input.name,
            type_name(input.type));
    require(type.shape != nullptr, "the input '{}' has no shape", input.name);
    for (const auto* dimension : std::span(type.shape->dim, type.shape->n_dim)) {
        const bool is_known = dimension->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                              dimension->dim_value > 0;
        input.shape.push_back(is_known ? dimension->dim_value : -1);
    }
    return input;
}

/// The dimension of samples: the first if it is open or one sample's, else the first open one, else the first of
/// size 1: a state [layers, samples, width].
std::size_t samples_dimension(const Shape& shape) {
    const auto is_one = [](std::int64_t size) { return size == 1; };
    if (shape.empty() || shape.front() <= 1) return 0;
    auto found = std::ranges::find(shape, -1);
    if (found == shape.end()) found = std::ranges::find_if(shape, is_one);
    return found == shape.end() ? 0 : static_cast<std::size_t>(found - shape.begin());
}

/// Sizes that the file leaves open, as they are said: all but dimension `samples`; of all dimensions where none is
/// that of samples.
void settle_sizes(Input& input, const Shape& said, std::size_t samples) {
    if (said.empty()) return;
    input.is_whole = said.size() == input.shape.size();
    require(
        input.is_whole || said.size() + 1 == input.shape.size(),
        "the shape {} is said of the input {}: it wants {} sizes, all but that of dimension {}, the samples; or all "
        "of them, if none is that of samples",
        to_string(said), input.describe(), input.shape.empty() ? 0 : input.shape.size() - 1, samples);
    for (std::size_t d = 0; d < said.size(); ++d) {
        std::int64_t& size = input.shape[input.is_whole || d < samples ? d : d + 1];
        require(said[d] > 0 && (size < 0 || size == said[d]), "the shape {} is said of the input {}",
                to_string(said), input.describe());
        size = said[d];
    }
}

/// All elements alike; one sample where the file leaves their number open.
OnnxTensor constant_input(const Input& input, double value) {
    Shape shape = input.shape;
    if (!shape.empty() && shape[0] < 0) shape[0] = 1;
    for (const std::int64_t size : shape)
        require(size > 0 && size < 1 << 24,
                "the input {} is said to be {}, and its size is open: say its shape too", input.describe(),
                value);
    const std::int64_t count = checked_count(shape, input.name);
    require(count <= 1 << 26, "the input {} is said to be {}, and it is too large", input.describe(), value);
    const auto elements = static_cast<std::size_t>(count);
    if (input.is_float()) return {shape, std::vector<float>(elements, static_cast<float>(value))};
    require(value == std::floor(value) && std::abs(value) < 9e15, "the input {} is said to be {}",
            input.describe(), value);
    return {shape, std::vector<std::int64_t>(elements, static_cast<std::int64_t>(value))};
}

/// A file one of whose inputs is for a fixed number of samples is for that number. If all sizes are fixed and inputs
/// differ in it, it is for one sample, which all of them are.
void settle_samples(const std::string& all, OnnxModel& model) {
    std::int64_t fixed = -1;
    const bool is_open = std::ranges::any_of(
        model.inputs, [](const OnnxInput& input) { return std::ranges::count(input.shape, -1) > 0; });
    for (const OnnxInput& input : model.inputs) {
        const std::int64_t own = input.shape.empty() ? -1 : input.shape.at(input.samples);
        if (own < 0) continue;
        if (!is_open && fixed > 0 && own != fixed) return model.join_samples();
        require(
            fixed < 0 || own == fixed,
            "the inputs {} are for {} samples and for {} ('{}', dimension {}). If one of them is no data, make "
            "it a constant: model.inputs: {{{}: {{value: 0}}}} in a spec",
            all, fixed, own, input.name, input.samples, input.name);
        fixed = own;
    }
    model.set_samples(fixed);
}

void read_inputs(const Onnx__GraphProto& graph, const std::vector<InputChoice>& choices, OnnxModel& model) {
    std::vector<Input> inputs;
    for (const auto* proto : std::span(graph.input, graph.n_input))
        if (!model.constants.contains(text_of(proto->name))) inputs.push_back(input_of(*proto));
    const auto listed = [&] {
        std::vector<std::string> list;
        for (const Input& input : inputs) list.push_back(input.describe());
        return fmt::format("{}", fmt::join(list, ", "));
    };
    const auto known =
        std::ranges::count_if(choices, [](const auto& choice) { return choice.value.has_value(); });
    const bool are_several = std::ssize(inputs) - known > 1;
    const auto samples_of = [&](const Input& input) {
        return are_several ? samples_dimension(input.shape) : std::size_t{0};
    };
    std::set<std::string> constant;
    for (const InputChoice& choice : choices) {
        const auto found = std::ranges::find_if(inputs, [&](const Input& input) {
            return input.name == choice.name || (choice.name.empty() && inputs.size() == 1);
        });
        require(found != inputs.end(), "the model has no input '{}'; it has {}", choice.name, listed());
        settle_sizes(*found, choice.shape, choice.value ? 0 : samples_of(*found));
        if (!choice.value) continue;
        model.constants[found->name] = constant_input(*found, *choice.value);
        constant.insert(found->name);
    }
    const std::string all = listed();
    std::erase_if(inputs, [&](const Input& input) { return constant.contains(input.name); });
    require(!inputs.empty(), "the model has no input that is not a constant");
    for (const Input& input : inputs) {
        require(
            inputs.size() == 1 || !input.shape.empty(),
            "the input {} of {} has no dimension of samples. Make it a constant: model.inputs: {{{}: {{value: "
            "0}}}} in a spec",
            input.describe(), all, input.name);
        model.inputs.push_back({input.name, input.shape, input.kind(), samples_of(input)});
    }
    if (std::ranges::any_of(inputs, &Input::is_whole))
        model.join_samples();
    else
        settle_samples(all, model);
}

void read_outputs(const Onnx__GraphProto& graph, OnnxModel& model) {
    for (const auto* output : std::span(graph.output, graph.n_output)) {
        model.outputs.push_back(text_of(output->name));
        if (output->type == nullptr || output->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
            output->type->tensor_type->shape == nullptr)
            continue;
        std::vector<std::string> sizes;
        const auto* shape = output->type->tensor_type->shape;
        for (const auto* dimension : std::span(shape->dim, shape->n_dim)) {
            if (dimension->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
                sizes.push_back(std::to_string(dimension->dim_value));
            else if (dimension->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
                sizes.push_back(text_of(dimension->dim_param));
            else
                sizes.emplace_back("?");
        }
        model.output_shapes[model.outputs.back()] = fmt::format("[{}]", fmt::join(sizes, ", "));
    }
    require(!model.outputs.empty(), "the model has no output");
}

using Names = std::set<std::string, std::less<>>;

/// Every value is made once, before it is read, by the nodes around or inside.
void check_order(const std::vector<OnnxNode>& nodes, Names known);

void check_order(const OnnxGraph& graph, Names known) {
    for (const auto& [name, tensor] : graph.constants) known.insert(name);
    check_order(graph.nodes, std::move(known));
}

void check_order(const std::vector<OnnxNode>& nodes, Names known) {
    for (const OnnxNode& node : nodes) {
        for (const std::string& input : node.inputs)
            require(input.empty() || known.contains(input),
                    "node '{}' reads the value '{}', which nothing before it makes", node.name, input);
        // The bodies of loops have inputs of their own, and are refused where they are lowered.
        for (const auto& [key, attribute] : node.attributes)
            if (const auto* body = std::get_if<std::shared_ptr<const OnnxGraph>>(&attribute))
                if (!(*body)->has_inputs) check_order(**body, known);
        for (const std::string& output : node.outputs)
            require(output.empty() || known.insert(output).second, "the value '{}' is made twice", output);
    }
}

void check_order(const OnnxModel& model) {
    Names known;
    for (const OnnxInput& input : model.inputs) known.insert(input.name);
    for (const auto& [name, tensor] : model.constants) known.insert(name);
    check_order(model.nodes, known);
    for (const OnnxNode& node : model.nodes) known.insert(node.outputs.begin(), node.outputs.end());
    for (const std::string& output : model.outputs)
        require(known.contains(output), "nothing makes the output '{}'", output);
}

std::unique_ptr<Onnx__ModelProto, Free> unpack(std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());  // NOLINT: bytes as C has them
    std::unique_ptr<Onnx__ModelProto, Free> proto(onnx__model_proto__unpack(nullptr, bytes.size(), data));
    require(proto != nullptr && proto->graph != nullptr, "this is no ONNX model, or it is damaged");
    return proto;
}

template <class Wanted>
const Wanted* find_attribute(const OnnxNode& node, const std::string& key) {
    const auto found = node.attributes.find(key);
    if (found == node.attributes.end()) return nullptr;
    const auto* value = std::get_if<Wanted>(&found->second);
    require(value != nullptr, "the attribute '{}' is of another type than it should be", key);
    return value;
}

}  // namespace

OnnxTensor OnnxTensor::loaded() const {
    OnnxTensor result = *this;
    if (left.empty()) return result;
    std::vector<float> numbers(left.size() / sizeof(float));
    std::memcpy(numbers.data(), left.data(), left.size());
    result.values = std::move(numbers);
    result.left = {};
    return result;
}

const std::vector<float>& OnnxTensor::floats() const {
    require(is_float(), "integers stand where numbers should");
    ensure(left.empty(), "values that are left in the file are asked for");
    return std::get<0>(values);
}
const std::vector<std::int64_t>& OnnxTensor::integers() const {
    require(!is_float(), "numbers stand where integers should");
    return std::get<1>(values);
}

std::int64_t OnnxNode::integer(const std::string& key, std::int64_t otherwise) const {
    const auto* value = find_attribute<std::int64_t>(*this, key);
    return value != nullptr ? *value : otherwise;
}
double OnnxNode::number(const std::string& key, double otherwise) const {
    const auto* value = find_attribute<float>(*this, key);
    return value != nullptr ? static_cast<double>(*value) : otherwise;
}
std::string OnnxNode::text(const std::string& key, const std::string& otherwise) const {
    const auto* value = find_attribute<std::string>(*this, key);
    return value != nullptr ? *value : otherwise;
}
std::vector<std::int64_t> OnnxNode::integers(const std::string& key,
                                             const std::vector<std::int64_t>& otherwise) const {
    const auto* value = find_attribute<std::vector<std::int64_t>>(*this, key);
    return value != nullptr ? *value : otherwise;
}

std::vector<float> OnnxNode::numbers(const std::string& key, const std::vector<float>& otherwise) const {
    const auto* value = find_attribute<std::vector<float>>(*this, key);
    return value != nullptr ? *value : otherwise;
}

OnnxTensor parse_onnx_tensor(std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());  // NOLINT: bytes as C has them
    const std::unique_ptr<Onnx__TensorProto, Free> proto(
        onnx__tensor_proto__unpack(nullptr, bytes.size(), data));
    require(proto != nullptr, "this is no ONNX tensor, or it is damaged");
    OnnxExternalData external({});
    return tensor_of(*proto, external);
}

std::vector<std::string> onnx_inputs(std::span<const std::byte> bytes) {
    const auto proto = unpack(bytes);
    std::vector<std::string> names;
    for (const auto* input : std::span(proto->graph->input, proto->graph->n_input))
        names.push_back(text_of(input->name));
    return names;
}

namespace {

/// Values of large constants stay where they are, if the bytes are a message at all.
OnnxValuesApart values_apart(std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const char*>(bytes.data());  // NOLINT: bytes as text
    try {
        return take_values_apart({data, bytes.size()});
    } catch (const Error&) {
        return {std::string(data, bytes.size()), {}};
    }
}

/// Who reads a constant through an Identity reads the constant: layers that share a weight then have one.
void see_through_identities(OnnxModel& model) {
    std::map<std::string, std::string> constant_of;
    for (OnnxNode& node : model.nodes) {
        for (std::string& input : node.inputs)
            if (const auto found = constant_of.find(input); found != constant_of.end()) input = found->second;
        if (node.type == "Identity" && node.inputs.size() == 1 && model.constants.contains(node.inputs[0]))
            constant_of.emplace(node.outputs.at(0), node.inputs[0]);
    }
}

}  // namespace

OnnxModel parse_onnx(std::span<const std::byte> bytes, const OnnxReading& reading) {
    const OnnxValuesApart apart = values_apart(bytes);
    const auto proto = unpack(std::as_bytes(std::span(apart.message)));
    const auto files = std::make_shared<OnnxExternalData>(reading.folder, reading.on_file);
    OnnxExternalData& external = *files;
    OnnxModel model;
    model.files = files;
    model.constants = reading.known_inputs;
    model.opset = opset_of(*proto);
    const Onnx__GraphProto& graph = *proto->graph;
    read_constants(graph, external, model.constants, apart.values, reading.leaves_values);
    read_inputs(graph, reading.inputs, model);
    for (const auto* node : std::span(graph.node, graph.n_node))
        model.nodes.push_back(node_of(*node, std::ssize(model.nodes), external, 0));
    read_outputs(graph, model);
    check_order(model);
    see_through_identities(model);
    return model;
}

}  // namespace jlcm
