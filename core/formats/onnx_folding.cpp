// What is known without the model's input.
#include "core/formats/onnx_context.hpp"

namespace jlcm::onnx_rules {
namespace {

using Inputs = std::vector<const OnnxTensor*>;
using Folding = std::vector<OnnxTensor> (*)(const OnnxNode&, std::int64_t opset, const Inputs&);

std::vector<OnnxTensor> constant(const OnnxNode& node, std::int64_t, const Inputs&) {
    for (const auto& [key, value] : node.attributes) {
        if (const auto* tensor = std::get_if<OnnxTensor>(&value)) return {*tensor};
        if (key == "value_float") return {{{}, std::vector{std::get<float>(value)}}};
        if (key == "value_int") return {{{}, std::vector{std::get<std::int64_t>(value)}}};
        if (const auto* floats = std::get_if<std::vector<float>>(&value))
            return {{{std::ssize(*floats)}, *floats}};
        if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&value))
            return {{{std::ssize(*integers)}, *integers}};
    }
    fail("a constant of no supported type");
}

std::vector<OnnxTensor> pass_on(const OnnxNode&, std::int64_t, const Inputs& inputs) {
    return {*inputs.at(0)};
}

const std::map<std::string, Folding, std::less<>>& foldings() {
    static const std::map<std::string, Folding, std::less<>> table{
        {"Constant", constant},
        {"Identity", pass_on},
    };
    return table;
}

}  // namespace

std::optional<std::vector<OnnxTensor>> fold(const OnnxNode& node, std::int64_t opset, const Inputs& inputs) {
    const auto found = foldings().find(node.type);
    if (found == foldings().end()) return std::nullopt;
    return found->second(node, opset, inputs);
}

}  // namespace jlcm::onnx_rules
