#include "core/learn/distiller.hpp"

#include "core/graph/output_meaning.hpp"
#include "core/graph/recomputation.hpp"
#include "core/learn/diverged.hpp"
#include "core/learn/learned_weights.hpp"
#include "core/learn/learning_record.hpp"
#include "core/model/divergence.hpp"
#include "core/model/scoring.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>

namespace jlcm {

void DistillationOptions::fields(Fields& v) {
    v("steps", steps, Doc{"Steps of distillation."}, at_least(0));
    v("batch", batch, Doc{"Samples per step."}, at_least(1));
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
          parts_(compared_parts(model.graph())),
          teacher_(model.base(), compute, backend, original_features),
          head_(head_weight(model.base(), compute, backend)),
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
        const Tensor original = teacher_.features(batch);
        predictions_ = original.rows();

        Recomputation pass(graph);
        const Tensor x = pass.forward(
            batch, [&](const Block& block, const Tensor& input) { return forward(block, input); });
        const Tensor features = forward(graph.epilogue(), x);
        Tensor slope;
        const double loss = loss_of(features, original, slope);
        require_converging(loss, "the loss of distillation", done_);

        const LearningRates rates = scheduled_rates(options_.rate, options_.rate, options_.schedule, done_,
                                                    options_.steps, options_.warmup);
        JumpHistogram jumps;
        const auto back = [&](const Block& block, const Tensor& input, const Tensor& gradient) {
            return backward(block, input, gradient, rates, jumps);
        };
        pass.backward(back(graph.epilogue(), x, slope.reshape(features.shape())), back);
        nlohmann::json record = learning_record(done_, loss, jumps);
        ++done_;
        return record;
    }

  private:
    static NodeRange all_nodes(const CompressedModel& model) { return model.graph().body().nodes; }

    Tensor bound(ParameterId id) const {
        const Tensor value = model_->weight(id);
        return model_->graph().parameter(id).linear ? backend_->convert(value, compute_) : value;
    }

    /// Against what the original makes of the same batch.
    double loss_of(const Tensor& features, const Tensor& original, Tensor& slope) const {
        const Tensor rows = head_input(features, head_, *backend_);
        if (parts_.size() > 1) return loss_of_parts(rows, original, slope);
        if (!parts_.empty() && parts_.front().output->compared_as != OutputMeaning::logits)
            return distillation_loss(parts_.front().output->compared_as, rows, original, slope);
        return logits_loss(rows, original, slope);
    }

    double logits_loss(const Tensor& rows, const Tensor& original, Tensor& slope) const {
        const Tensor head = head_or_identity(head_, original).dense();
        const auto count = static_cast<double>(original.rows());
        return backend_->kl_backward(rows, head, original, head, 1.0 / count, slope) / count;
    }

    /// Of the record of several outputs: the sum of their losses, each by its meaning.
    double loss_of_parts(const Tensor& rows, const Tensor& original, Tensor& slope) const {
        double loss = 0;
        slope = Tensor::zeros(rows.shape());
        for (const auto& [output, part] : parts_) {
            const auto as_rows = [&](const Tensor& record) {
                const Tensor own = part_of(record, part);
                const std::int64_t width = part.shape.empty() ? 1 : part.shape.back();
                return own.reshape({own.size() / width, width});
            };
            Tensor own_slope;
            loss += output->compared_as == OutputMeaning::logits
                        ? logits_loss(as_rows(rows), as_rows(original), own_slope)
                        : distillation_loss(output->compared_as, as_rows(rows), as_rows(original), own_slope);
            put_part(own_slope, part, slope);
        }
        return loss;
    }

    /// The next batch of the endless chain of samples.
    Tensor batch_of(std::int64_t step) const {
        std::vector<std::int64_t> chosen;
        for (std::int64_t i = 0; i < options_.batch; ++i)
            chosen.push_back((step * options_.batch + i) % samples_.rows());
        return gather_rows(samples_, chosen);
    }

    Tensor forward(const Block& block, const Tensor& input) {
        learned_.bind(block.nodes, compute_, weights_);
        Tensor output = executor_.forward(block, weights_, input);
        learned_.release(block.nodes, weights_);
        return output;
    }

    /// Backward over a block from its recomputed forward, and a step of what it reads; returns the gradient
    /// of its input.
    Tensor backward(const Block& block, const Tensor& input, const Tensor& slope, const LearningRates& rates,
                    JumpHistogram& jumps) {
        learned_.bind(block.nodes, compute_, weights_);
        Recording recording;
        (void)executor_.forward(block, weights_, input, &recording);
        Gradients gradients = learned_.wanted(block.nodes);
        gradients.want_input = true;
        executor_.backward(block, recording, weights_, slope, gradients);
        learned_.release(block.nodes, weights_);
        // The Fisher diagonal's stand-in: a batch's gradient is the mean over its predictions', so its square
        // times their number is what the square of one prediction's would be. No further backward.
        if (learned_.needs_curvature())
            learned_.observe_curvature(block.nodes, gradients, static_cast<double>(predictions_), done_);
        jumps.add(learned_.step(block.nodes, gradients, done_, rates, options_.norm_rate * rates.factor));
        return gradients.input;
    }

    Tensor samples_;
    DistillationOptions options_;
    DType compute_;
    Backend* backend_;
    Executor executor_;
    std::vector<ComparedPart> parts_;  ///< of the features; none: a language model's
    BoundModel teacher_;
    Tensor head_;  ///< dense, for the backward
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
    }) + sizes.bound(sizes.graph().prologue().nodes) +
                                        sizes.bound(sizes.graph().epilogue().nodes));
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
