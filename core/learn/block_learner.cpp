#include "core/learn/block_learner.hpp"

#include "core/base/rng.hpp"
#include "core/learn/diverged.hpp"
#include "core/learn/learned_weights.hpp"
#include "core/learn/learning_record.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>

namespace jlcm {

void BlockLearningOptions::fields(Fields& v, const When& with_activations) {
    v("steps", steps,
      Doc{"Learning steps per block. With steps x batch up to the number of calibration samples each is seen "
          "once, which generalises better than several passes over fewer."},
      at_least(0));
    v("batch", batch, Doc{"Calibration samples per step."}, at_least(1), with_activations);
    v("estimator", estimator, Doc{"How gradients move the mapping."});
    v("codebook_rate", codebook_rate,
      Doc{"Adam step of the codewords, in units of their codebook's spacing."}, Range{0.0, 1.0});
    v("scale_rate", scale_rate, Doc{"Adam step of the scales, relative to each."}, Range{0.0, 1.0});
    v("norm_rate", norm_rate,
      Doc{"Adam step of the block's norms, relative to their root mean square; 0 leaves them."},
      Range{0.0, 1.0}, with_activations);
    v("schedule", schedule, Doc{"How all rates fall over the steps."});
    v("warmup", warmup, Doc{"Steps over which the rates rise first."}, at_least(0));
}

LearningRates BlockLearningOptions::rates(std::int64_t step) const {
    return scheduled_rates(codebook_rate, scale_rate, schedule, step, steps, warmup);
}

namespace {

class BlockLearner final : public WeightLearner {
  public:
    BlockLearner(const Executor& executor, const Block& block, CompressedModel& model, Tensor inputs,
                 Tensor targets, const BlockLearningOptions& options, std::uint64_t seed)
        : WeightLearner(model, {model, block.nodes, options.estimator.make().get(), options.norm_rate > 0,
                                executor.backend()}),
          executor_(executor),
          block_(block),
          inputs_(std::move(inputs)),
          targets_(std::move(targets)),
          options_(options),
          seed_(seed),
          weights_(model.graph()) {
        ensure(inputs_.rows() == targets_.rows(), "inputs {} and targets {} of a block",
               to_string(inputs_.shape()), to_string(targets_.shape()));
        bind_weights(weights_, model, block_.nodes, executor_.compute(), executor_.backend());
        target_energy_ = executor_.backend().sum_of_squares(targets_) / static_cast<double>(targets_.rows());
    }

    [[nodiscard]] std::int64_t total_steps() const override { return options_.steps; }

    [[nodiscard]] nlohmann::json step() override {
        const auto chosen = samples_of(done_);
        const Tensor x = gather_rows(inputs_, chosen);
        const Tensor y = gather_rows(targets_, chosen);
        learned_.bind(block_.nodes, executor_.compute() == DType::bf16 ? DType::bf16 : DType::f32, weights_);

        Recording recording;
        const Tensor output = executor_.forward(block_, weights_, x, &recording);
        Tensor slope;
        const double energy = std::max(target_energy_ * static_cast<double>(chosen.size()), 1e-30);
        const double loss = executor_.backend().squared_error(output, y, 1.0 / energy, slope) / energy;
        require_converging(loss, fmt::format("the loss of {}", block_.name), done_);

        Gradients gradients = learned_.wanted(block_.nodes);
        executor_.backward(block_, recording, weights_, slope, gradients);
        if (learned_.needs_curvature()) probe_curvature(recording, output.shape(), 2.0 / energy);
        const LearningRates rates = options_.rates(done_);
        const JumpHistogram jumps = learned_.step(block_.nodes, gradients, MatrixStep::of_all(done_, rates),
                                                  options_.norm_rate * rates.factor);
        nlohmann::json record = learning_record(done_, loss, jumps);
        ++done_;
        return record;
    }

  private:
    /// The samples of a step: the next `batch` of an endless chain of permutations.
    std::vector<std::int64_t> samples_of(std::int64_t step) const {
        const std::int64_t count = inputs_.rows();
        std::vector<std::int64_t> chosen;
        std::int64_t epoch = -1;
        std::vector<std::int64_t> order;
        for (std::int64_t i = step * options_.batch; i < (step + 1) * options_.batch; ++i) {
            if (i / count != epoch) {
                epoch = i / count;
                order = Rng(seed_, fmt::format("{} epoch {}", block_.name, epoch)).permutation(count);
            }
            chosen.push_back(order[static_cast<std::size_t>(i % count)]);
        }
        return chosen;
    }

    /// Hutchinson's estimate of the Gauss-Newton diagonal: one backward of random signs on the output.
    void probe_curvature(const Recording& recording, const Shape& output, double factor) {
        Gradients probes = learned_.wanted(block_.nodes);
        const Tensor signs = random_signs(output, seed_, fmt::format("{} probe {}", block_.name, done_));
        executor_.backward(block_, recording, weights_, signs, probes);
        learned_.observe_curvature(block_.nodes, probes, factor, done_);
    }

    Executor executor_;
    Block block_;
    Tensor inputs_;
    Tensor targets_;
    BlockLearningOptions options_;
    std::uint64_t seed_;
    Weights weights_;
    double target_energy_ = 1;  ///< mean over samples of the sum of squares
};

}  // namespace

std::unique_ptr<Trainable> make_block_learner(const Executor& executor, const Block& block,
                                              CompressedModel& model, Tensor inputs, Tensor targets,
                                              const BlockLearningOptions& options, std::uint64_t seed) {
    return std::make_unique<BlockLearner>(executor, block, model, std::move(inputs), std::move(targets),
                                          options, seed);
}

double estimator_bytes(const GraphSizes& sizes, NodeRange range, const Estimator& estimator,
                       const CodesOfWeight& codes) {
    double bytes = 0;
    for (const auto& use : sizes.graph().linears(range))
        if (const CodeShape shape = codes(use.parameter); shape.bits > 0)
            bytes += sizes.elements(use.parameter) * estimator.bytes_per_weight(shape);
    return bytes;
}

double step_loops(const CodeShape& codes) {
    if (codes.bits == 0) return 0;
    // A vector is compared with every codeword, sixteen multiply-adds at a time.
    return codes.of_numbers() ? 1.0 : 1.0 + codes.stages * (1 << codes.bits) / 16.0;
}

StageCost block_learner_cost(const GraphSizes& sizes, const BlockLearningOptions& options,
                             const CodesOfWeight& codes) {
    const auto estimator = options.estimator.make();
    const auto batch = static_cast<double>(options.batch);
    StageCost stage{"learn", {}};
    stage.add("estimator", sizes.largest_block([&](const Block& block) {
        return estimator_bytes(sizes, block.nodes, *estimator, codes);
    }));
    // Bound, codes, reconstructions and gradients of a few matrices at a time.
    stage.add("weights of a block", sizes.largest_block([&](const Block& block) {
        double mappings = 0;
        for (const auto& use : sizes.graph().linears(block.nodes))
            mappings += sizes.elements(use.parameter) * codes(use.parameter).per_weight();
        return sizes.bound(block.nodes) + mappings + 2 * sizes.decoded(block.nodes);
    }));
    stage.add("values and their gradients", sizes.largest_block([&](const Block& block) {
        return 2 * sizes.values(block.nodes, batch) + sizes.patches(block.nodes, batch);
    }));
    const double backwards = estimator->needs_curvature() ? 2 : 1;
    stage.products =
        static_cast<double>(options.steps) * batch * (1 + 2 * backwards) * sizes.forward_operations();
    stage.loops = static_cast<double>(options.steps) * batch * (1 + 2 * backwards) * sizes.forward_elements();
    // A step moves every weight.
    for (const auto& block : sizes.graph().blocks())
        for (const auto& use : sizes.graph().linears(block.nodes))
            stage.loops += static_cast<double>(options.steps) * sizes.elements(use.parameter) *
                           step_loops(codes(use.parameter));
    return stage;
}

}  // namespace jlcm
