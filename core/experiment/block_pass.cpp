#include "core/experiment/block_pass.hpp"

#include "core/base/log.hpp"
#include "core/base/rng.hpp"
#include "core/experiment/block_checkpoint.hpp"
#include "core/experiment/calibration.hpp"
#include "core/experiment/recalibration.hpp"
#include "core/experiment/training.hpp"

namespace jlcm {
namespace {

const LearnOptions* address(const std::optional<LearnOptions>& options) {
    return options ? &*options : nullptr;
}

class BlockPass {
  public:
    BlockPass(const RunContext& run, const std::map<ParameterId, MatrixPlan>& plan, CompressedModel& model,
              CompressedModel* solver_only)
        : run_(run),
          learning_(address(run.spec.compress.learn)),
          plan_(plan),
          model_(model),
          solver_only_(solver_only),
          executor_(model.graph(), run.backend, run.compute),
          objective_(learning_ != nullptr ? learning_->objective.make() : nullptr),
          codebook_init_(run.spec.compress.codebook_init.make()),
          solver_(run.spec.compress.solver.make()) {}

    void compress(const Tensor& samples) {
        const auto& blocks = model_.graph().blocks();
        std::size_t done = 0;
        while (done < blocks.size() &&
               load_block(run_, done, compressed_parameters(blocks[done]), model_, solver_only_))
            ++done;
        if (done == blocks.size()) return;
        begin(samples);
        for (std::size_t b = 0; b < done; ++b) pass_on(blocks[b]);
        Progress progress("compressing", static_cast<std::int64_t>(blocks.size()), "blocks");
        for (std::size_t b = done; b < blocks.size(); ++b) {
            progress.update(static_cast<std::int64_t>(b), fmt::format("block {}", b));
            compress_block(b);
        }
    }

  private:
    [[nodiscard]] bool learns_blocks() const { return objective_ && objective_->needs_activations(); }
    [[nodiscard]] bool solver_sees(Inputs inputs) const { return run_.spec.compress.solver_inputs == inputs; }
    [[nodiscard]] bool learner_sees(Inputs inputs) const {
        return learns_blocks() && learning_->inputs == inputs;
    }
    [[nodiscard]] bool fits_original_outputs() const {
        return run_.spec.compress.solver_target == SolverTarget::original_output;
    }
    /// The activations that some stage reads.
    [[nodiscard]] bool needs_original() const {
        return learns_blocks() || solver_sees(Inputs::original) || fits_original_outputs();
    }
    [[nodiscard]] bool needs_compressed() const {
        return learner_sees(Inputs::compressed) || solver_sees(Inputs::compressed) ||
               run_.spec.compress.recalibrate_norms;
    }
    [[nodiscard]] std::int64_t solver_sequences() const {
        const CalibrationOptions& options = run_.spec.calibration;
        return options.solver_sequences.value_or(options.sequences);
    }

    /// The weights of a block that are to be compressed.
    [[nodiscard]] std::vector<ParameterId> compressed_parameters(const Block& block) const {
        std::vector<ParameterId> parameters;
        for (const auto& use : model_.graph().linears(block.nodes))
            if (plan_.contains(use.parameter)) parameters.push_back(use.parameter);
        return parameters;
    }

    [[nodiscard]] Weights bound(const WeightSource& source, const Block& block) const {
        Weights weights(model_.graph());
        bind_weights(weights, source, block.nodes, run_.compute, run_.backend);
        return weights;
    }

    void begin(const Tensor& samples) {
        find_gradients(samples);
        const Stages::Timer timer(run_.stages, "calibrate");
        const Tensor first = first_activations(executor_, run_.model, samples);
        if (needs_original()) original_ = first;
        if (needs_compressed()) compressed_ = needs_original() ? first.clone() : first;
    }

    /// Gradient statistics of the original model, where the spec has a use for them.
    void find_gradients(const Tensor& samples) {
        GradientNeeds needs{.fisher = codebook_init_->needs_fisher() || solver_->needs_fisher(),
                            .row_sets = 0};
        const std::optional<OutputWeightingOptions> weighting = run_.spec.compress.output_weighting;
        if (weighting.has_value()) needs.row_sets = weighting->groups;
        if (!needs.any()) return;
        const Stages::Timer timer(run_.stages, "gradients");
        std::set<ParameterId> wanted;
        for (const auto& [id, matrix] : plan_) wanted.insert(id);
        gradients_ =
            gradient_statistics(executor_, run_.model, samples.slice(0, solver_sequences()), needs, wanted);
        log_info("gradients of the original model: loss {:.4f} nats a prediction", gradients_.loss);
    }

    [[nodiscard]] Tensor fisher(ParameterId id) const {
        const auto found = gradients_.fisher.find(id);
        return found == gradients_.fisher.end() ? Tensor() : found->second;
    }

    /// `activations` through a block with the weights of `source`.
    void pass_on(const Block& block, const WeightSource& source, Tensor& activations) const {
        activations = advance(executor_, block, bound(source, block), std::move(activations));
    }

    /// Activations through a block that is compressed already.
    void pass_on(const Block& block) {
        const Stages::Timer timer(run_.stages, "calibrate");
        if (original_.defined()) pass_on(block, run_.model, original_);
        if (compressed_.defined()) pass_on(block, model_, compressed_);
    }

    void compress_block(std::size_t index) {
        const Block& block = model_.graph().blocks()[index];
        const std::size_t metrics_begin = run_.metrics.position();
        const bool is_last = index + 1 == model_.graph().blocks().size();
        // The original's outputs take the place of its inputs below.
        Tensor inputs = learner_sees(Inputs::original) ? original_.clone() : compressed_;

        SecondMoments moments(executor_, &gradients_);
        calibrate(block, moments);
        solve(index, block, moments);
        if (run_.spec.compress.recalibrate_norms) {
            const Stages::Timer timer(run_.stages, "calibrate");
            recalibrate_norms(executor_, block, compressed_, model_);
        }
        if (objective_) learn(index, block, moments, std::move(inputs));
        if (compressed_.defined() && !is_last) {
            const Stages::Timer timer(run_.stages, "calibrate");
            pass_on(block, model_, compressed_);
        }
        save_block(run_, index, model_, solver_only_, metrics_begin);
        leave_block_on_disk(run_, index, compressed_parameters(block), model_, solver_only_);
        std::filesystem::remove(run_.files.learning(index));
    }

    /// Second moments of the inputs of the block's layers, and the original model's outputs of the block,
    /// which take the place of its inputs.
    void calibrate(const Block& block, SecondMoments& moments) {
        const Stages::Timer timer(run_.stages, "calibrate");
        const Weights weights = bound(run_.model, block);
        const LinearObserver observer = moments.observer();
        if (fits_original_outputs()) {
            observe_both(block, weights, moments);
            pass_on(block, run_.model, original_);
        } else if (solver_sees(Inputs::compressed)) {
            (void)advance(executor_, block, weights, compressed_.slice(0, solver_sequences()).clone(),
                          observer, solver_sequences());
            if (original_.defined()) pass_on(block, run_.model, original_);
        } else {
            original_ =
                advance(executor_, block, weights, std::move(original_), observer, solver_sequences());
        }
    }

    /// Both models' inputs of the same samples, one right after the other: neither is kept.
    void observe_both(const Block& block, const Weights& weights, SecondMoments& moments) {
        const LinearObserver observer = moments.observer();
        const LinearObserver original_observer = moments.original_observer();
        by_samples(compressed_.slice(0, solver_sequences()).shape(), [&](std::int64_t first,
                                                                         std::int64_t end) {
            (void)executor_.forward(block, weights, original_.slice(first, end), nullptr, original_observer);
            (void)executor_.forward(block, weights, compressed_.slice(first, end), nullptr, observer);
        });
    }

    void solve(std::size_t index, const Block& block, const SecondMoments& moments) {
        const Stages::Timer timer(run_.stages, "solve");
        for (const auto& use : model_.graph().linears(block.nodes)) {
            const auto found = plan_.find(use.parameter);
            if (found == plan_.end()) continue;
            const std::string& name = model_.graph().parameter(use.parameter).name;
            const LayerProblem problem{
                .name = name,
                .weights = moments.fitted_to_original(use.node, run_.model.weight(use.parameter)),
                .hessian = moments.matrix(use.node),
                .samples = moments.samples(use.node),
                .weighted_hessians = moments.weighted(use.node),
                .fisher = fisher(use.parameter)};
            const MatrixPlan& plan = found->second;
            CompressedMatrix matrix = codebook_init_->initialise(problem, plan.group(problem));
            const SolverLog log = solver_->solve(problem, matrix);
            matrix.round_to_storage(name);
            for (const std::string& note : log.notes) log_warning("{}: {}", name, note);
            run_.metrics.write(
                {{"stage", "solve"}, {"block", index}, {"weight", name}, {"objective", log.objective}});
            if (solver_only_ != nullptr) solver_only_->matrices()[use.parameter] = matrix.clone();
            model_.matrices()[use.parameter] = std::move(matrix);
        }
    }

    void learn(std::size_t index, const Block& block, const SecondMoments& moments, Tensor inputs) {
        LearningProblem problem{.executor = executor_,
                                .block = block,
                                .model = model_,
                                .layers = {},
                                .inputs = std::move(inputs),
                                .targets = original_,
                                .options = *learning_,
                                .seed = Rng(run_.spec.seed, "block learning").bits(index)};
        for (const auto& use : model_.graph().linears(block.nodes))
            if (plan_.contains(use.parameter))
                problem.layers.push_back({use.parameter, moments.matrices(use.node)});
        const auto learner = objective_->learner(problem);
        train(*learner, run_.metrics, run_.stages,
              {.title = fmt::format("block {} of {}", index + 1, model_.graph().blocks().size()),
               .stage = "learn",
               .labels = {{"block", index}},
               .state_file = run_.files.learning(index),
               .checkpoint_minutes = run_.spec.checkpoint_minutes});
    }

    const RunContext& run_;
    const LearnOptions* learning_;  ///< null where there is no objective
    const std::map<ParameterId, MatrixPlan>& plan_;
    CompressedModel& model_;
    CompressedModel* solver_only_;
    Executor executor_;
    std::unique_ptr<Objective> objective_;  ///< null: blocks are solved only
    std::unique_ptr<CodebookInit> codebook_init_;
    std::unique_ptr<Solver> solver_;
    GradientStatistics gradients_;  ///< empty where nothing reads them
    /// Inputs of the block that comes next, [samples, ...]: the original model's, and the
    /// compressed one's. Undefined where nothing reads them.
    Tensor original_;
    Tensor compressed_;
};

}  // namespace

void compress_blocks(const RunContext& run, const std::map<ParameterId, MatrixPlan>& plan,
                     const Tensor& samples, CompressedModel& model, CompressedModel* solver_only) {
    BlockPass(run, plan, model, solver_only).compress(samples);
}

}  // namespace jlcm
