#include "core/codebook/onnx_levels.hpp"

#include "core/base/error.hpp"

namespace jlcm {
namespace {

/// Nodes in place of one.
class Replacement {
  public:
    Replacement(OnnxEdit& edit, const std::string& output)
        : edit_(edit), output_(output), old_(edit.node(output)) {}

    void run(const std::string& levels, const std::string& weight) {
        const bool is_convolution = old_.type == "ConvInteger" || old_.type == "QLinearConv";
        const bool has_scales = old_.type.starts_with("QLinear");
        const std::size_t second = has_scales ? 3 : 1;
        const bool is_left = edit_.is_copy(old_.inputs.at(0), levels);
        const std::size_t data = is_left ? second : 0;
        const std::string x = has_scales ? dequantized(data) : centred(data);
        std::vector<std::string> factors = is_left ? std::vector{weight, x} : std::vector{x, weight};
        if (old_.type == "QLinearConv" && reads(8)) factors.push_back(bias());
        const std::string product = add(is_convolution ? "Conv" : "MatMul", factors,
                                        is_convolution ? old_.attributes : std::string());
        if (has_scales) {
            nodes_.push_back(OnnxNewNode{.type = "QuantizeLinear",
                                         .inputs = {product, old_.inputs.at(6), old_.inputs.at(7)},
                                         .output = output_}
                                 .message());
            return edit_.replace_node(output_, used_, output_, std::move(nodes_));
        }
        edit_.replace_node(output_, used_, product, std::move(nodes_));
        for (const auto& reader : edit_.readers_of(output_)) {
            require(
                reader.type == "Cast",
                "whole numbers that '{}' makes of levels are read by a {}, which wants them whole; they become "
                "numbers with the weights that jlcm has found",
                output_, reader.type);
            edit_.rewire(reader.outputs.front(), output_, product);
        }
    }

  private:
    [[nodiscard]] bool reads(std::size_t i) const {
        return i < old_.inputs.size() && !old_.inputs[i].empty();
    }
    const std::string& use(std::size_t i) { return used_.emplace_back(old_.inputs.at(i)); }

    std::string add(const std::string& type, std::vector<std::string> inputs, std::string attributes = {}) {
        OnnxNewNode node{.type = type,
                         .inputs = std::move(inputs),
                         .output = fmt::format("{}/jlcm/{}", output_, nodes_.size())};
        node.attributes = std::move(attributes);
        nodes_.push_back(node.message());
        return node.output;
    }
    std::string cast(const std::string& value) {
        const OnnxNewNode node{.type = "Cast",
                               .inputs = {value},
                               .output = fmt::format("{}/jlcm/{}", output_, nodes_.size()),
                               .integers = {{"to", static_cast<std::int64_t>(OnnxType::float32)}}};
        nodes_.push_back(node.message());
        return node.output;
    }
    /// Levels less their zero point.
    std::string centred(std::size_t i) {
        const std::string levels = cast(use(i));
        return reads(i + 2) ? add("Sub", {levels, cast(use(i + 2))}) : levels;
    }
    std::string dequantized(std::size_t i) {
        return add("DequantizeLinear", {use(i), use(i + 1), use(i + 2)});
    }
    /// Of a QLinearConv: in units of the products of levels.
    std::string bias() {
        const std::string unit = add("Mul", {use(1), use(4)});
        return add("Mul", {cast(use(8)), unit});
    }

    OnnxEdit& edit_;
    std::string output_;
    OnnxEdit::NodeView old_;
    std::vector<std::string> used_;
    std::vector<std::string> nodes_;
};

}  // namespace

void multiply_numbers(OnnxEdit& edit, const std::string& output, const std::string& levels,
                      const std::string& weight) {
    Replacement(edit, output).run(levels, weight);
}

}  // namespace jlcm
