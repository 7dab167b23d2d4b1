#include "core/formats/onnx_edit.hpp"

#include "core/base/half.hpp"
#include "core/formats/onnx_external_data.hpp"
#include "core/formats/protobuf_wire.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

namespace jlcm {
namespace {

// Numbers of fields, as onnx.proto has them.
namespace model_field {
constexpr std::uint32_t graph = 7;
}
namespace graph_field {
constexpr std::uint32_t node = 1;
constexpr std::uint32_t initializer = 5;
constexpr std::uint32_t input = 11;
constexpr std::uint32_t output = 12;
}  // namespace graph_field
namespace node_field {
constexpr std::uint32_t input = 1;
constexpr std::uint32_t output = 2;
constexpr std::uint32_t name = 3;
constexpr std::uint32_t type = 4;
constexpr std::uint32_t attribute = 5;
}  // namespace node_field
namespace attribute_field {
constexpr std::uint32_t name = 1;
constexpr std::uint32_t integer = 3;
constexpr std::uint32_t text = 4;
constexpr std::uint32_t tensor = 5;
constexpr std::uint32_t graph = 6;
constexpr std::uint32_t integers = 8;
constexpr std::uint32_t graphs = 11;
constexpr std::uint32_t type = 20;
constexpr std::uint64_t integer_type = 2;
constexpr std::uint64_t text_type = 3;
constexpr std::uint64_t tensor_type = 4;
constexpr std::uint64_t integers_type = 7;
}  // namespace attribute_field
namespace tensor_field {
constexpr std::uint32_t dimensions = 1;
constexpr std::uint32_t type = 2;
constexpr std::uint32_t name = 8;
constexpr std::uint32_t raw = 9;
constexpr std::uint32_t text = 12;
constexpr std::uint32_t external = 13;
constexpr std::uint32_t location = 14;
}  // namespace tensor_field
constexpr std::uint32_t entry_key = 1;
constexpr std::uint32_t entry_value = 2;
constexpr std::uint32_t value_name = 1;

std::string text_of(std::string_view message, std::uint32_t number) {
    std::string text;
    for_each_field(message, [&](const WireField& field) {
        if (field.number == number && field.has_length) text = field.content;
    });
    return text;
}

std::uint64_t integer_of(std::string_view message, std::uint32_t number) {
    std::uint64_t value = 0;
    for_each_field(message, [&](const WireField& field) {
        if (field.number == number && !field.has_length) value = field.integer;
    });
    return value;
}

std::string tensor_message(const std::string& name, OnnxType type, const Shape& shape,
                           std::string_view bytes) {
    WireWriter tensor;
    for (const std::int64_t size : shape)
        tensor.integer(tensor_field::dimensions, static_cast<std::uint64_t>(size));
    tensor.integer(tensor_field::type, static_cast<std::uint64_t>(type));
    if (!name.empty()) tensor.text(tensor_field::name, name);
    tensor.text(tensor_field::raw, bytes);
    return tensor.message();
}

/// What nodes of graphs inside of a node read.
void add_inner_reads(std::string_view node, std::set<std::string>& names) {
    for_each_field(node, [&](const WireField& field) {
        if (field.number != node_field::attribute) return;
        for_each_field(field.content, [&](const WireField& attribute) {
            if (attribute.number != attribute_field::graph && attribute.number != attribute_field::graphs)
                return;
            for_each_field(attribute.content, [&](const WireField& part) {
                if (part.number == graph_field::output) names.insert(text_of(part.content, value_name));
                if (part.number != graph_field::node) return;
                for_each_field(part.content, [&](const WireField& each) {
                    if (each.number == node_field::input) names.emplace(each.content);
                });
                add_inner_reads(part.content, names);
            });
        });
    });
}

/// The attribute `value` of a Constant node: a tensor; empty where it has another.
std::string_view constant_tensor(std::string_view node) {
    std::string_view tensor;
    for_each_field(node, [&](const WireField& field) {
        if (field.number != node_field::attribute || text_of(field.content, attribute_field::name) != "value")
            return;
        for_each_field(field.content, [&](const WireField& part) {
            if (part.number == attribute_field::tensor) tensor = part.content;
        });
    });
    return tensor;
}

}  // namespace

std::string OnnxNewNode::message() const {
    WireWriter node;
    for (const std::string& input : inputs) node.text(node_field::input, input);
    node.text(node_field::output, output);
    node.text(node_field::name, output + "/" + type);
    node.text(node_field::type, type);
    const auto add = [&](const std::string& key, std::uint64_t kind, auto write) {
        WireWriter attribute;
        attribute.text(attribute_field::name, key);
        write(attribute);
        attribute.integer(attribute_field::type, kind);
        node.text(node_field::attribute, attribute.message());
    };
    for (const auto& entry : integers)
        add(entry.first, attribute_field::integer_type, [&](WireWriter& attribute) {
            attribute.integer(attribute_field::integer, static_cast<std::uint64_t>(entry.second));
        });
    for (const auto& entry : texts)
        add(entry.first, attribute_field::text_type,
            [&](WireWriter& attribute) { attribute.text(attribute_field::text, entry.second); });
    for (const auto& entry : lists)
        add(entry.first, attribute_field::integers_type, [&](WireWriter& attribute) {
            for (const std::int64_t value : entry.second)
                attribute.integer(attribute_field::integers, static_cast<std::uint64_t>(value));
        });
    node.append(attributes);
    return node.message();
}

std::string onnx_constant(const std::string& output, OnnxType type, const Shape& shape,
                          std::string_view bytes) {
    WireWriter attribute;
    attribute.text(attribute_field::name, "value");
    attribute.text(attribute_field::tensor, tensor_message("", type, shape, bytes));
    attribute.integer(attribute_field::type, attribute_field::tensor_type);
    WireWriter node;
    node.text(node_field::output, output);
    node.text(node_field::name, output + "/Constant");
    node.text(node_field::type, "Constant");
    node.text(node_field::attribute, attribute.message());
    return node.message();
}

std::string onnx_elements(std::span<const float> values, OnnxType type, const std::string& name) {
    std::string bytes;
    const auto put = [&](auto value) {
        std::array<char, sizeof value> raw{};
        std::memcpy(raw.data(), &value, sizeof value);
        bytes.append(raw.data(), raw.size());
    };
    bytes.reserve(values.size() * sizeof(float));
    for (const float value : values) {
        if (type == OnnxType::float32) {
            put(value);
        } else if (type == OnnxType::float64) {
            put(static_cast<double>(value));
        } else if (type == OnnxType::float16) {
            const std::uint16_t half = f16_from_float(value);
            require(!std::isfinite(value) || std::isfinite(float_from_f16(half)),
                    "{} of '{}' is beyond the range of float16; export with --type f32", value, name);
            put(half);
        } else {
            ensure(type == OnnxType::bfloat16, "numbers as type {}", static_cast<int>(type));
            put(bf16_from_float(value));
        }
    }
    return bytes;
}

OnnxEdit::OnnxEdit(std::span<const std::byte> model, std::filesystem::path folder)
    : model_(reinterpret_cast<const char*>(model.data()), model.size()),  // NOLINT: bytes as text
      folder_(std::move(folder)) {
    for_each_field(model_, [&](const WireField& part) {
        if (part.number != model_field::graph) return;
        for_each_field(part.content, [&](const WireField& field) {
            if (field.number == graph_field::output) outputs_.insert(text_of(field.content, value_name));
            if (field.number == graph_field::initializer)
                constants_[text_of(field.content, tensor_field::name)] = {
                    field.content,
                    static_cast<OnnxType>(integer_of(field.content, tensor_field::type)),
                    {},
                    false};
            if (field.number != graph_field::node) return;
            Node node;
            node.message = field.content;
            node.type = text_of(field.content, node_field::type);
            for_each_field(field.content, [&](const WireField& each) {
                if (each.number == node_field::input) node.inputs.emplace_back(each.content);
                if (each.number == node_field::output) node.outputs.emplace_back(each.content);
            });
            add_inner_reads(field.content, node.inner_reads);
            nodes_.push_back(std::move(node));
        });
    });
    original_readers_ = readers();
}

std::map<std::string, int> OnnxEdit::readers() const {
    std::map<std::string, int> count;
    for (const std::string& output : outputs_) ++count[output];
    for (const Node& node : nodes_) {
        if (node.is_gone) continue;
        for (const std::string& input : node.inputs) ++count[input];
        for (const std::string& read : node.inner_reads) ++count[read];
    }
    return count;
}

std::vector<OnnxEdit::Node>::const_iterator OnnxEdit::place_of(const std::string& output) const {
    const auto found = std::ranges::find_if(nodes_, [&](const Node& node) {
        return !node.is_gone && std::ranges::count(node.outputs, output) > 0;
    });
    require(found != nodes_.end(), "nothing in the file makes the value '{}'; it may lie inside of an If",
            output);
    return found;
}

OnnxEdit::Node& OnnxEdit::node_of(const std::string& output) {
    return nodes_.at(static_cast<std::size_t>(place_of(output) - nodes_.begin()));
}

bool OnnxEdit::has(const std::string& value) const {
    return constants_.contains(value) || std::ranges::any_of(nodes_, [&](const Node& node) {
               return std::ranges::count(node.outputs, value) > 0;
           });
}

OnnxType OnnxEdit::type_of(const std::string& value) const {
    if (const auto found = constants_.find(value); found != constants_.end()) return found->second.type;
    for (const Node& node : nodes_) {
        if (std::ranges::count(node.outputs, value) == 0) continue;
        if (node.type == "Constant") {
            const std::string_view tensor = constant_tensor(node.message);
            return tensor.empty() ? OnnxType::float32
                                  : static_cast<OnnxType>(integer_of(tensor, tensor_field::type));
        }
        if (node.type == "Cast") {
            std::uint64_t to = 1;
            for_each_field(node.message, [&](const WireField& field) {
                if (field.number == node_field::attribute &&
                    text_of(field.content, attribute_field::name) == "to")
                    to = integer_of(field.content, attribute_field::integer);
            });
            return static_cast<OnnxType>(to);
        }
        // Levels are integers; what they become has the type of the scale.
        const std::size_t typed = node.type == "DequantizeLinear" ? 1 : 0;
        if (typed < node.inputs.size()) return type_of(node.inputs[typed]);
    }
    return OnnxType::float32;
}

void OnnxEdit::drop(const std::string& value) {
    if (const auto found = constants_.find(value); found != constants_.end()) {
        found->second.is_gone = true;
        no_inputs_.insert(value);
        return;
    }
    Node& node = node_of(value);
    if (node.outputs.size() == 1) {
        node.is_gone = true;
        return;
    }
    for (std::string& output : node.outputs)
        if (output == value) output += ".replaced";
    node.is_changed = true;
}

void OnnxEdit::replace(const std::string& value, const Shape& shape, std::span<const float> values) {
    const OnnxType type = type_of(value);
    const std::string bytes = onnx_elements(values, type, value);
    if (const auto found = constants_.find(value); found != constants_.end()) {
        // Names, dimensions and texts stay as they are.
        WireWriter tensor;
        for_each_field(found->second.message, [&](const WireField& field) {
            const bool stays = field.number == tensor_field::dimensions ||
                               field.number == tensor_field::type || field.number == tensor_field::name ||
                               field.number == tensor_field::text;
            if (stays) tensor.append(field.whole);
        });
        tensor.text(tensor_field::raw, bytes);
        found->second.replaced = std::move(tensor.message());
        return;
    }
    replace(value, {onnx_constant(value, type, shape, bytes)});
}

void OnnxEdit::replace(const std::string& value, std::vector<std::string> nodes) {
    drop(value);
    add(std::move(nodes));
}

void OnnxEdit::add(std::vector<std::string> nodes) {
    for (std::string& node : nodes) first_nodes_.push_back(std::move(node));
}

void OnnxEdit::set_inputs(const std::string& output, std::vector<std::string> inputs) {
    Node& node = node_of(output);
    node.inputs = std::move(inputs);
    node.is_changed = true;
}

OnnxEdit::NodeView OnnxEdit::view(const Node& node) {
    WireWriter attributes;
    for_each_field(node.message, [&](const WireField& field) {
        if (field.number == node_field::attribute) attributes.append(field.whole);
    });
    return {node.type, node.inputs, node.outputs, std::move(attributes.message())};
}

OnnxEdit::NodeView OnnxEdit::node(const std::string& output) const {
    return view(*place_of(output));
}

std::vector<OnnxEdit::NodeView> OnnxEdit::readers_of(const std::string& value) const {
    std::vector<NodeView> readers;
    require(!outputs_.contains(value), "the value '{}' is an output of the file", value);
    for (const Node& node : nodes_) {
        if (node.is_gone) continue;
        require(!node.inner_reads.contains(value), "the value '{}' is read by a graph inside of a node",
                value);
        if (std::ranges::count(node.inputs, value) > 0) readers.push_back(view(node));
    }
    return readers;
}

void OnnxEdit::replace_node(const std::string& output, std::vector<std::string> inputs,
                            const std::string& made, std::vector<std::string> nodes) {
    Node& node = node_of(output);
    node.inputs = std::move(inputs);
    node.outputs = {made};
    node.instead = std::move(nodes);
}

void OnnxEdit::make_identity(const std::string& output) {
    Node& node = node_of(output);
    node.type = "Identity";
    node.inputs.resize(1);
    node.outputs.resize(1);
    node.is_changed = true;
}

bool OnnxEdit::is_copy(const std::string& value, const std::string& of) const {
    if (value == of) return true;
    const auto producer = std::ranges::find_if(
        nodes_, [&](const Node& node) { return std::ranges::count(node.outputs, value) > 0; });
    return producer != nodes_.end() && producer->type == "Identity" && producer->inputs.size() == 1 &&
           is_copy(producer->inputs.front(), of);
}

void OnnxEdit::rewire(const std::string& output, const std::string& from, const std::string& to) {
    Node& node = node_of(output);
    std::ranges::replace_if(
        node.inputs, [&](const std::string& input) { return is_copy(input, from); }, to);
    node.is_changed = true;
}

/// What nothing reads any more, but something did.
void OnnxEdit::drop_unread(const std::map<std::string, int>& before) {
    bool goes_on = true;
    while (goes_on) {
        goes_on = false;
        const auto now = readers();
        const auto is_left = [&](const std::string& value) {
            return before.contains(value) && !now.contains(value);
        };
        for (auto& [name, constant] : constants_) {
            if (constant.is_gone || !is_left(name)) continue;
            constant.is_gone = true;
            no_inputs_.insert(name);
        }
        for (Node& node : nodes_) {
            if (node.is_gone || !std::ranges::all_of(node.outputs, is_left)) continue;
            node.is_gone = true;
            goes_on = true;
        }
    }
}

std::string OnnxEdit::rewritten(const Node& node) const {
    WireWriter writer;
    for (const std::string& input : node.inputs) writer.text(node_field::input, input);
    for (const std::string& output : node.outputs) writer.text(node_field::output, output);
    const bool is_other = text_of(node.message, node_field::type) != node.type;
    if (is_other) writer.text(node_field::type, node.type);
    for_each_field(node.message, [&](const WireField& field) {
        const bool is_written = field.number == node_field::input || field.number == node_field::output;
        // Attributes are those of the former type.
        const bool is_former =
            is_other && (field.number == node_field::type || field.number == node_field::attribute);
        if (!is_written && !is_former) writer.append(field.whole);
    });
    return std::move(writer.message());
}

std::string OnnxEdit::within_one_file(const std::string& name, std::string_view message) const {
    OnnxExternalData::Entries entries;
    WireWriter tensor;
    for_each_field(message, [&](const WireField& field) {
        if (field.number == tensor_field::external)
            entries[text_of(field.content, entry_key)] = text_of(field.content, entry_value);
        else if (field.number != tensor_field::location)
            tensor.append(field.whole);
    });
    if (entries.empty()) return std::string(message);
    OnnxExternalData files(folder_);
    const auto bytes = files.bytes_of(entries, name);
    tensor.text(tensor_field::raw, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});  // NOLINT
    return std::move(tensor.message());
}

std::string OnnxEdit::bytes() const {
    OnnxEdit left = *this;
    left.drop_unread(original_readers_);
    const auto graph_of = [&](std::string_view original) {
        WireWriter graph;
        bool has_begun = false;
        std::size_t next = 0;
        const auto begin_nodes = [&] {
            if (!std::exchange(has_begun, true))
                for (const std::string& node : left.first_nodes_) graph.text(graph_field::node, node);
        };
        for_each_field(original, [&](const WireField& field) {
            if (field.number == graph_field::node) {
                begin_nodes();
                const Node& node = left.nodes_[next++];
                if (node.is_gone) return;
                for (const std::string& other : node.instead) graph.text(graph_field::node, other);
                if (!node.instead.empty()) return;
                if (node.is_changed)
                    graph.text(graph_field::node, rewritten(node));
                else
                    graph.append(field.whole);
            } else if (field.number == graph_field::initializer) {
                const std::string name = text_of(field.content, tensor_field::name);
                const Constant& constant = left.constants_.at(name);
                if (constant.is_gone) return;
                graph.text(graph_field::initializer, constant.replaced.empty()
                                                         ? within_one_file(name, constant.message)
                                                         : constant.replaced);
            } else if (field.number != graph_field::input ||
                       !left.no_inputs_.contains(text_of(field.content, value_name))) {
                graph.append(field.whole);
            }
        });
        begin_nodes();
        return std::move(graph.message());
    };
    WireWriter model;
    for_each_field(model_, [&](const WireField& field) {
        if (field.number == model_field::graph)
            model.text(model_field::graph, graph_of(field.content));
        else
            model.append(field.whole);
    });
    require(
        model.message().size() < std::size_t{1} << 31U,
        "the model takes {} bytes, and an ONNX file by itself ends at 2 GB; export with --type f16 or --compact",
        model.message().size());
    return std::move(model.message());
}

}  // namespace jlcm
