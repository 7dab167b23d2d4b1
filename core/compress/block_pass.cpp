#include "core/compress/block_pass.hpp"

#include "core/base/log.hpp"
#include "core/base/rng.hpp"
#include "core/compress/activations.hpp"
#include "core/compress/block_checkpoint.hpp"
#include "core/compress/calibration.hpp"
#include "core/compress/recalibration.hpp"
#include "core/compress/training.hpp"
#include "core/store/matrix_state.hpp"

#include <cstdio>

namespace jlcm {
namespace {

const LearnOptions* address(const std::optional<LearnOptions>& options) {
    return options ? &*options : nullptr;
}

class BlockPass {
  public:
    BlockPass(const RunContext& run, const std::map<ParameterId, MatrixPlan>& plan, const Tensor& samples,
              CompressedModel& model, CompressedModel* solver_only)
        : run_(run),
          learning_(address(run.spec.compress.learn)),
          plan_(plan),
          samples_(samples.rows()),
          solver_samples_(samples.slice(0, solver_sequences())),
          model_(model),
          solver_only_(solver_only),
          executor_(model.graph(), run.backend, run.compute),
          objective_(learning_ != nullptr ? learning_->objective.make() : nullptr),
          codebook_init_(run.spec.compress.codebook_init.make()),
          solver_(run.spec.compress.solver.make()),
          original_(executor_, run.model, samples, solver_sees(Inputs::original) ? solver_sequences() : 0,
                    run.stages),
          compressed_(executor_, model_, samples, 0, run.stages) {
        const Stages::Timer timer(run.stages, "calibrate");
        if (run.cache.is_enabled()) plan_sharing();
    }

    void compress(BlockRange range) {
        std::optional<Progress> progress;
        for (std::size_t b = range.first; b < range.end; ++b) {
            const Block& block = model_.graph().blocks()[b];
            if (load_block(run_, b, compressed_parameters(block), model_, solver_only_)) continue;
            if (!progress)
                progress.emplace("compressing", static_cast<std::int64_t>(range.end - range.first), "blocks");
            progress->update(static_cast<std::int64_t>(b - range.first), fmt::format("block {}", b));
            compress_block(b);
        }
    }

  private:
    [[nodiscard]] bool learns_blocks() const { return objective_ && objective_->needs_activations(); }
    [[nodiscard]] bool solver_sees(Inputs inputs) const { return run_.spec.compress.solver_inputs == inputs; }
    [[nodiscard]] bool fits_original_outputs() const {
        return run_.spec.compress.solver_target == SolverTarget::original_output;
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

    /// What is kept for other runs: what leaves room in the cache for them.
    void plan_sharing() {
        double moments = 0;
        double mappings = 0;
        for (const Block& block : model_.graph().blocks()) {
            moments += second_moment_bytes(model_.graph(), block, run_.spec.compress);
            for (const ParameterId id : compressed_parameters(block))
                mappings += static_cast<double>(element_count(model_.graph().parameter(id).shape));
        }
        // The compressed model's activations are seldom another run's too, and what was learned never is.
        shares_moments_ = solver_sees(Inputs::original) && run_.cache.has_room_for(moments);
        shares_solved_ =
            (solver_sees(Inputs::original) || learning_ == nullptr) && run_.cache.has_room_for(mappings);
        samples_hash_ = content_hash(solver_samples_);
    }

    void compress_block(std::size_t index) {
        const Block& block = model_.graph().blocks()[index];
        const std::size_t metrics_begin = run_.metrics.position();
        const Stages stages_before = run_.stages;
        moments_.reset();
        const bool learns_from_original = run_.spec.compress.learns_from(Inputs::original);
        const bool recalibrates = run_.spec.compress.recalibrate_norms;
        Tensor kept;  // the original's inputs, where calibration goes on to the outputs before they are used
        if (learns_from_original || (recalibrates && solver_sees(Inputs::original)))
            kept = original_.inputs(index).clone();

        solve(index, block);
        if (recalibrates) {
            const Tensor original_inputs = kept.defined() ? kept : original_.inputs(index);
            const Tensor inputs = compressed_.inputs(index);
            const Stages::Timer timer(run_.stages, "calibrate");
            recalibrate_norms(executor_, block, run_.model, original_inputs, inputs, model_);
        }
        if (!learns_from_original) kept = {};
        if (objective_) learn(index, block, std::move(kept));
        save_block(run_, index, model_, solver_only_, metrics_begin, stages_before);
        leave_block_on_disk(run_, index, compressed_parameters(block), model_, solver_only_);
        std::filesystem::remove(run_.files.learning(index));
    }

    /// What gradients of the original model say, where the spec has a use for it.
    [[nodiscard]] GradientNeeds gradient_needs() const {
        GradientNeeds needs{.fisher = codebook_init_->needs_fisher() || solver_->needs_fisher(),
                            .row_sets = 0};
        const std::optional<OutputWeightingOptions> weighting = run_.spec.compress.output_weighting;
        if (weighting.has_value()) needs.row_sets = weighting->groups;
        return needs;
    }

    /// Which nodes a block is made of, since several may be reconstructed together.
    [[nodiscard]] nlohmann::json block_key(std::size_t index) const {
        const NodeRange nodes = model_.graph().blocks()[index].nodes;
        return {nodes.first, nodes.end};
    }

    /// What second moments of the original's activations, and gradients, depend on.
    [[nodiscard]] nlohmann::json calibration_key() const {
        nlohmann::json key{{"source", run_.source}, {"samples", samples_hash_}};
        const GradientNeeds needs = gradient_needs();
        if (!needs.any()) return key;
        auto& gradients = key["gradients"] = {{"fisher", needs.fisher}, {"row_sets", needs.row_sets}};
        for (const auto& [id, matrix] : plan_)
            gradients["weights"].push_back(model_.graph().parameter(id).name);
        return key;
    }

    [[nodiscard]] const GradientStatistics& gradients() {
        const GradientNeeds needs = gradient_needs();
        if (!gradients_ && !needs.any()) gradients_.emplace();
        if (gradients_) return *gradients_;
        const Stages::Timer timer(run_.stages, "gradients");
        std::set<ParameterId> wanted;
        for (const auto& [id, matrix] : plan_) wanted.insert(id);
        gradients_ = gradients_from(run_.shared({{"gradients", calibration_key()}}, [&] {
            return state_of(gradient_statistics(executor_, run_.model, solver_samples_, needs, wanted));
        }));
        log_info("gradients of the original model: loss {:.4f} nats a prediction", gradients_->loss);
        return *gradients_;
    }

    /// Second moments of the inputs of the block's layers.
    [[nodiscard]] const SecondMoments& moments(std::size_t index) {
        if (moments_) return *moments_;
        const Stages::Timer timer(run_.stages, "calibrate");
        const auto observe = [&]() -> SecondMoments& {
            SecondMoments& made = moments_.emplace(executor_, &gradients());
            observe_inputs(index, made);
            return made;
        };
        if (!shares_moments_) return observe();
        const SavedState state =
            run_.shared({{"second_moments", calibration_key()}, {"nodes", block_key(index)}},
                        [&] { return observe().state(); });
        if (!moments_) moments_.emplace(executor_).restore(state);
        return *moments_;
    }

    void observe_inputs(std::size_t index, SecondMoments& moments) {
        if (solver_sees(Inputs::original)) {
            original_.pass(index, moments.observer());
            return;
        }
        const Block& block = model_.graph().blocks()[index];
        Weights weights(model_.graph());
        bind_weights(weights, run_.model, block.nodes, run_.compute, run_.backend);
        const Tensor inputs = compressed_.inputs(index).slice(0, solver_sequences());
        if (fits_original_outputs())
            observe_both(block, weights, inputs, original_.inputs(index), moments);
        else
            (void)advance(executor_, block, weights, inputs.clone(), moments.observer(), solver_sequences());
    }

    /// Both models' inputs of the same samples, one right after the other: neither is kept.
    void observe_both(const Block& block, const Weights& weights, const Tensor& compressed,
                      const Tensor& original, SecondMoments& moments) {
        const LinearObserver observer = moments.observer();
        const LinearObserver original_observer = moments.original_observer();
        by_samples(compressed.shape(), [&](std::int64_t first, std::int64_t end) {
            (void)executor_.forward(block, weights, original.slice(first, end), nullptr, original_observer);
            (void)executor_.forward(block, weights, compressed.slice(first, end), nullptr, observer);
        });
    }

    /// What the solver's result for a block depends on.
    [[nodiscard]] nlohmann::json solver_key(std::size_t index) const {
        const CompressOptions& compress = run_.spec.compress;
        nlohmann::json key{{"solved", calibration_key()},
                           {"nodes", block_key(index)},
                           {"codebook_init", to_yaml(compress.codebook_init.encode())},
                           {"solver", to_yaml(compress.solver.encode())},
                           {"matrices", nlohmann::json::array()}};
        if (solver_sees(Inputs::compressed))
            key["compressed_inputs"] = {{"blocks_together", compress.blocks_together},
                                        {"corrected_norms", compress.recalibrate_norms},
                                        {"original_output", fits_original_outputs()},
                                        {"samples", samples_}};
        const std::size_t first = solver_sees(Inputs::compressed) ? 0 : index;
        for (std::size_t b = first; b <= index; ++b)
            for (const ParameterId id : compressed_parameters(model_.graph().blocks()[b])) {
                const MatrixPlan& plan = plan_.at(id);
                key["matrices"].push_back({model_.graph().parameter(id).name, plan.bits,
                                           to_yaml(plan.grouping.encode()), nlohmann::json()});
                if (plan.group_of_row) key["matrices"].back().back() = *plan.group_of_row;
            }
        return key;
    }

    void solve(std::size_t index, const Block& block) {
        const Stages::Timer timer(run_.stages, "solve");
        const auto compute = [&] { return solved_block(index, block); };
        const SavedState solved = shares_solved_ ? run_.shared(solver_key(index), compute) : compute();
        run_.metrics.append(solved.words.at("metrics"));
        for (const auto& note : nlohmann::json::parse(solved.words.at("notes")))
            log_warning("{}", note.get<std::string>());
        for (const ParameterId id : compressed_parameters(block)) {
            CompressedMatrix matrix = restore_matrix(solved, model_.graph().parameter(id).name);
            if (solver_only_ != nullptr) solver_only_->matrices()[id] = matrix.clone();
            model_.matrices()[id] = std::move(matrix);
        }
    }

    /// The block's matrices by name, as the solver leaves them, with its metrics and notes.
    [[nodiscard]] SavedState solved_block(std::size_t index, const Block& block) {
        SavedState state;
        std::string& metrics = state.words["metrics"];
        auto notes = nlohmann::json::array();
        for (const auto& use : model_.graph().linears(block.nodes)) {
            const auto found = plan_.find(use.parameter);
            if (found == plan_.end()) continue;
            const SecondMoments& second_moments = moments(index);
            const std::string& name = model_.graph().parameter(use.parameter).name;
            const LayerProblem problem{
                .name = name,
                .weights = second_moments.fitted_to_original(use.node, run_.model.weight(use.parameter)),
                .hessian = second_moments.matrix(use.node),
                .samples = second_moments.samples(use.node),
                .weighted_hessians = second_moments.weighted(use.node),
                .fisher = fisher(use.parameter)};
            const MatrixPlan& plan = found->second;
            CompressedMatrix matrix = codebook_init_->initialise(problem, plan.group(problem));
            const SolverLog log = solver_->solve(problem, matrix);
            matrix.round_to_storage(name);
            for (const std::string& note : log.notes) notes.push_back(fmt::format("{}: {}", name, note));
            const nlohmann::json record{
                {"stage", "solve"}, {"block", index}, {"weight", name}, {"objective", log.objective}};
            metrics += record.dump() + '\n';
            append_matrix(state, name, matrix);
        }
        state.words["notes"] = notes.dump();
        return state;
    }

    [[nodiscard]] Tensor fisher(ParameterId id) {
        const auto found = gradients().fisher.find(id);
        return found == gradients().fisher.end() ? Tensor() : found->second;
    }

    /// `inputs`: the original's, where those are wanted.
    void learn(std::size_t index, const Block& block, Tensor inputs) {
        LearningProblem problem{.executor = executor_,
                                .block = block,
                                .model = model_,
                                .layers = {},
                                .inputs = {},
                                .targets = {},
                                .options = *learning_,
                                .seed = Rng(run_.spec.seed, "block learning").bits(index)};
        for (const ParameterId id : compressed_parameters(block))
            problem.layers.push_back({.parameter = id, .hessians = {}});
        if (objective_->needs_hessians()) add_hessians(index, block, problem.layers);
        if (learns_blocks()) {
            problem.inputs = inputs.defined() ? std::move(inputs) : compressed_.inputs(index);
            problem.targets = original_.inputs(index + 1);
        }
        const auto learner = objective_->learner(problem);
        train(*learner, run_.metrics, run_.stages,
              {.title = fmt::format("block {} of {}", index + 1, model_.graph().blocks().size()),
               .stage = "learn",
               .labels = {{"block", index}},
               .state_file = run_.files.learning(index),
               .checkpoint_minutes = run_.spec.checkpoint_minutes});
    }

    void add_hessians(std::size_t index, const Block& block, std::vector<LearnedLayer>& layers) {
        for (const auto& use : model_.graph().linears(block.nodes))
            for (LearnedLayer& layer : layers)
                if (layer.parameter == use.parameter) layer.hessians = moments(index).matrices(use.node);
    }

    const RunContext& run_;
    const LearnOptions* learning_;  ///< null where there is no objective
    const std::map<ParameterId, MatrixPlan>& plan_;
    std::int64_t samples_;  ///< how many there are
    Tensor solver_samples_;
    CompressedModel& model_;
    CompressedModel* solver_only_;
    Executor executor_;
    std::unique_ptr<Objective> objective_;  ///< null: blocks are solved only
    std::unique_ptr<CodebookInit> codebook_init_;
    std::unique_ptr<Solver> solver_;
    bool shares_moments_ = false;  ///< through the stage cache
    bool shares_solved_ = false;
    std::string samples_hash_;
    std::optional<GradientStatistics> gradients_;  ///< once something has asked for them
    std::optional<SecondMoments> moments_;         ///< of the block at work, once something has asked
    Activations original_;
    Activations compressed_;
};

}  // namespace

std::string needs_former_blocks(const CompressOptions& compress) {
    if (compress.solver_inputs == Inputs::compressed) return "compress.solver_inputs: compressed";
    if (compress.recalibrate_norms) return "compress.recalibrate_norms: true";
    if (compress.learns_from(Inputs::compressed)) return "compress.learn.inputs: compressed";
    return {};
}

BlockRange parse_blocks(const std::string& text, std::size_t blocks) {
    unsigned first = 0;
    unsigned second = 0;
    int used = 0;
    const auto is = [&](const char* format, int numbers) {
        return std::sscanf(text.c_str(), format, &first, &second, &used) ==
                   numbers &&  // NOLINT: checked below
               static_cast<std::size_t>(used) == text.size();
    };
    if (is("%u/%u%n", 2)) {
        require(first >= 1 && first <= second, "--blocks {}: parts are counted from 1", text);
        return {blocks * (first - 1) / second, blocks * first / second};
    }
    if (!is("%u-%u%n", 2)) {
        require(std::sscanf(text.c_str(), "%u%n", &first, &used) == 1 &&
                    static_cast<std::size_t>(used) == text.size(),
                "--blocks {}: write 3, 3-5, or 2/8 for the second of eight parts", text);
        second = first;
    }
    require(first <= second && second < blocks, "--blocks {}: the model has the blocks 0 to {}", text,
            blocks - 1);
    return {first, second + std::size_t{1}};
}

void compress_blocks(const RunContext& run, const std::map<ParameterId, MatrixPlan>& plan,
                     const Tensor& samples, CompressedModel& model, CompressedModel* solver_only,
                     BlockRange blocks) {
    BlockPass(run, plan, samples, model, solver_only).compress(blocks);
}

}  // namespace jlcm
