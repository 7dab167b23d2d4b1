#include "core/compress/block_learning.hpp"

#include "core/base/log.hpp"
#include "core/base/rng.hpp"
#include "core/compress/training.hpp"
#include "core/learn/layer_learner.hpp"
#include "core/store/saved_state.hpp"
#include "core/tensor/memory.hpp"

namespace jlcm {

BlockLearning::BlockLearning(const Compression& run, BlockData& data)
    : run_(run),
      data_(data),
      options_(run.options.learn.value()),
      objective_(options_.objective.make()),
      needs_(objective_->needs()) {}

void BlockLearning::learn(std::size_t index, CompressedModel& model, Tensor original_inputs) {
    const Block& block = model.graph().blocks()[index];
    const std::vector<ParameterId> own = run_.compressed_parameters(block);
    if (own.empty()) return;  // all its weights belong to former blocks
    LearningProblem problem{.executor = data_.executor(),
                            .block = block,
                            .model = model,
                            .layers = {},
                            .inputs = {},
                            .targets = {},
                            .options = options_,
                            .seed = Rng(run_.seed, "block learning").bits(index)};
    for (const ParameterId id : own) problem.layers.push_back({.parameter = id, .second_moments = {}});
    if (needs_.second_moments) add_moments(block, problem.layers);
    if (needs_.activations) {
        problem.inputs =
            original_inputs.defined() ? std::move(original_inputs) : data_.compressed_inputs(index);
        problem.targets = data_.original_inputs(index + 1);
    }
    release_kept_memory();  // what is learned is of other sizes
    const auto learner = objective_->learner(problem);
    train(*learner, run_.store.metrics, run_.store.stages,
          {.title = fmt::format("block {} of {}", index + 1, model.graph().blocks().size()),
           .stage = "learn",
           .labels = {{"block", index}},
           .state_file = run_.store.files.learning(index),
           .checkpoint_minutes = run_.store.checkpoint_minutes});
    if (run_.options.keeps_positions())
        save_state(run_.store.files.positions(index), {.words = {}, .tensors = learner->positions()});
}

void BlockLearning::add_moments(const Block& block, std::vector<LearnedLayer>& layers) {
    for (const auto& use : own_linears(run_.model.graph(), block.nodes))
        for (LearnedLayer& layer : layers)
            if (layer.parameter == use.parameter) layer.second_moments = data_.moments().matrices(use.node);
    // Of second moments that the solver reads it has said so.
    if (const std::string note = data_.few_tokens(); !note.empty() && !run_.options.solving_needs().moments())
        log_warning("{}", note);
}

StageCost block_learning_cost(const PipelineSizes& sizes, const LearnOptions& options) {
    const DataNeeds needs = sizes.options.learning_needs();
    const auto codes = [&](ParameterId id) { return sizes.codes(id); };
    StageCost stage = needs.activations ? block_learner_cost(sizes.graph, options, codes)
                                        : layer_learner_cost(sizes.graph, options, codes);
    stage.add("second moments", sizes.graph.largest_block([&](const Block& block) {
        return second_moment_bytes(sizes.graph.graph(), block, sizes.options.solving_needs() | needs);
    }));
    return stage;
}

}  // namespace jlcm
