#include "core/compress/block_checkpoint.hpp"

#include "core/base/files.hpp"
#include "core/base/log.hpp"
#include "core/store/matrix_state.hpp"

namespace jlcm {
namespace {

constexpr const char* dense_suffix = ".dense";
constexpr const char* solver_prefix = "solver/";

/// Nothing after the blocks but the distillation changes a mapping.
StateResidence residence(const CompressOptions& options) {
    return options.distill ? StateResidence::memory : StateResidence::file;
}

void restore(const Compression& run, const SavedState& state, std::size_t index, CompressedModel& model,
             CompressedModel* solver_only) {
    const Graph& graph = model.graph();
    for (const ParameterId id : run.compressed_parameters(graph.blocks()[index])) {
        const std::string& name = graph.parameter(id).name;
        model.matrices()[id] = restore_matrix(state, name);
        if (solver_only != nullptr) solver_only->matrices()[id] = restore_matrix(state, solver_prefix + name);
    }
    for (const ParameterId id : graph.parameters_of(graph.blocks()[index].nodes))
        if (Tensor dense = state.find(graph.parameter(id).name + dense_suffix); dense.defined())
            model.dense()[id] = std::move(dense);
}

}  // namespace

void save_block(const Compression& run, std::size_t index, const CompressedModel& model,
                const CompressedModel* solver_only, std::size_t metrics_begin, const Stages& stages_before) {
    SavedState state{.words = {{"metrics", run.store.metrics.since(metrics_begin)},
                               {"stages", run.store.stages.since(stages_before).to_json().dump()}},
                     .tensors = {}};
    const Graph& graph = model.graph();
    for (const ParameterId id : graph.parameters_of(graph.blocks()[index].nodes)) {
        const std::string& name = graph.parameter(id).name;
        if (const auto found = model.matrices().find(id); found != model.matrices().end())
            append_matrix(state, name, found->second);
        if (const auto found = model.dense().find(id); found != model.dense().end())
            state.tensors.push_back({name + dense_suffix, found->second});
        if (solver_only == nullptr) continue;
        if (const auto found = solver_only->matrices().find(id); found != solver_only->matrices().end())
            append_matrix(state, solver_prefix + name, found->second);
    }
    save_state(run.store.files.block(index), state);
}

bool load_block(const Compression& run, std::size_t index, CompressedModel& model,
                CompressedModel* solver_only) {
    const auto state = load_state(run.store.files.block(index), residence(run.options));
    if (!state) return false;
    try {
        restore(run, *state, index, model, solver_only);
    } catch (const Error& error) {
        log_warning("{} is another version's and is not used: {}", run.store.files.block(index).string(),
                    error.what());
        return false;
    }
    run.store.metrics.append(state->words.at("metrics"));
    run.store.stages.add(nlohmann::json::parse(state->words.at("stages")));
    return true;
}

void leave_block_on_disk(const Compression& run, std::size_t index, CompressedModel& model,
                         CompressedModel* solver_only) {
    if (residence(run.options) == StateResidence::file) {
        const auto state = load_state(run.store.files.block(index), StateResidence::file);
        if (!state) fail("{} was written and cannot be read back", run.store.files.block(index).string());
        restore(run, *state, index, model, solver_only);
    }
    release_mapped_pages();
}

}  // namespace jlcm
