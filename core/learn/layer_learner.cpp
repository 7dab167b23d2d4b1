#include "core/learn/layer_learner.hpp"

#include "core/learn/diverged.hpp"
#include "core/learn/learned_matrix.hpp"
#include "core/learn/learning_record.hpp"

#include <algorithm>

namespace jlcm {

namespace {

struct Layer {
    Layer(const LearnedLayer& layer, const CompressedModel& model, const Estimator& estimator,
          Backend& backend)
        : parameter(layer.parameter),
          second_moments(layer.second_moments),
          target(model.base().weight(layer.parameter)),
          matrix(model.graph().parameter(layer.parameter).name, model.matrices().at(layer.parameter), target,
                 &estimator, backend),
          curvature(Tensor::empty({second_moments.size() == 1 ? 1 : target.rows(), target.cols()})) {
        const std::int64_t cols = target.cols();
        for (const Tensor& of_rows : second_moments)
            ensure(of_rows.shape() == Shape({cols, cols}), "second moments {} for a layer {}",
                   to_string(of_rows.shape()), to_string(target.shape()));
        energy = std::max(backend.dot(target, times_moments(target, backend)), 1e-30);
        for (std::int64_t i = 0; i < curvature.rows(); ++i) {
            const Tensor& of_row = second_moments[static_cast<std::size_t>(i / group_rows())];
            for (std::int64_t j = 0; j < cols; ++j)
                curvature.data<float>()[i * cols + j] = static_cast<float>(
                    2.0 * static_cast<double>(of_row.data<float>()[j * cols + j]) / energy);
        }
    }

    [[nodiscard]] std::int64_t group_rows() const { return target.rows() / std::ssize(second_moments); }

    /// Rows [rows, cols] times the H of their group.
    [[nodiscard]] Tensor times_moments(const Tensor& rows, Backend& backend) const {
        if (second_moments.size() == 1)
            return backend.product(rows, Transpose::no, second_moments.front(), Transpose::no);
        Tensor product = Tensor::empty(rows.shape());
        for (std::size_t g = 0; g < second_moments.size(); ++g) {
            const std::int64_t begin = static_cast<std::int64_t>(g) * group_rows();
            Tensor part = product.slice(begin, begin + group_rows());
            backend.gemm(jlcm::matrix(rows.slice(begin, begin + group_rows())), Transpose::no,
                         jlcm::matrix(second_moments[g]), Transpose::no, part, false);
        }
        return product;
    }

    /// Steps once; returns the loss before.
    double step(std::int64_t number, const LearningRates& rates, JumpHistogram& jumps, Backend& backend) {
        Tensor error = matrix.weight(DType::f32);
        backend.add_scaled(error, target, -1.0);
        const Tensor product = times_moments(error, backend);
        const double loss = backend.dot(error, product) / energy;
        require_converging(loss, fmt::format("the loss of {}", matrix.name()), number);
        Tensor gradient = Tensor::zeros(target.shape());
        backend.add_scaled(gradient, product, 2.0 / energy);
        matrix.observe(gradient, number);
        matrix.step(MatrixStep::of_all(number, rates), curvature, jumps);
        return loss;
    }

    ParameterId parameter;
    std::vector<Tensor> second_moments;  ///< of each group of rows
    Tensor target;
    LearnedMatrix matrix;
    Tensor curvature;   ///< 2 H_jj / energy: [1, cols], or by row where there are several groups
    double energy = 1;  ///< tr(W H W^T)
};

class LayerLearner final : public Trainable {
  public:
    LayerLearner(const std::vector<LearnedLayer>& layers, CompressedModel& model,
                 const BlockLearningOptions& options, Backend& backend)
        : model_(&model), options_(options), backend_(&backend) {
        const auto estimator = options.estimator.make();
        layers_.reserve(layers.size());
        for (const LearnedLayer& layer : layers) layers_.emplace_back(layer, model, *estimator, backend);
    }

    [[nodiscard]] std::int64_t total_steps() const override { return options_.steps; }
    [[nodiscard]] std::int64_t steps_done() const override { return done_; }

    [[nodiscard]] nlohmann::json step() override {
        const LearningRates rates = options_.rates(done_);
        JumpHistogram jumps;
        double loss = 0;
        for (Layer& layer : layers_) loss += layer.step(done_, rates, jumps, *backend_);
        nlohmann::json record = learning_record(
            done_, loss / static_cast<double>(std::max<std::size_t>(layers_.size(), 1)), jumps);
        ++done_;
        return record;
    }

    [[nodiscard]] std::vector<NamedTensor> state() override {
        std::vector<NamedTensor> state;
        for (const Layer& layer : layers_) layer.matrix.append_state(state);
        return state;
    }
    void restored(std::int64_t steps) override {
        done_ = steps;
        for (Layer& layer : layers_) layer.matrix.restored();
    }
    [[nodiscard]] std::vector<NamedTensor> positions() override {
        std::vector<NamedTensor> positions;
        for (const Layer& layer : layers_) layer.matrix.append_position(positions);
        return positions;
    }
    void finish() override {
        for (const Layer& layer : layers_) model_->matrices().at(layer.parameter) = layer.matrix.result();
    }

  private:
    CompressedModel* model_;
    BlockLearningOptions options_;
    Backend* backend_;
    std::vector<Layer> layers_;
    std::int64_t done_ = 0;
};

}  // namespace

std::unique_ptr<Trainable> make_layer_learner(const std::vector<LearnedLayer>& layers, CompressedModel& model,
                                              const BlockLearningOptions& options, Backend& backend) {
    return std::make_unique<LayerLearner>(layers, model, options, backend);
}

StageCost layer_learner_cost(const GraphSizes& sizes, const BlockLearningOptions& options,
                             const CodesOfWeight& codes) {
    const auto estimator = options.estimator.make();
    StageCost stage{"learn", {}};
    stage.add("estimator", sizes.largest_block([&](const Block& block) {
        return estimator_bytes(sizes, block.nodes, *estimator, codes);
    }));
    double largest = 0;
    for (const auto& block : sizes.graph().blocks())
        for (const auto& use : sizes.graph().linears(block.nodes)) {
            if (codes(use.parameter).bits == 0) continue;
            const auto columns = static_cast<double>(sizes.graph().parameter(use.parameter).shape.back());
            const double weights = sizes.elements(use.parameter);
            largest = std::max(largest, weights);
            stage.products += static_cast<double>(options.steps) * 2 * weights * columns;
            stage.loops += static_cast<double>(options.steps) * weights * step_loops(codes(use.parameter));
        }
    // The targets of all layers, and a reconstruction with its error and gradient.
    stage.add("weights of a block", sizes.largest_block([&](const Block& block) {
        double targets = 0;
        for (const auto& use : sizes.graph().linears(block.nodes))
            if (codes(use.parameter).bits > 0) targets += 5 * sizes.elements(use.parameter);
        return targets;
    }));
    stage.add("weights and gradient", 12 * largest);
    return stage;
}

}  // namespace jlcm
