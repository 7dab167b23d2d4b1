#include "core/learn/layer_learner.hpp"

#include "core/learn/learned_matrix.hpp"
#include "core/learn/learning_record.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

struct LayerLearner::Layer {
    Layer(const LearnedLayer& layer, const CompressedModel& model, const Estimator& estimator,
          Backend& backend)
        : parameter(layer.parameter),
          hessian(layer.hessian),
          target(model.base().weight(layer.parameter)),
          matrix(model.graph().parameter(layer.parameter).name, model.matrices().at(layer.parameter), target,
                 &estimator, backend),
          curvature(Tensor::empty({1, target.cols()})) {
        ensure(hessian.rows() == target.cols() && hessian.cols() == target.cols(), "H {} for a layer {}",
               to_string(hessian.shape()), to_string(target.shape()));
        energy = std::max(backend.dot(target, backend.product(target, Transpose::no, hessian, Transpose::no)),
                          1e-30);
        for (std::int64_t j = 0; j < target.cols(); ++j)
            curvature.data<float>()[j] = static_cast<float>(
                2.0 * static_cast<double>(hessian.data<float>()[j * target.cols() + j]) / energy);
    }

    /// Steps once; returns the loss before.
    double step(std::int64_t number, const LearningRates& rates, JumpHistogram& jumps, Backend& backend) {
        Tensor error = matrix.weight(DType::f32);
        backend.add_scaled(error, target, -1.0);
        const Tensor product = backend.product(error, Transpose::no, hessian, Transpose::no);
        const double loss = backend.dot(error, product) / energy;
        ensure(std::isfinite(loss), "{}: the loss is {} in step {}", matrix.name(), loss, number);
        Tensor gradient = Tensor::zeros(target.shape());
        backend.add_scaled(gradient, product, 2.0 / energy);
        matrix.step(gradient, curvature, number, rates, jumps);
        return loss;
    }

    ParameterId parameter;
    Tensor hessian;
    Tensor target;
    LearnedMatrix matrix;
    Tensor curvature;   ///< [1, cols]: 2 H_jj / energy
    double energy = 1;  ///< tr(W H W^T)
};

LayerLearner::LayerLearner(const std::vector<LearnedLayer>& layers, CompressedModel& model,
                           const BlockLearningOptions& options, Backend& backend)
    : model_(&model), options_(options), backend_(&backend) {
    const auto estimator = options.estimator.make();
    layers_.reserve(layers.size());
    for (const LearnedLayer& layer : layers) layers_.emplace_back(layer, model, *estimator, backend);
}
LayerLearner::~LayerLearner() = default;

std::int64_t LayerLearner::total_steps() const {
    return options_.steps;
}
std::int64_t LayerLearner::steps_done() const {
    return done_;
}

nlohmann::json LayerLearner::step() {
    const LearningRates rates = options_.rates(done_);
    JumpHistogram jumps;
    double loss = 0;
    for (Layer& layer : layers_) loss += layer.step(done_, rates, jumps, *backend_);
    nlohmann::json record =
        learning_record(done_, loss / static_cast<double>(std::max<std::size_t>(layers_.size(), 1)), jumps);
    ++done_;
    return record;
}

std::vector<NamedTensor> LayerLearner::state() {
    std::vector<NamedTensor> state;
    for (const Layer& layer : layers_) layer.matrix.append_state(state);
    return state;
}

void LayerLearner::restored(std::int64_t steps) {
    done_ = steps;
    for (Layer& layer : layers_) layer.matrix.restored();
}

void LayerLearner::finish() {
    for (const Layer& layer : layers_) model_->matrices().at(layer.parameter) = layer.matrix.result();
}

}  // namespace jlcm
