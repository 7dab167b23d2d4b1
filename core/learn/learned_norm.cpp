#include "core/learn/learned_norm.hpp"

#include <cmath>
#include <utility>

namespace jlcm {

LearnedNorm::LearnedNorm(const std::string& name, Tensor start)
    : name_(name), value_(std::move(start)), size_(Tensor::empty({1})), adam_(value_.shape(), name) {
    double squares = 0;
    for (const float v : value_.values<float>()) squares += static_cast<double>(v) * static_cast<double>(v);
    size_.data<float>()[0] = static_cast<float>(std::sqrt(squares / static_cast<double>(value_.size())));
}

void LearnedNorm::observe(Tensor gradient, Backend& backend) {
    if (gradient_.defined())
        backend.add_scaled(gradient_, gradient, 1.0);
    else
        gradient_ = std::move(gradient);
}

void LearnedNorm::step(std::int64_t step, double rate, Backend& backend) {
    const Tensor gradient = std::exchange(gradient_, {});
    const double absolute = rate * static_cast<double>(size_.data<float>()[0]);
    adam_.step(value_, gradient, step, std::span(&absolute, 1), backend);
}

void LearnedNorm::append_state(std::vector<NamedTensor>& state) const {
    state.push_back({name_, value_});
    state.push_back({name_ + ".size", size_});
    adam_.append_state(state);
}

std::map<ParameterId, LearnedNorm> learned_norms(const CompressedModel& model, NodeRange range) {
    std::map<ParameterId, LearnedNorm> norms;
    for (const ParameterId id : model.graph().parameters_of(range)) {
        const Parameter& parameter = model.graph().parameter(id);
        const bool moves = parameter.role == "bias" ||
                           (parameter.role.starts_with("norm") && parameter.role != "norm.statistics");
        if (moves) norms.try_emplace(id, parameter.name, model.weight(id));
    }
    return norms;
}

}  // namespace jlcm
