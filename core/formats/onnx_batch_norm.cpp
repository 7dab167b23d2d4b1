#include "core/formats/onnx_batch_norm.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

class Folding {
  public:
    explicit Folding(OnnxModel& model) : model_(model) {
        for (const OnnxNode& node : model.nodes)
            for (const std::string& input : node.inputs) ++readers_[input];
        for (const std::string& output : model.outputs) ++readers_[output];
    }

    void run() {
        for (OnnxNode& norm : model_.nodes) {
            if (norm.type != "BatchNormalization" || norm.inputs.size() != 5) continue;
            const auto conv = std::ranges::find_if(model_.nodes, [&](const OnnxNode& node) {
                return node.type == "Conv" && node.outputs.front() == norm.inputs[0];
            });
            if (conv == model_.nodes.end() || readers_[norm.inputs[0]] != 1 || !fold(*conv, norm)) continue;
            norm.type = "Identity";
            norm.inputs.resize(1);
            norm.attributes.clear();
        }
    }

  private:
    /// A constant that nothing else reads; null where there is none.
    [[nodiscard]] OnnxTensor* own_constant(const std::string& name) {
        const auto found = model_.constants.find(name);
        return found != model_.constants.end() && readers_[name] == 1 && found->second.is_float()
                   ? &found->second
                   : nullptr;
    }

    [[nodiscard]] bool fold(OnnxNode& conv, const OnnxNode& norm) {
        if (!conv.has_input(1)) return false;
        OnnxTensor* weight = own_constant(conv.inputs[1]);
        if (weight == nullptr || weight->shape.empty()) return false;
        const auto outputs = static_cast<std::size_t>(weight->shape[0]);
        std::vector<std::vector<float>> statistics;
        for (std::size_t i = 1; i < 5; ++i) {
            const auto found = model_.constants.find(norm.inputs[i]);
            if (found == model_.constants.end() || !found->second.is_float()) return false;
            statistics.push_back(found->second.floats());
            if (statistics.back().size() != outputs) return false;
            // Left unfolded, it is found where the parameters are checked: folded, an infinite variance would
            // make a weight of 0.
            if (!std::ranges::all_of(statistics.back(), [](float value) { return std::isfinite(value); }))
                return false;
        }
        const bool has_bias = conv.has_input(2);
        if (has_bias && own_constant(conv.inputs[2]) == nullptr) return false;
        std::vector<float> bias =
            has_bias ? own_constant(conv.inputs[2])->floats() : std::vector<float>(outputs, 0);
        if (bias.size() != outputs) return false;
        std::vector<float> values = weight->floats();
        const std::size_t columns = outputs == 0 ? 0 : values.size() / outputs;
        for (std::size_t r = 0; r < outputs; ++r) {
            const double factor =
                static_cast<double>(statistics[0][r]) /
                std::sqrt(static_cast<double>(statistics[3][r]) + norm.number("epsilon", 1e-5F));
            for (std::size_t c = 0; c < columns; ++c) {
                float& value = values[r * columns + c];
                value = static_cast<float>(static_cast<double>(value) * factor);
            }
            const double centred = static_cast<double>(bias[r]) - static_cast<double>(statistics[2][r]);
            bias[r] = static_cast<float>(centred * factor + static_cast<double>(statistics[1][r]));
        }
        weight->values = std::move(values);
        // The shift of the norm has the name that the bias takes where the convolution had none.
        const std::string name = has_bias ? conv.inputs[2] : norm.inputs[2] + ".folded";
        conv.inputs.resize(3);
        conv.inputs[2] = name;
        model_.constants[name] = {{static_cast<std::int64_t>(outputs)}, std::move(bias)};
        readers_[name] = 1;
        return true;
    }

    OnnxModel& model_;
    std::map<std::string, int, std::less<>> readers_;
};

}  // namespace

void fold_batch_norms(OnnxModel& model) {
    Folding(model).run();
}

}  // namespace jlcm
