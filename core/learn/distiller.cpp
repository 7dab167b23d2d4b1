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

struct Distiller::Impl {
    Impl(CompressedModel& compressed, Tensor learning_samples, const DistillationOptions& given,
         DType compute_type, Backend& device)
        : model(&compressed),
          samples(std::move(learning_samples)),
          options(given),
          compute(compute_type),
          backend(&device),
          executor(compressed.graph(), device, compute_type),
          teacher(compressed.base(), compute_type, device),
          weights(compressed.graph()),
          learned(compressed, all_nodes(), options.estimator ? options.estimator->make().get() : nullptr,
                  options.norm_rate > 0, device) {
        require(samples.rows() >= options.batch, "distillation has {} samples, fewer than one batch of {}",
                samples.rows(), options.batch);
        // Everything but the learned linear weights stays bound; those are decoded block by block.
        for (const ParameterId id : compressed.graph().parameters_of(all_nodes()))
            if (!learned.contains(id)) weights.bind(id, bound(id));
    }

    NodeRange all_nodes() const { return {0, model->graph().node_count()}; }

    Tensor bound(ParameterId id) const {
        const Tensor value = model->weight(id);
        return model->graph().parameter(id).linear ? backend->convert(value, compute) : value;
    }

    /// The next batch of the endless chain of samples.
    Tensor batch_of(std::int64_t step) const {
        std::vector<std::int64_t> chosen;
        for (std::int64_t i = 0; i < options.batch; ++i)
            chosen.push_back((step * options.batch + i) % samples.rows());
        return gather_rows(samples, chosen);
    }

    Tensor forward(NodeRange range, ValueId from, const Tensor& input, ValueId to) {
        learned.bind(range, compute, weights);
        Tensor output = executor.forward(range, weights, from, input, to);
        learned.release(range, weights);
        return output;
    }

    /// Backward over a range from its recomputed forward, and a step of what it reads; returns the gradient
    /// of its input.
    Tensor backward(NodeRange range, ValueId from, const Tensor& input, ValueId to, const Tensor& slope,
                    const LearningRates& rates, JumpHistogram& jumps) {
        learned.bind(range, compute, weights);
        Recording recording;
        (void)executor.forward(range, weights, from, input, to, &recording);
        Gradients gradients = learned.wanted(range);
        gradients.want_input = true;
        executor.backward(recording, weights, from, to, slope, gradients);
        learned.release(range, weights);
        // The Fisher diagonal's stand-in: a batch's gradient is the mean over its predictions', so its square
        // times their number is what the square of one prediction's would be. No further backward.
        if (learned.needs_curvature())
            learned.observe_curvature(range, gradients, static_cast<double>(predictions), done);
        jumps.add(learned.step(range, gradients, done, rates, options.norm_rate * rates.factor));
        return gradients.input;
    }

    nlohmann::json step() {
        const Graph& graph = model->graph();
        const Tensor batch = batch_of(done);
        const Predictions reference = teacher.predict(batch);
        predictions = reference.features.rows();

        // Forward, keeping each block's input only.
        const auto& blocks = graph.blocks();
        Tensor x = forward(graph.prologue(), graph.input(), batch, blocks.front().input);
        std::vector<Tensor> block_inputs;
        for (const Block& block : blocks) {
            block_inputs.push_back(x);
            x = forward(block.nodes, block.input, x, block.output);
        }
        const Tensor features = forward(graph.epilogue(), blocks.back().output, x, graph.features());
        Tensor slope;
        const auto count = static_cast<double>(predictions);
        const double loss =
            backend->kl_backward(head_input(features, teacher.head(), *backend), reference.head,
                                 reference.features, reference.head, 1.0 / count, slope) /
            count;
        ensure(std::isfinite(loss), "distillation: the loss is {} in step {}", loss, done);

        const LearningRates rates = scheduled_rates(options.rate, options.rate, options.schedule, done,
                                                    options.steps, options.warmup);
        JumpHistogram jumps;
        slope = backward(graph.epilogue(), blocks.back().output, x, graph.features(),
                         slope.reshape(features.shape()), rates, jumps);
        for (std::size_t i = blocks.size(); i-- > 0;) {
            slope = backward(blocks[i].nodes, blocks[i].input, block_inputs[i], blocks[i].output, slope,
                             rates, jumps);
            block_inputs[i] = Tensor();
        }
        nlohmann::json record = learning_record(done, loss, jumps);
        ++done;
        return record;
    }

    CompressedModel* model;
    Tensor samples;
    DistillationOptions options;
    DType compute;
    Backend* backend;
    Executor executor;
    BoundModel teacher;
    Weights weights;
    LearnedWeights learned;
    std::int64_t predictions = 0;  ///< of the batch: one a token, or one an image
    std::int64_t done = 0;
};

Distiller::Distiller(CompressedModel& model, Tensor samples, const DistillationOptions& options,
                     DType compute, Backend& backend)
    : impl_(std::make_unique<Impl>(model, std::move(samples), options, compute, backend)) {}
Distiller::~Distiller() = default;

std::int64_t Distiller::total_steps() const {
    return impl_->options.steps;
}
std::int64_t Distiller::steps_done() const {
    return impl_->done;
}
nlohmann::json Distiller::step() {
    return impl_->step();
}

std::vector<NamedTensor> Distiller::state() {
    std::vector<NamedTensor> state;
    impl_->learned.append_state(state);
    return state;
}

void Distiller::restored(std::int64_t steps) {
    impl_->done = steps;
    impl_->learned.restored();
}

void Distiller::finish() {
    impl_->learned.finish(*impl_->model);
}

}  // namespace jlcm
