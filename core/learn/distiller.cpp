#include "core/learn/distiller.hpp"

#include "core/learn/learned_weights.hpp"
#include "core/learn/learning_record.hpp"
#include "core/model/scoring.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

void DistillationOptions::fields(Fields& v) {
    v("steps", steps, Doc{"Steps of distillation."}, at_least(0));
    v("batch", batch, Doc{"Samples of a step."}, at_least(1));
    v("rate", rate,
      Doc{"Adam step of the codewords in units of their codebook's spacing, and of scales relative to each."},
      Range{0.0, 1.0});
    v("norm_rate", norm_rate,
      Doc{"Adam step of the norms, relative to their root mean square; 0 leaves them."}, Range{0.0, 1.0});
    v("estimator", estimator,
      Doc{"How gradients move the mapping; none: it stays, which suits short runs and costs no memory."});
    v("schedule", schedule, Doc{"How all rates fall over the steps."});
    v("warmup", warmup, Doc{"Steps over which the rates rise first."}, at_least(0));
}

namespace {

class Distiller final : public WeightLearner {
  public:
    Distiller(CompressedModel& model, Tensor samples, const DistillationOptions& options, DType compute,
              Backend& backend, FeatureStore* original_features)
        : WeightLearner(
              model, {model, all_nodes(model), options.estimator ? options.estimator->make().get() : nullptr,
                      options.norm_rate > 0, backend}),
          samples_(std::move(samples)),
          options_(options),
          compute_(compute),
          backend_(&backend),
          executor_(model.graph(), backend, compute),
          teacher_(model.base(), compute, backend, original_features),
          weights_(model.graph()) {
        require(samples_.rows() >= options_.batch, "distillation has {} samples, fewer than one batch of {}",
                samples_.rows(), options_.batch);
        // Everything but the learned linear weights stays bound; those are decoded block by block.
        for (const ParameterId id : model.graph().parameters_of(all_nodes(model)))
            if (!learned_.contains(id)) weights_.bind(id, bound(id));
    }

    [[nodiscard]] std::int64_t total_steps() const override { return options_.steps; }

    [[nodiscard]] nlohmann::json step() override {
        const Graph& graph = model_->graph();
        const Tensor batch = batch_of(done_);
        const Predictions reference = teacher_.predict(batch);
        predictions_ = reference.features.rows();

        // Forward, keeping each block's input only.
        const auto& blocks = graph.blocks();
        Tensor x = forward(graph.prologue(), graph.input(), batch, blocks.front().input);
        std::vector<Tensor> inputs;
        for (const Block& block : blocks) {
            inputs.push_back(x);
            x = forward(block.nodes, block.input, x, block.output);
        }
        const Tensor features = forward(graph.epilogue(), blocks.back().output, x, graph.features());
        Tensor slope;
        const auto count = static_cast<double>(predictions_);
        const double loss =
            backend_->kl_backward(head_input(features, teacher_.head(), *backend_), reference.head,
                                  reference.features, reference.head, 1.0 / count, slope) /
            count;
        ensure(std::isfinite(loss), "distillation: the loss is {} in step {}", loss, done_);

        const LearningRates rates = scheduled_rates(options_.rate, options_.rate, options_.schedule, done_,
                                                    options_.steps, options_.warmup);
        JumpHistogram jumps;
        slope = backward(graph.epilogue(), blocks.back().output, x, graph.features(),
                         slope.reshape(features.shape()), rates, jumps);
        for (std::size_t i = blocks.size(); i-- > 0;) {
            slope =
                backward(blocks[i].nodes, blocks[i].input, inputs[i], blocks[i].output, slope, rates, jumps);
            inputs[i] = Tensor();
        }
        nlohmann::json record = learning_record(done_, loss, jumps);
        ++done_;
        return record;
    }

  private:
    static NodeRange all_nodes(const CompressedModel& model) { return {0, model.graph().node_count()}; }

    Tensor bound(ParameterId id) const {
        const Tensor value = model_->weight(id);
        return model_->graph().parameter(id).linear ? backend_->convert(value, compute_) : value;
    }

    /// The next batch of the endless chain of samples.
    Tensor batch_of(std::int64_t step) const {
        std::vector<std::int64_t> chosen;
        for (std::int64_t i = 0; i < options_.batch; ++i)
            chosen.push_back((step * options_.batch + i) % samples_.rows());
        return gather_rows(samples_, chosen);
    }

    Tensor forward(NodeRange range, ValueId from, const Tensor& input, ValueId to) {
        learned_.bind(range, compute_, weights_);
        Tensor output = executor_.forward(range, weights_, from, input, to);
        learned_.release(range, weights_);
        return output;
    }

    /// Backward over a range from its recomputed forward, and a step of what it reads; returns the gradient
    /// of its input.
    Tensor backward(NodeRange range, ValueId from, const Tensor& input, ValueId to, const Tensor& slope,
                    const LearningRates& rates, JumpHistogram& jumps) {
        learned_.bind(range, compute_, weights_);
        Recording recording;
        (void)executor_.forward(range, weights_, from, input, to, &recording);
        Gradients gradients = learned_.wanted(range);
        gradients.want_input = true;
        executor_.backward(recording, weights_, from, to, slope, gradients);
        learned_.release(range, weights_);
        // The Fisher diagonal's stand-in: a batch's gradient is the mean over its predictions', so its square
        // times their number is what the square of one prediction's would be. No further backward.
        if (learned_.needs_curvature())
            learned_.observe_curvature(range, gradients, static_cast<double>(predictions_), done_);
        jumps.add(learned_.step(range, gradients, done_, rates, options_.norm_rate * rates.factor));
        return gradients.input;
    }

    Tensor samples_;
    DistillationOptions options_;
    DType compute_;
    Backend* backend_;
    Executor executor_;
    BoundModel teacher_;
    Weights weights_;
    std::int64_t predictions_ = 0;  ///< of the batch: one a token, or one an image
};

}  // namespace

std::unique_ptr<Trainable> make_distiller(CompressedModel& model, Tensor samples,
                                          const DistillationOptions& options, DType compute, Backend& backend,
                                          FeatureStore* original_features) {
    return std::make_unique<Distiller>(model, std::move(samples), options, compute, backend,
                                       original_features);
}

StageCost distiller_cost(const GraphSizes& sizes, const DistillationOptions& options,
                         const BitsOfWeight& bits) {
    const auto estimator = options.estimator ? options.estimator->make() : nullptr;
    const NodeRange all = sizes.all_nodes();
    const auto batch = static_cast<double>(options.batch);
    StageCost stage{"distill", {}};
    double codes = 0;
    for (const auto& use : sizes.graph().linears(all))
        if (bits(use.parameter) > 0) codes += sizes.elements(use.parameter);
    stage.add("codes that are learned", codes);
    stage.add("weights of the original", sizes.bound(all) + sizes.decoded(all) + sizes.head());
    if (estimator) stage.add("estimator", estimator_bytes(sizes, all, *estimator, bits));
    // Reconstructions and gradients of a block; what is not learned of the model stays bound.
    stage.add("weights of a block", sizes.largest_block([&](const Block& block) {
        return sizes.bound(block.nodes) + 2 * sizes.decoded(block.nodes);
    }) + sizes.bound(sizes.graph().prologue()) +
                                        sizes.bound(sizes.graph().epilogue()));
    stage.add("values and their gradients", sizes.largest_block([&](const Block& block) {
        return 2 * sizes.values(block.nodes, batch) + sizes.patches(block.nodes, batch);
    }) + sizes.all_blocks([&](const Block& block) {
        return sizes.elements_of_value(block.input) * batch * 4;
    }));
    // The original's forward, the compressed model's, each block's again, and a backward of two.
    const auto steps = static_cast<double>(options.steps);
    stage.products = steps * batch * (5 * sizes.forward_operations() + 4 * sizes.head_operations());
    stage.loops = steps * (codes + 5 * batch * sizes.forward_elements());
    return stage;
}

}  // namespace jlcm
