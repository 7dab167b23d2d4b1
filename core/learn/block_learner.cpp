#include "core/learn/block_learner.hpp"

#include "core/base/rng.hpp"
#include "core/learn/learned_weights.hpp"
#include "core/learn/learning_record.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

void BlockLearningOptions::fields(Fields& v) {
    v("steps", steps,
      Doc{"Steps of learning a block. With steps x batch up to the number of calibration samples each is "
          "seen once, "
          "which generalises better than several passes over fewer."},
      at_least(0));
    v("batch", batch, Doc{"Calibration samples of a step."}, at_least(1));
    v("estimator", estimator, Doc{"How gradients move the mapping."});
    v("codebook_rate", codebook_rate,
      Doc{"Adam step of the codewords, in units of their codebook's spacing."}, Range{0.0, 1.0});
    v("scale_rate", scale_rate, Doc{"Adam step of the scales, relative to each."}, Range{0.0, 1.0});
    v("norm_rate", norm_rate,
      Doc{"Adam step of the block's norms, relative to their root mean square; 0 leaves them."},
      Range{0.0, 1.0});
    v("schedule", schedule, Doc{"How all rates fall over the steps."});
    v("warmup", warmup, Doc{"Steps over which the rates rise first."}, at_least(0));
}

LearningRates BlockLearningOptions::rates(std::int64_t step) const {
    return scheduled_rates(codebook_rate, scale_rate, schedule, step, steps, warmup);
}

struct BlockLearner::Impl {
    Impl(const Executor& block_executor, const Block& learned_block, CompressedModel& compressed,
         Tensor block_inputs, Tensor block_targets, const BlockLearningOptions& given,
         std::uint64_t random_seed)
        : executor(block_executor),
          block(learned_block),
          model(&compressed),
          inputs(std::move(block_inputs)),
          targets(std::move(block_targets)),
          options(given),
          seed(random_seed),
          weights(compressed.graph()),
          learned(compressed, block.nodes, options.estimator.make().get(), options.norm_rate > 0,
                  executor.backend()) {
        ensure(inputs.rows() == targets.rows(), "inputs {} and targets {} of a block",
               to_string(inputs.shape()), to_string(targets.shape()));
        bind_weights(weights, compressed, block.nodes, executor.compute(), executor.backend());
        target_energy = executor.backend().sum_of_squares(targets) / static_cast<double>(targets.rows());
    }

    /// The samples of a step: the next `batch` of an endless chain of permutations.
    std::vector<std::int64_t> samples_of(std::int64_t step) const {
        const std::int64_t count = inputs.rows();
        std::vector<std::int64_t> chosen;
        std::int64_t epoch = -1;
        std::vector<std::int64_t> order;
        for (std::int64_t i = step * options.batch; i < (step + 1) * options.batch; ++i) {
            if (i / count != epoch) {
                epoch = i / count;
                order = Rng(seed, fmt::format("{} epoch {}", block.name, epoch)).permutation(count);
            }
            chosen.push_back(order[static_cast<std::size_t>(i % count)]);
        }
        return chosen;
    }

    nlohmann::json step() {
        const auto chosen = samples_of(done);
        const Tensor x = gather_rows(inputs, chosen);
        const Tensor y = gather_rows(targets, chosen);
        learned.bind(block.nodes, executor.compute() == DType::bf16 ? DType::bf16 : DType::f32, weights);

        Recording recording;
        const Tensor output = executor.forward(block, weights, x, &recording);
        Tensor slope;
        const double energy = std::max(target_energy * static_cast<double>(chosen.size()), 1e-30);
        const double loss = executor.backend().squared_error(output, y, 1.0 / energy, slope) / energy;
        ensure(std::isfinite(loss), "{}: the loss is {} in step {}", block.name, loss, done);

        Gradients gradients = learned.wanted(block.nodes);
        executor.backward(block, recording, weights, slope, gradients);
        if (learned.needs_curvature()) probe_curvature(recording, output.shape(), 2.0 / energy);
        const LearningRates rates = options.rates(done);
        const JumpHistogram jumps =
            learned.step(block.nodes, gradients, done, rates, options.norm_rate * rates.factor);
        nlohmann::json record = learning_record(done, loss, jumps);
        ++done;
        return record;
    }

    /// Hutchinson's estimate of the Gauss-Newton diagonal: one backward of random signs on the output.
    void probe_curvature(const Recording& recording, const Shape& output, double factor) {
        Gradients probes = learned.wanted(block.nodes);
        const Tensor signs = random_signs(output, seed, fmt::format("{} probe {}", block.name, done));
        executor.backward(block, recording, weights, signs, probes);
        learned.observe_curvature(block.nodes, probes, factor, done);
    }

    Executor executor;
    Block block;
    CompressedModel* model;
    Tensor inputs;
    Tensor targets;
    BlockLearningOptions options;
    std::uint64_t seed;
    Weights weights;
    LearnedWeights learned;
    double target_energy = 1;  ///< mean over samples of the sum of squares
    std::int64_t done = 0;
};

BlockLearner::BlockLearner(const Executor& executor, const Block& block, CompressedModel& model,
                           Tensor inputs, Tensor targets, const BlockLearningOptions& options,
                           std::uint64_t seed)
    : impl_(std::make_unique<Impl>(executor, block, model, std::move(inputs), std::move(targets), options,
                                   seed)) {}
BlockLearner::~BlockLearner() = default;

std::int64_t BlockLearner::total_steps() const {
    return impl_->options.steps;
}
std::int64_t BlockLearner::steps_done() const {
    return impl_->done;
}
nlohmann::json BlockLearner::step() {
    return impl_->step();
}

std::vector<NamedTensor> BlockLearner::state() {
    std::vector<NamedTensor> state;
    impl_->learned.append_state(state);
    return state;
}

void BlockLearner::restored(std::int64_t steps) {
    impl_->done = steps;
    impl_->learned.restored();
}

void BlockLearner::finish() {
    impl_->learned.finish(*impl_->model);
}

}  // namespace jlcm
