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
#include <utility>

namespace jlcm {

void MappingOptions::fields(Fields& v) {
    v("every", every,
      Doc{"Steps of the codebooks per step of the mapping, which takes the mean of their gradients: its steps want "
          "more tokens than theirs. Above 1 this takes 4 bytes of memory a weight."},
      at_least(1));
    v("schedule", schedule, Doc{"How the estimator's rate falls over its steps. None: as all rates do."});
    v("warmup", warmup,
      Doc{"Steps of the mapping over which its rate rises first. None: as long as all rates do."},
      at_least(0));
    v("most", most,
      Doc{"The largest share of a matrix's codes that changes in a step: those first that lie farthest beyond their "
          "cells or whose best candidate is farthest ahead. All changes push downstream at once, so that many "
          "together overshoot.",
          "PV-Tuning, arXiv 2405.14852"},
      Range{0.0, 1.0, true});
    v("start", start,
      Doc{"Where weights lie among their codewords at the start. Moments start afresh in any case: the loss is "
          "another one, and so is the size of its gradients."});
}

void DistillationOptions::fields(Fields& v) {
    const When moves{[this] { return estimator.has_value(); }, "without an estimator the mapping stays"};
    v("steps", steps, Doc{"Steps of distillation."}, at_least(0));
    v("batch", batch, Doc{"Samples per step."}, at_least(1));
    v("batch_at_once", batch_at_once,
      Doc{"How many of a step's samples go through the model at once: their gradients add up. Bounds the memory of "
          "activations. None: all."},
      at_least(1));
    v("rate", rate,
      Doc{"Adam step of the codewords in units of their codebook's spacing, and of scales relative to each."},
      Range{0.0, 1.0});
    v("norm_rate", norm_rate,
      Doc{"Adam step of the norms, relative to their root mean square; 0 leaves them."}, Range{0.0, 1.0});
    v("estimator", estimator,
      Doc{"How gradients move the mapping; none: it stays, which suits short runs and costs no memory."});
    v("mapping", mapping, Doc{"When the mapping steps, and how far."}, moves);
    v("embedding", embedding,
      Doc{"Learn the embedding and the head as well, if they are compressed. A step takes one more product with the head "
          "in six."});
    v("schedule", schedule, Doc{"How all rates fall over the steps."});
    v("warmup", warmup, Doc{"Steps over which the rates rise first."}, at_least(0));
}

void DistillationOptions::validate(Problems& problems) const {
    if (!estimator) return;
    if (mapping.every > steps)
        problems.field("mapping", "every is {}, and there are {} steps: the mapping would never move",
                       mapping.every, steps);
    if ((mapping.most < 1 || mapping.start == MappingStart::learned) && !estimator->make()->is_placed())
        problems.field("mapping", "the estimator {} takes no cap (most) and goes on from nothing (start)",
                       estimator->name());
}

MatrixStep DistillationOptions::matrix_step(std::int64_t step) const {
    MatrixStep made{step, scheduled_rates(rate, rate, schedule, step, steps, warmup), {}};
    if ((step + 1) % mapping.every != 0) return made;
    const std::int64_t number = step / mapping.every;
    const std::int64_t of = steps / mapping.every;
    made.mapping = {.number = number,
                    .factor = schedule_factor(mapping.schedule.value_or(schedule), number, of,
                                              mapping.warmup.value_or(warmup / mapping.every)),
                    .progress = static_cast<double>(number) / static_cast<double>(of),
                    .most = mapping.most};
    return made;
}

namespace {

/// Consecutive samples of a step.
struct Part {
    std::int64_t first = 0;
    std::int64_t end = 0;
    double share = 1;  ///< of the step's samples
};

std::vector<Part> parts_of(std::int64_t batch, std::int64_t at_once) {
    std::vector<Part> parts;
    for (std::int64_t first = 0; first < batch; first += at_once) {
        const std::int64_t end = std::min(first + at_once, batch);
        parts.push_back({first, end, static_cast<double>(end - first) / static_cast<double>(batch)});
    }
    return parts;
}

class Distiller final : public WeightLearner {
  public:
    Distiller(CompressedModel& model, Tensor samples, const DistillationOptions& options, DType compute,
              Backend& backend, FeatureStore* original_features, const PositionsOfBlock& positions)
        : WeightLearner(
              model, {model, all_nodes(model), options.estimator ? options.estimator->make().get() : nullptr,
                      options.norm_rate > 0, backend, options.mapping.every, options.embedding}),
          samples_(std::move(samples)),
          options_(options),
          compute_(compute),
          backend_(&backend),
          executor_(model.graph(), backend, compute),
          outputs_(compared_parts(model.graph())),
          teacher_(model.base(), compute, backend, original_features),
          teacher_head_(head_weight(model.base(), compute, backend)),
          head_(has_own_head() ? head_weight(model, compute, backend) : teacher_head_),
          weights_(model.graph()),
          parts_(parts_of(options.batch, options.at_once())) {
        require(samples_.rows() >= options_.batch, "distillation has {} samples, fewer than one batch of {}",
                samples_.rows(), options_.batch);
        if (options.estimator && options.mapping.start == MappingStart::learned)
            for (std::size_t b = 0; b < model.graph().blocks().size(); ++b)
                learned_.go_on_from(model.graph().blocks()[b].nodes, positions(b));
        // Everything but the learned linear weights stays bound; those are decoded block by block.
        for (const ParameterId id : model.graph().parameters_of(all_nodes(model)))
            if (!learned_.contains(id)) weights_.bind(id, bound(id));
    }

    [[nodiscard]] std::int64_t total_steps() const override { return options_.steps; }

    [[nodiscard]] nlohmann::json step() override {
        JumpHistogram jumps;
        double loss = 0;
        for (std::size_t i = 0; i < parts_.size(); ++i) loss += parts_[i].share * pass_of(i, jumps);
        nlohmann::json record = learning_record(done_, loss, jumps);
        ++done_;
        return record;
    }

  private:
    /// Forward and backward of a part of the step's samples; the last one's backward makes the step.
    /// Returns the part's loss.
    double pass_of(std::size_t index, JumpHistogram& jumps) {
        const Graph& graph = model_->graph();
        const Tensor batch = samples_of(parts_[index]);
        const Tensor original = teacher_.features(batch);

        Recomputation pass(graph);
        const Tensor x = pass.forward(
            batch, [&](const Block& block, const Tensor& input) { return forward(block, input); });
        const Tensor features = forward(graph.epilogue(), x);
        if (learns_head()) {
            head_ = learned_.weight(graph.head_table(), compute_);
            head_gradient_ = Tensor::zeros(head_.shape());
        }
        Tensor slope;
        const double loss = loss_of(features, original, parts_[index].share, slope);
        require_converging(loss, "the loss of distillation", done_);
        const auto back = [&](const Block& block, const Tensor& input, const Tensor& gradient) {
            return backward(block, input, gradient, index, original.rows(), jumps);
        };
        slope = pass.backward(back(graph.epilogue(), x, slope.reshape(features.shape())), back);
        if (learned_.has_tables(graph.prologue().nodes)) (void)back(graph.prologue(), batch, slope);
        return loss;
    }

    /// Whether the compressed model's head is not the original's.
    [[nodiscard]] bool has_own_head() const { return model_->matrices().contains(model_->graph().head()); }
    [[nodiscard]] bool learns_head() const { return learned_.contains(model_->graph().head_table()); }

    static NodeRange all_nodes(const CompressedModel& model) { return model.graph().body().nodes; }

    Tensor bound(ParameterId id) const {
        const Tensor value = model_->weight(id);
        return model_->graph().parameter(id).linear ? backend_->convert(value, compute_) : value;
    }

    /// Against what the original makes of the same samples; the slope is `share` times the loss's.
    double loss_of(const Tensor& features, const Tensor& original, double share, Tensor& slope) {
        const Tensor rows = head_input(features, head_, *backend_);
        if (outputs_.size() > 1) return loss_of_record(rows, original, share, slope);
        const OutputMeaning meaning =
            outputs_.empty() ? OutputMeaning::logits : outputs_.front().output->compared_as;
        return loss_as(meaning, rows, original, share, slope);
    }

    double loss_as(OutputMeaning meaning, const Tensor& rows, const Tensor& original, double share,
                   Tensor& slope) {
        if (meaning != OutputMeaning::logits) return distillation_loss(meaning, rows, original, share, slope);
        const Tensor teacher_head = head_or_identity(teacher_head_, original).dense();
        const Tensor head = head_.defined() ? head_ : teacher_head;
        const auto count = static_cast<double>(original.rows());
        return backend_->kl_backward(rows, head, original, teacher_head, executor_.graph().head_soft_cap(),
                                     share / count, slope, learns_head() ? &head_gradient_ : nullptr) /
               count;
    }

    /// Of the record of several outputs: the sum of their losses, each by its meaning.
    double loss_of_record(const Tensor& rows, const Tensor& original, double share, Tensor& slope) {
        double loss = 0;
        slope = Tensor::zeros(rows.shape());
        for (const ComparedPart& each : outputs_) {
            const auto as_rows = [&](const Tensor& record) {
                const Tensor own = part_of(record, each.part);
                const std::int64_t width = each.part.shape.empty() ? 1 : each.part.shape.back();
                return own.reshape({own.size() / width, width});
            };
            Tensor own_slope;
            loss += loss_as(each.output->compared_as, as_rows(rows), as_rows(original), share, own_slope);
            put_part(own_slope, each.part, slope);
        }
        return loss;
    }

    /// A part of the step's batch, which is the next of the endless chain of samples.
    Tensor samples_of(const Part& part) const {
        std::vector<std::int64_t> chosen;
        for (std::int64_t i = part.first; i < part.end; ++i)
            chosen.push_back((done_ * options_.batch + i) % samples_.rows());
        return gather_rows(samples_, chosen);
    }

    Tensor forward(const Block& block, const Tensor& input) {
        learned_.bind(block.nodes, compute_, weights_);
        Tensor output = executor_.forward(block, weights_, input);
        learned_.release(block.nodes, weights_);
        return output;
    }

    /// Backward over a block from its recomputed forward, and behind the last part a step of what it reads;
    /// returns the gradient of its input. `predictions`: of the part, one a token or one an image.
    Tensor backward(const Block& block, const Tensor& input, const Tensor& slope, std::size_t part,
                    std::int64_t predictions, JumpHistogram& jumps) {
        learned_.bind(block.nodes, compute_, weights_);
        Recording recording;
        (void)executor_.forward(block, weights_, input, &recording);
        Gradients gradients = learned_.wanted(block.nodes);
        gradients.want_input = block.input != model_->graph().input();
        if (const auto table = gradients.parameters.find(model_->graph().head_table());
            table != gradients.parameters.end() && head_gradient_.defined())
            table->second = std::exchange(head_gradient_, {});
        executor_.backward(block, recording, weights_, slope, gradients);
        learned_.release(block.nodes, weights_);
        // The Fisher diagonal's stand-in: a part's gradient is its share of the mean over its predictions',
        // so the square of that mean times their number is what the square of one prediction's would be. No
        // further backward.
        if (learned_.needs_curvature()) {
            const double share = parts_[part].share;
            learned_.observe_curvature(block.nodes, gradients,
                                       static_cast<double>(predictions) / (share * share),
                                       done_ * std::ssize(parts_) + static_cast<std::int64_t>(part));
        }
        if (part + 1 < parts_.size()) {
            learned_.observe(block.nodes, gradients, done_);
        } else {
            const MatrixStep step = options_.matrix_step(done_);
            jumps.add(learned_.step(block.nodes, gradients, step, options_.norm_rate * step.rates.factor));
        }
        return gradients.input;
    }

    Tensor samples_;
    DistillationOptions options_;
    DType compute_;
    Backend* backend_;
    Executor executor_;
    std::vector<ComparedPart> outputs_;  ///< of the features; none: a language model's
    BoundModel teacher_;
    Tensor teacher_head_;   ///< dense, for the backward; undefined: there is none
    Tensor head_;           ///< the compressed model's
    Tensor head_gradient_;  ///< of a part's loss, until the table that the head reads takes it over
    Weights weights_;
    std::vector<Part> parts_;  ///< of every step
};

}  // namespace

std::unique_ptr<Trainable> make_distiller(CompressedModel& model, Tensor samples,
                                          const DistillationOptions& options, DType compute, Backend& backend,
                                          FeatureStore* original_features,
                                          const PositionsOfBlock& positions) {
    return std::make_unique<Distiller>(model, std::move(samples), options, compute, backend,
                                       original_features, positions);
}

StageCost distiller_cost(const GraphSizes& sizes, const DistillationOptions& options,
                         const CodesOfWeight& codes) {
    const auto estimator = options.estimator ? options.estimator->make() : nullptr;
    const NodeRange all = sizes.all_nodes();
    const auto batch = static_cast<double>(options.batch);
    const auto at_once = static_cast<double>(options.at_once());
    StageCost stage{"distill", {}};
    double learned = 0;  // weights
    double mappings = 0;
    double kept = 0;
    double moves = 0;
    const auto learn = [&](ParameterId id) {
        const CodeShape shape = codes(id);
        if (shape.bits == 0) return false;
        learned += sizes.elements(id);
        mappings += sizes.elements(id) * shape.per_weight();
        moves += sizes.elements(id) * step_loops(shape);
        if (estimator) kept += sizes.elements(id) * estimator->bytes_per_weight(shape);
        return true;
    };
    for (const auto& use : sizes.graph().linears(all)) learn(use.parameter);
    double tables = 0;
    if (options.embedding)
        for (const ParameterId id : sizes.graph().tables())
            if (learn(id)) tables += sizes.elements(id);
    stage.add("codes that are learned", mappings);
    // Of each table a reconstruction as it is looked up, one as products take it, and its gradient.
    stage.add("tables and their gradients", tables * (4 + 4 + 4));
    stage.add("weights of the original", sizes.bound(all) + sizes.decoded(all) + sizes.head());
    if (estimator) stage.add("estimator", kept);
    if (kept > 0 && (options.mapping.every > 1 || at_once < batch))
        stage.add("gradients of the mapping", learned * sizeof(float));
    // Reconstructions and gradients of a block; what is not learned of the model stays bound.
    stage.add("weights of a block", sizes.largest_block([&](const Block& block) {
        return sizes.bound(block.nodes) + 2 * sizes.decoded(block.nodes);
    }) + sizes.bound(sizes.graph().prologue().nodes) +
                                        sizes.bound(sizes.graph().epilogue().nodes));
    stage.add("values and their gradients", sizes.largest_block([&](const Block& block) {
        return 2 * sizes.values(block.nodes, at_once) + sizes.patches(block.nodes, at_once);
    }) + sizes.all_blocks([&](const Block& block) {
        return sizes.elements_of_value(block.input) * at_once * 4;
    }));
    // The original's forward, the compressed model's, each block's again, and a backward of two.
    const auto steps = static_cast<double>(options.steps);
    const double heads = tables > 0 ? 5 : 4;
    stage.products = steps * batch * (5 * sizes.forward_operations() + heads * sizes.head_operations());
    stage.loops = steps * (moves + 5 * batch * sizes.forward_elements());
    return stage;
}

}  // namespace jlcm
