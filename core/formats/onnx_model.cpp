#include "core/formats/onnx_model.hpp"

#include "core/base/half.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <set>

#include <fmt/ranges.h>
#include <onnx.pb-c.h>

namespace jlcm {
namespace {

constexpr std::int64_t first_opset = 9;
constexpr std::int64_t last_opset = 17;

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

/// Elements of type Stored, converted; from raw bytes or from the field of their type.
template <class Stored, class Value, class Element, class Convert>
std::vector<Value> elements(const Onnx__TensorProto& tensor, std::int64_t count, std::span<Element> field,
                            Convert convert) {
    std::vector<Value> values;
    if (tensor.has_raw_data != 0) {
        const auto& raw = tensor.raw_data;
        require(raw.len / sizeof(Stored) == static_cast<std::size_t>(count) && raw.len % sizeof(Stored) == 0,
                "the tensor '{}' has {} bytes of data for {} elements", text_of(tensor.name), raw.len, count);
        values.reserve(static_cast<std::size_t>(count));
        for (std::size_t at = 0; at < raw.len; at += sizeof(Stored)) {
            Stored element{};
            std::memcpy(&element, raw.data + at, sizeof element);
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

OnnxTensor tensor_of(const Onnx__TensorProto& tensor) {
    const std::string name = text_of(tensor.name);
    require(
        tensor.data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL && tensor.n_external_data == 0,
        "the tensor '{}' lies in another file (external data), which is not supported; "
        "onnx.save_model(onnx.load(PATH), NEW) puts it into one",
        name);
    require(tensor.segment == nullptr, "the tensor '{}' is a segment, which is not supported", name);
    OnnxTensor result;
    result.shape.assign(tensor.dims, tensor.dims + tensor.n_dims);
    const std::int64_t count = checked_count(result.shape, name);
    const auto floats = [&]<class Stored, class Element>(Stored, std::span<Element> field, auto convert) {
        result.values = elements<Stored, float>(tensor, count, field, convert);
    };
    const auto integers = [&]<class Stored, class Element>(Stored, std::span<Element> field) {
        result.values = elements<Stored, std::int64_t>(tensor, count, field,
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
        default:
            fail("the tensor '{}' is of type {}, which is not supported", name, type_name(tensor.data_type));
    }
    result.file_bytes =
        tensor.has_raw_data != 0 ? tensor.raw_data.len : onnx__tensor_proto__get_packed_size(&tensor);
    return result;
}

OnnxAttribute attribute_of(const Onnx__AttributeProto& attribute) {
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
        case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
            require(attribute.t != nullptr, "the attribute '{}' has no value", text_of(attribute.name));
            return tensor_of(*attribute.t);
        default:
            fail("the attribute '{}' is of a type that is not supported (number {})", text_of(attribute.name),
                 static_cast<int>(attribute.type));
    }
}

OnnxNode node_of(const Onnx__NodeProto& proto, std::int64_t number, std::int64_t opset) {
    OnnxNode node;
    node.type = text_of(proto.op_type);
    node.name = text_of(proto.name);
    if (node.name.empty()) node.name = fmt::format("{}_{}", node.type, number);
    const std::string domain = text_of(proto.domain);
    require(domain.empty() || domain == "ai.onnx",
            "node '{}' is a {} of the domain '{}' (opset {}), which is not supported", node.name, node.type,
            domain, opset);
    node.inputs.assign(proto.input, proto.input + proto.n_input);
    node.outputs.assign(proto.output, proto.output + proto.n_output);
    require(!node.outputs.empty(), "node '{}', a {} (opset {}), has no output", node.name, node.type, opset);
    for (const auto* attribute : std::span(proto.attribute, proto.n_attribute)) {
        try {
            node.attributes.emplace(text_of(attribute->name), attribute_of(*attribute));
        } catch (const Error& error) {
            throw error.within(fmt::format("node '{}', a {} (opset {})", node.name, node.type, opset));
        }
    }
    return node;
}

std::int64_t opset_of(const Onnx__ModelProto& model) {
    std::int64_t opset = -1;
    for (const auto* import : std::span(model.opset_import, model.n_opset_import)) {
        const std::string domain = text_of(import->domain);
        if (domain.empty() || domain == "ai.onnx") opset = import->version;
    }
    require(opset >= 0, "no operator set is named (opset_import)");
    require(opset >= first_opset && opset <= last_opset, "opset {} is not supported; supported are {} to {}",
            opset, first_opset, last_opset);
    return opset;
}

void read_input(const Onnx__GraphProto& graph, OnnxModel& model) {
    for (const auto* input : std::span(graph.input, graph.n_input)) {
        const std::string name = text_of(input->name);
        if (model.constants.contains(name)) continue;
        require(model.input.empty(), "the inputs '{}' and '{}': models of one input are supported",
                model.input, name);
        model.input = name;
        require(input->type != nullptr && input->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE,
                "the input '{}' is no tensor", name);
        const Onnx__TypeProto__Tensor& type = *input->type->tensor_type;
        require(type.elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                "the input '{}' is of type {}; FLOAT is supported", name, type_name(type.elem_type));
        require(type.shape != nullptr, "the input '{}' has no shape", name);
        for (const auto* dimension : std::span(type.shape->dim, type.shape->n_dim)) {
            const bool is_known =
                dimension->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                dimension->dim_value > 0;
            model.input_shape.push_back(is_known ? dimension->dim_value : -1);
        }
    }
    require(!model.input.empty(), "the model has no input");
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

/// Every value is made once, before it is read.
void check_order(const OnnxModel& model) {
    std::set<std::string, std::less<>> known{model.input};
    for (const auto& [name, tensor] : model.constants) known.insert(name);
    for (const OnnxNode& node : model.nodes) {
        for (const std::string& input : node.inputs)
            require(input.empty() || known.contains(input),
                    "node '{}' reads the value '{}', which nothing before it makes", node.name, input);
        for (const std::string& output : node.outputs)
            require(output.empty() || known.insert(output).second, "the value '{}' is made twice", output);
    }
    for (const std::string& output : model.outputs)
        require(known.contains(output), "nothing makes the output '{}'", output);
}

struct Free {
    void operator()(Onnx__ModelProto* model) const { onnx__model_proto__free_unpacked(model, nullptr); }
    void operator()(Onnx__TensorProto* tensor) const { onnx__tensor_proto__free_unpacked(tensor, nullptr); }
};

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

const std::vector<float>& OnnxTensor::floats() const {
    require(is_float(), "integers stand where numbers should");
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

OnnxTensor parse_onnx_tensor(std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());  // NOLINT: bytes as C has them
    const std::unique_ptr<Onnx__TensorProto, Free> proto(
        onnx__tensor_proto__unpack(nullptr, bytes.size(), data));
    require(proto != nullptr, "this is no ONNX tensor, or it is damaged");
    return tensor_of(*proto);
}

std::vector<std::string> onnx_inputs(std::span<const std::byte> bytes) {
    const auto proto = unpack(bytes);
    std::vector<std::string> names;
    for (const auto* input : std::span(proto->graph->input, proto->graph->n_input))
        names.push_back(text_of(input->name));
    return names;
}

OnnxModel parse_onnx(std::span<const std::byte> bytes, std::map<std::string, OnnxTensor> known_inputs) {
    const auto proto = unpack(bytes);
    OnnxModel model;
    model.constants = std::move(known_inputs);
    model.opset = opset_of(*proto);
    const Onnx__GraphProto& graph = *proto->graph;
    require(graph.n_sparse_initializer == 0, "sparse initializers are not supported");
    for (const auto* tensor : std::span(graph.initializer, graph.n_initializer)) {
        require(model.constants.emplace(text_of(tensor->name), tensor_of(*tensor)).second,
                "two initializers have the name '{}'", text_of(tensor->name));
    }
    read_input(graph, model);
    for (const auto* node : std::span(graph.node, graph.n_node))
        model.nodes.push_back(node_of(*node, std::ssize(model.nodes), model.opset));
    read_outputs(graph, model);
    check_order(model);
    return model;
}

}  // namespace jlcm
