#include "core/formats/onnx_values_apart.hpp"

#include "core/formats/protobuf_wire.hpp"

namespace jlcm {
namespace {

// Numbers of fields in onnx.proto.
constexpr std::uint32_t graph_of_model = 7;
constexpr std::uint32_t initializer_of_graph = 5;
constexpr std::uint32_t raw_data_of_tensor = 9;

constexpr std::size_t large = 4096;

std::string tensor_without(std::string_view tensor, std::optional<std::string_view>& values) {
    WireWriter rest;
    for_each_field(tensor, [&](const WireField& field) {
        const bool is_raw = field.number == raw_data_of_tensor && field.has_length;
        // Of several the last one counts.
        if (is_raw) values.reset();
        if (is_raw && field.content.size() >= large)
            values = field.content;
        else
            rest.append(field.whole);
    });
    return std::move(rest.message());
}

std::string graph_without(std::string_view graph, OnnxValuesApart& apart) {
    WireWriter rest;
    for_each_field(graph, [&](const WireField& field) {
        if (field.number == initializer_of_graph && field.has_length)
            rest.text(initializer_of_graph, tensor_without(field.content, apart.values.emplace_back()));
        else
            rest.append(field.whole);
    });
    return std::move(rest.message());
}

}  // namespace

OnnxValuesApart take_values_apart(std::string_view file) {
    OnnxValuesApart apart;
    WireWriter rest;
    for_each_field(file, [&](const WireField& field) {
        if (field.number == graph_of_model && field.has_length)
            rest.text(graph_of_model, graph_without(field.content, apart));
        else
            rest.append(field.whole);
    });
    apart.message = std::move(rest.message());
    return apart;
}

}  // namespace jlcm
