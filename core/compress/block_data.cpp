#include "core/compress/block_data.hpp"

#include "core/base/log.hpp"
#include "core/graph/expert_operators.hpp"
#include "core/tensor/memory.hpp"

#include <algorithm>
#include <set>

namespace jlcm {

BlockData::BlockData(const Compression& run, const CalibrationSamples& samples, const CompressedModel& model,
                     const StageKeys& keys, bool shares_moments)
    : run_(run),
      keys_(keys),
      solving_(run.options.solving_needs()),
      shares_moments_(shares_moments),
      observed_(samples.calibration.defined() ? samples.calibration.slice(0, samples.observed) : Tensor()),
      executor_(model.graph(), run.backend, run.compute),
      original_(executor_, run.model, samples.calibration,
                run.options.solver_inputs == Inputs::original ? samples.observed : 0, run.store.stages),
      compressed_(executor_, model, samples.calibration, 0, run.store.stages) {}

void BlockData::begin(std::size_t index) {
    block_ = index;
    moments_.reset();
}

LayerProblem BlockData::problem(const Graph::LinearUse& use, const DataNeeds& needs) {
    LayerProblem problem{.name = run_.model.graph().parameter(use.parameter).name,
                         .weights = run_.model.weight(use.parameter),
                         .second_moments = {}};
    if (needs.moments()) {
        const SecondMoments& second_moments = moments();
        if (needs.original_moments)
            problem.weights = second_moments.fitted_to_original(use.node, problem.weights);
        problem.second_moments = second_moments.matrix(use.node);
        problem.samples = second_moments.samples(use.node);
        problem.weighted_moments = second_moments.weighted(use.node);
    }
    if (needs.fisher) problem.fisher = fisher(use.parameter);
    return problem;
}

const GradientStatistics& BlockData::gradients() {
    if (gradients_) return *gradients_;
    if (!solving_.gradients()) return gradients_.emplace();
    const Stages::Timer timer(run_.store.stages, "gradients");
    std::set<ParameterId> wanted;
    for (const auto& [id, matrix] : run_.plan) wanted.insert(id);
    gradients_ = gradients_from(run_.store.shared(keys_.gradients(), [&] {
        return state_of(gradient_statistics(executor_, run_.model, observed_, solving_, wanted));
    }));
    release_kept_memory();
    log_info("gradients of the original model: loss {:.4f} nats a prediction", gradients_->loss);
    return *gradients_;
}

Tensor BlockData::fisher(ParameterId id) {
    const auto found = gradients().fisher.find(id);
    return found == gradients().fisher.end() ? Tensor() : found->second;
}

const SecondMoments& BlockData::moments() {
    if (moments_) return *moments_;
    const Stages::Timer timer(run_.store.stages, "calibrate");
    const auto observed = [&]() -> SecondMoments& {
        SecondMoments& made = moments_.emplace(executor_, &gradients());
        observe(made);
        release_kept_memory();  // the solver's tensors are of other sizes
        return made;
    };
    if (!shares_moments_) return observed();
    const SavedState state =
        run_.store.shared(keys_.second_moments(block_), [&] { return observed().state(); });
    if (!moments_) moments_.emplace(executor_).restore(state);
    return *moments_;
}

/// Second moments of fewer tokens than inputs leave directions that nothing is known of.
std::string BlockData::few_tokens() const {
    if (!moments_) return {};
    const Graph& graph = run_.model.graph();
    std::vector<std::string> few;
    std::set<ValueId> seen;
    std::size_t experts = 0;
    for (const auto& use : graph.linears(graph.blocks()[block_].nodes)) {
        const Node& node = graph.node(use.node);
        if (!reads_routed_rows(*node.op) || !seen.insert(node.inputs[0]).second) continue;
        ++experts;
        const std::int64_t tokens = moments_->samples(use.node);
        if (tokens < graph.parameter(use.parameter).shape[1])
            few.push_back(fmt::format("{} ({})", node.name, tokens));
    }
    if (few.empty()) return {};
    return fmt::format(
        "{}: {} of {} inputs of experts saw fewer calibration tokens than they have features: {}. More calibration "
        "samples (calibration.sequences) tell more of them",
        graph.blocks()[block_].name, few.size(), experts, fmt::join(few, ", "));
}

void BlockData::observe(SecondMoments& moments) {
    if (run_.options.solver_inputs == Inputs::original) {
        original_.pass(block_, moments.observer());
        return;
    }
    const Block& block = run_.model.graph().blocks()[block_];
    Weights weights(run_.model.graph());
    bind_weights(weights, run_.model, block.nodes, run_.compute, run_.backend);
    const Tensor inputs = compressed_.inputs(block_).slice(0, observed_.rows());
    if (solving_.original_moments)
        observe_both(block, weights, inputs, original_.inputs(block_), moments);
    else
        (void)advance(executor_, block, weights, inputs.clone(), moments.observer(), observed_.rows());
}

/// Both models' inputs of the same samples, one right after the other: neither is kept.
void BlockData::observe_both(const Block& block, const Weights& weights, const Tensor& compressed,
                             const Tensor& original, SecondMoments& moments) {
    const LinearObserver observer = moments.observer();
    const LinearObserver original_observer = moments.original_observer();
    const auto observe = [&](std::int64_t first, std::int64_t end) {
        (void)executor_.forward(block, weights, original.slice(first, end), nullptr, original_observer);
        (void)executor_.forward(block, weights, compressed.slice(first, end), nullptr, observer);
    };
    if (!executor_.graph().one_by_one()) return by_samples(compressed.shape(), observe);
    for (std::int64_t i = 0; i < compressed.rows(); ++i) observe(i, i + 1);
}

namespace {

/// How many times all samples' activations are in memory.
double copies_of_activations(const PipelineSizes& sizes) {
    const CompressOptions& options = sizes.options;
    const bool reads_compressed = options.observes(Inputs::compressed) ||
                                  options.learns_from(Inputs::compressed) || options.recalibrate_norms;
    const bool reads_original = options.observes(Inputs::original) || options.learns_blocks() ||
                                options.recalibrate_norms || options.solving_needs().original_moments;
    double copies = (reads_compressed ? 1 : 0) + (reads_original ? 1 : 0);
    // The original block's inputs, while calibration goes on to its outputs.
    if (options.learns_from(Inputs::original) ||
        (options.recalibrate_norms && options.observes(Inputs::original)))
        copies += 1;
    // The part that the solver observes is put through the original block.
    if (options.observes(Inputs::compressed) && !options.solving_needs().original_moments)
        copies += static_cast<double>(sizes.calibration.observed()) /
                  static_cast<double>(sizes.calibration.sequences);
    return copies;
}

double activation_bytes(const PipelineSizes& sizes) {
    const GraphSizes& graph = sizes.graph;
    const double copies = copies_of_activations(sizes);
    return static_cast<double>(sizes.calibration.sequences) * 4 *
           graph.largest_block([&](const Block& block) {
               const double inputs = graph.elements_of_value(block.input);
               const double outputs = graph.elements_of_value(block.output);
               // Outputs of the inputs' shape take their place (advance); others stand beside them.
               const bool in_place = graph.shape_of(block.input) == graph.shape_of(block.output);
               return copies * std::max(inputs, outputs) + (in_place ? 0 : std::min(inputs, outputs));
           });
}

double statistics_bytes(const PipelineSizes& sizes) {
    const DataNeeds needs = sizes.options.solving_needs();
    double total = 0;
    if (needs.fisher)
        total +=
            4 * sizes.graph.all_blocks([&](const Block& block) { return sizes.compressed_weights(block); });
    const auto tokens = static_cast<double>(sizes.calibration.observed() * sizes.calibration.length);
    return total + tokens * static_cast<double>(needs.row_sets) * 4 * static_cast<double>(sizes.plan.size());
}

/// Bytes of a block's values in a forward over all samples: a step of full size, and a last one of what is
/// left, whose memory is of other sizes.
double forward_bytes(const PipelineSizes& sizes, const Block& block) {
    const auto step = samples_per_step(sizes.graph.shape_of(block.input));
    const std::int64_t rest = sizes.calibration.sequences % step;
    const auto samples = static_cast<double>(std::min(step, sizes.calibration.sequences) +
                                             (sizes.calibration.sequences > step ? rest : 0));
    return sizes.graph.passing_values(block.nodes, samples) + sizes.graph.patches(block.nodes, samples);
}

}  // namespace

std::vector<StageCost::Part> block_data_parts(const PipelineSizes& sizes) {
    StageCost stage;
    if (sizes.options.needs_calibration()) stage.add("activations", activation_bytes(sizes));
    stage.add("gradient statistics", statistics_bytes(sizes));
    return stage.parts;
}

StageCost gradients_cost(const PipelineSizes& sizes) {
    const GraphSizes& graph = sizes.graph;
    StageCost stage{"gradients", {}};
    stage.add("samples", sizes.samples());
    stage.add("gradient statistics", statistics_bytes(sizes));
    stage.add("weights of the model",
              graph.bound(graph.all_nodes()) + graph.decoded(graph.all_nodes()) + graph.head());
    stage.add("values and their gradients", graph.all_blocks([&](const Block& block) {
        return graph.elements_of_value(block.input) * 4;
    }) + graph.largest_block([&](const Block& block) { return 2 * graph.values(block.nodes, 1); }));
    if (sizes.options.solving_needs().fisher)
        stage.add("gradients of a block", 4 * graph.largest_block([&](const Block& block) {
            return sizes.compressed_weights(block);
        }));
    // A forward to the features, each block's again, and a backward of two.
    stage.products = static_cast<double>(sizes.calibration.observed()) *
                     (4 * graph.forward_operations() + 3 * graph.head_operations());
    stage.loops = static_cast<double>(sizes.calibration.observed()) * 4 * graph.forward_elements();
    return stage;
}

StageCost calibration_cost(const PipelineSizes& sizes) {
    const GraphSizes& graph = sizes.graph;
    const CompressOptions& options = sizes.options;
    const DataNeeds needs = options.solving_needs() | options.learning_needs();
    StageCost stage{"calibrate", {}};
    stage.add("weights of a block", graph.largest_block([&](const Block& block) {
        return graph.bound(block.nodes) + graph.decoded(block.nodes);
    }));
    stage.add("second moments", graph.largest_block([&](const Block& block) {
        return second_moment_bytes(graph.graph(), block, needs);
    }));
    stage.add("values", graph.largest_block([&](const Block& block) { return forward_bytes(sizes, block); }));
    const auto all = static_cast<double>(sizes.calibration.sequences);
    const auto observed = static_cast<double>(sizes.calibration.observed());
    const bool reads_original =
        options.observes(Inputs::original) || options.learns_blocks() || options.recalibrate_norms;
    const bool reads_compressed = options.observes(Inputs::compressed) ||
                                  options.learns_from(Inputs::compressed) || options.recalibrate_norms;
    double passes = (reads_original ? all : 0) + (reads_compressed ? all : 0);
    if (options.observes(Inputs::compressed)) passes += observed;
    if (needs.original_moments) passes += all + observed;
    stage.loops = passes * graph.forward_elements();
    // A sum of x x^T costs as much as the layers that read x.
    if (needs.moments()) passes += observed * static_cast<double>(1 + needs.row_sets);
    stage.products = passes * graph.forward_operations();
    return stage;
}

}  // namespace jlcm
