#include "core/learn/distiller.hpp"

#include "core/learn/curvature.hpp"
#include "core/learn/learned_matrix.hpp"
#include "core/learn/learned_norm.hpp"
#include "core/learn/learning_record.hpp"
#include "core/model/scoring.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

void DistillationOptions::fields(Fields& v) {
    v("steps", steps, Doc{"Steps of distillation."}, at_least(0));
    v("batch", batch, Doc{"Windows of a step."}, at_least(1));
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
    Impl(CompressedModel& compressed, Tensor token_windows, const DistillationOptions& given,
         DType compute_type, Backend& device)
        : model(&compressed),
          windows(std::move(token_windows)),
          options(given),
          compute(compute_type),
          backend(&device),
          executor(compressed.graph(), device, compute_type),
          teacher(compressed.base(), compute_type, device),
          weights(compressed.graph()) {
        require(windows.rows() >= options.batch, "distillation has {} windows, fewer than one batch of {}",
                windows.rows(), options.batch);
        const Graph& graph = compressed.graph();
        const auto estimator = options.estimator ? options.estimator->make() : nullptr;
        for (const auto& [id, matrix] : compressed.matrices())
            matrices.try_emplace(id, graph.parameter(id).name, matrix,
                                 estimator ? compressed.base().weight(id) : Tensor(), estimator.get(),
                                 device);
        if (estimator && estimator->needs_curvature())
            for (const auto& [id, matrix] : matrices)
                curvatures.try_emplace(id, matrix.name(), graph.parameter(id).shape);
        if (options.norm_rate > 0) norms = learned_norms(compressed, {0, graph.node_count()});
        // Everything but the learned linear weights stays bound; those are decoded block by block.
        for (const ParameterId id : graph.parameters_of({0, graph.node_count()}))
            if (!matrices.contains(id)) weights.bind(id, bound(id));
        for (const auto& [id, norm] : norms) weights.bind(id, norm.value());
    }

    Tensor bound(ParameterId id) const {
        const Tensor value = model->weight(id);
        return model->graph().parameter(id).linear ? backend->convert(value, compute) : value;
    }

    void decode(NodeRange range) {
        for (const auto& use : model->graph().linears(range))
            if (const auto found = matrices.find(use.parameter); found != matrices.end())
                weights.bind(use.parameter, found->second.weight(compute));
    }
    void release(NodeRange range) {
        for (const auto& use : model->graph().linears(range))
            if (matrices.contains(use.parameter)) weights.release(use.parameter);
    }

    /// The next batch of the endless chain of windows.
    Tensor batch_of(std::int64_t step) const {
        Tensor ids = Tensor::empty({options.batch, windows.cols()}, DType::i32);
        for (std::int64_t i = 0; i < options.batch; ++i)
            std::copy_n(
                windows.data<std::int32_t>() + (step * options.batch + i) % windows.rows() * windows.cols(),
                windows.cols(), ids.data<std::int32_t>() + i * windows.cols());
        return ids;
    }

    /// Backward over a range from its recomputed forward; returns the gradient of its input.
    Tensor backward(NodeRange range, ValueId from, const Tensor& input, ValueId to, const Tensor& slope,
                    const LearningRates& rates, double norm_rate, JumpHistogram& jumps) {
        decode(range);
        Recording recording;
        (void)executor.forward(range, weights, from, input, to, &recording);
        Gradients gradients;
        gradients.want_input = true;
        for (const ParameterId id : model->graph().parameters_of(range)) {
            if (matrices.contains(id))
                gradients.parameters.emplace(id, Tensor::zeros(model->graph().parameter(id).shape));
            if (norms.contains(id))
                gradients.parameters.emplace(id, Tensor::zeros(model->graph().parameter(id).shape));
        }
        executor.backward(recording, weights, from, to, slope, gradients);
        for (const auto& [id, gradient] : gradients.parameters) {
            if (const auto matrix = matrices.find(id); matrix != matrices.end()) {
                matrix->second.step(gradient, curvature(id, gradient), done, rates, jumps);
            } else {
                norms.at(id).step(gradient, done, norm_rate, *backend);
            }
        }
        release(range);
        return gradients.input;
    }

    /// The Fisher diagonal's stand-in: a batch's gradient is the mean over its tokens', so its square times
    /// their number is what the square of one token's would be. No further backward.
    Tensor curvature(ParameterId id, const Tensor& gradient) {
        const auto found = curvatures.find(id);
        if (found == curvatures.end()) return {};
        const auto tokens = static_cast<double>(options.batch * windows.cols());
        found->second.update(gradient, tokens, done);
        return found->second.mean();
    }

    nlohmann::json step() {
        const Graph& graph = model->graph();
        const Tensor ids = batch_of(done);
        const Tensor reference = teacher.features(ids);

        // Forward, keeping each block's input only.
        const auto& blocks = graph.blocks();
        const ValueId first = blocks.front().input;
        Tensor x = executor.forward(graph.prologue(), weights, graph.input(), ids, first);
        std::vector<Tensor> block_inputs;
        for (const Block& block : blocks) {
            block_inputs.push_back(x);
            decode(block.nodes);
            x = executor.forward(block, weights, x);
            release(block.nodes);
        }
        const NodeRange epilogue = graph.epilogue();
        const Tensor features =
            executor.forward(epilogue, weights, blocks.back().output, x, graph.features());
        const std::int64_t tokens = ids.size();
        const std::int64_t width = features.shape().back();
        Tensor slope;
        const double loss =
            backend->kl_backward(backend->convert(features.reshape({tokens, width}), compute), teacher.head(),
                                 reference, teacher.head(), 1.0 / static_cast<double>(tokens), slope) /
            static_cast<double>(tokens);
        ensure(std::isfinite(loss), "distillation: the loss is {} in step {}", loss, done);

        const double factor = schedule_factor(options.schedule, done, options.steps, options.warmup);
        const LearningRates rates{.codebook = options.rate,
                                  .scale = options.rate,
                                  .factor = factor,
                                  .progress = static_cast<double>(done) / static_cast<double>(options.steps)};
        JumpHistogram jumps;
        slope = backward(epilogue, blocks.back().output, x, graph.features(), slope.reshape(features.shape()),
                         rates, options.norm_rate * factor, jumps);
        for (std::size_t i = blocks.size(); i-- > 0;) {
            slope = backward(blocks[i].nodes, blocks[i].input, block_inputs[i], blocks[i].output, slope,
                             rates, options.norm_rate * factor, jumps);
            block_inputs[i] = Tensor();
        }
        nlohmann::json record = learning_record(done, loss, jumps);
        ++done;
        return record;
    }

    CompressedModel* model;
    Tensor windows;
    DistillationOptions options;
    DType compute;
    Backend* backend;
    Executor executor;
    BoundModel teacher;
    Weights weights;
    std::map<ParameterId, LearnedMatrix> matrices;
    std::map<ParameterId, CurvatureEstimate> curvatures;  ///< empty unless the estimator needs them
    std::map<ParameterId, LearnedNorm> norms;
    std::int64_t done = 0;
};

Distiller::Distiller(CompressedModel& model, Tensor windows, const DistillationOptions& options,
                     DType compute, Backend& backend)
    : impl_(std::make_unique<Impl>(model, std::move(windows), options, compute, backend)) {}
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
    for (const auto& [id, matrix] : impl_->matrices) matrix.append_state(state);
    for (const auto& [id, estimate] : impl_->curvatures) estimate.append_state(state);
    for (const auto& [id, norm] : impl_->norms) norm.append_state(state);
    return state;
}

void Distiller::restored(std::int64_t steps) {
    impl_->done = steps;
    for (auto& [id, matrix] : impl_->matrices) matrix.restored();
}

void Distiller::finish() {
    for (const auto& [id, matrix] : impl_->matrices) impl_->model->matrices().at(id) = matrix.result();
    for (const auto& [id, norm] : impl_->norms) impl_->model->dense()[id] = norm.value().clone();
}

}  // namespace jlcm
