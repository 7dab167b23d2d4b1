#include "core/run/run.hpp"

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/log.hpp"
#include "core/base/unchanged_files.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/compress/block_pass.hpp"
#include "core/compress/embedding.hpp"
#include "core/compress/reordering.hpp"
#include "core/compress/samples.hpp"
#include "core/compress/stage_keys.hpp"
#include "core/compress/training.hpp"
#include "core/estimate/memory_plan.hpp"
#include "core/learn/diverged.hpp"
#include "core/run/environment.hpp"
#include "core/run/identity.hpp"
#include "core/run/preflight.hpp"
#include "core/run/result.hpp"
#include "core/store/saved_state.hpp"
#include "core/tensor/memory.hpp"
#include "core/text/embedded_tokenizer.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>

namespace jlcm {
namespace {

using nlohmann::json;

/// Everything that a run reads, and who it is.
struct Sources : RunInputs {
    std::unique_ptr<ReorderedModel> reordered;  ///< the model in the order that is compressed, or null
    RunIdentity identity;

    /// What is compressed.
    [[nodiscard]] const WeightSource& base() const {
        if (reordered) return *reordered;
        return *model;
    }
    /// Every parameter that ends in the artifact as codebooks and mapping.
    [[nodiscard]] std::vector<ParameterId> compressed(const CompressOptions& options) const {
        std::vector<ParameterId> ids;
        if (options.embedding) ids = model->graph().tables();
        for (const auto& [id, matrix] : plan) ids.push_back(id);
        return ids;
    }
};

/// What the parts of a run below share.
struct RunContext {
    const RunSpec& spec;
    const Compression& pipeline;
    const RunStore& store;
};

/// The loader as it goes into keys of the stage cache.
std::string loader_of(const RunSpec& spec) {
    return to_yaml(spec.model.loader.encode());
}

Sources read_sources(const Resolved<RunSpec>& spec, Backend& backend, DType compute) {
    RunInputs inputs = read_inputs(spec.value, backend);
    RunIdentity identity = identity_of(spec, compute, inputs.model->checkpoint().sha256,
                                       inputs.data.describe(), inputs.evaluated);
    return {std::move(inputs), nullptr, std::move(identity)};
}

/// Learns the whole model on the original's predictions.
void distill(const Compression& run, const DistillationOptions& options, const Tensor& samples,
             CompressedModel& model) {
    CachedFeatures features(run.store.cache, run.store.stages, run.source);
    release_kept_memory();
    const auto positions = [&](std::size_t block) {
        auto state = load_state(run.store.files.positions(block));
        return state ? std::move(state->tensors) : std::vector<NamedTensor>{};
    };
    const auto distiller =
        make_distiller(model, samples, options, run.compute, run.backend, &features, positions);
    train(*distiller, run.store.metrics, run.store.stages,
          {.title = "distilling",
           .stage = "distill",
           .labels = nlohmann::json::object(),
           .state_file = run.store.files.distillation(),
           .checkpoint_minutes = run.store.checkpoint_minutes});
}

std::string file_hash(const std::filesystem::path& path) {
    return sha256(MappedFile(path));
}

/// Whether an earlier process packed the artifact; its metrics and stages are taken up then.
bool was_packed(const RunStore& run) {
    const auto state = load_state(run.files.packed());
    if (!state || !std::filesystem::exists(run.files.artifact()) ||
        file_hash(run.files.artifact()) != state->words.at("artifact_sha256"))
        return false;
    run.metrics.append(state->words.at("metrics"));
    run.stages.add(json::parse(state->words.at("stages")));
    return true;
}

void pack(const RunStore& run, const Sources& sources, const CompressedModel& model,
          std::size_t metrics_begin, const Stages& stages_before) {
    {
        const Stages::Timer timer(run.stages, "pack");
        write_artifact(run.files.artifact(),
                       make_artifact(model, sources.model->checkpoint(), sources.reordered.get(),
                                     sources.identity.provenance()));
    }
    save_state(run.files.packed(), {.words = {{"artifact_sha256", file_hash(run.files.artifact())},
                                              {"metrics", run.metrics.since(metrics_begin)},
                                              {"stages", run.stages.since(stages_before).to_json().dump()}},
                                    .tensors = {}});
}

/// The model as earlier stages leave it, for the last table; null where nobody asks for it.
struct EarlierStages {
    std::unique_ptr<CompressedModel> solver_only;   ///< before any learning
    std::unique_ptr<CompressedModel> learned_only;  ///< after block learning, before distillation

    EarlierStages(const WeightSource& model, const CompressOptions& options) {
        if (options.compare_with_solver && (options.learn || options.distill))
            solver_only = std::make_unique<CompressedModel>(model);
        if (options.compare_with_learned && options.learn && options.distill)
            learned_only = std::make_unique<CompressedModel>(model);
    }
};

/// Nothing is drawn that no stage reads.
CalibrationSamples read_samples(const RunContext& run, const Sources& sources) {
    const auto& calibration = run.spec.calibration;
    if (!calibration || !run.spec.compress.needs_samples()) {
        log_info("no samples: nothing reads them");
        return {};
    }
    const Stages::Timer timer(run.store.stages, "load");
    auto samples =
        draw_samples(*calibration, run.spec.compress, run.spec.seed, sources.data, sources.model->input());
    log_info("samples {}, {} in all",
             to_string((samples.calibration.defined() ? samples.calibration : samples.distillation).shape()),
             samples.distinct);
    return samples;
}

/// Compresses some blocks and leaves them in the run's directory.
void compress_some(const RunContext& run, const Sources& sources, BlockRange blocks) {
    CompressedModel model(sources.base());
    const EarlierStages earlier(sources.base(), run.spec.compress);
    if (run.spec.compress.embedding) compress_embedding(*run.spec.compress.embedding, model);
    compress_blocks(run.pipeline, read_samples(run, sources), model, earlier.solver_only.get(), blocks);
    log_info("blocks {} to {} of {} are done", blocks.first, blocks.end - 1,
             sources.model->graph().blocks().size());
}

/// Compresses into the artifact's file, and fills the earlier stages.
void compress(const RunContext& run, const Sources& sources, const EarlierStages& earlier) {
    CompressedModel model(sources.base());
    const CalibrationSamples samples = read_samples(run, sources);
    if (run.spec.compress.embedding) {
        compress_embedding(*run.spec.compress.embedding, model);
        if (earlier.solver_only) model.copy_to(*earlier.solver_only);
    }
    compress_blocks(run.pipeline, samples, model, earlier.solver_only.get(),
                    {0, model.graph().blocks().size()});
    if (earlier.learned_only) model.copy_to(*earlier.learned_only);
    if (was_packed(run.store)) return;
    const std::size_t metrics_begin = run.store.metrics.position();
    const Stages stages_before = run.store.stages;
    if (const auto& options = run.spec.compress.distill)
        distill(run.pipeline, *options, samples.distillation, model);
    pack(run.store, sources, model, metrics_begin, stages_before);
}

/// Evaluates the packed model as it is read back.
json evaluate(const RunContext& run, const Sources& sources, const EarlierStages& earlier) {
    const Stages::Timer timer(run.store.stages, "evaluate");
    if (run.spec.evaluate.empty()) return json::array();
    release_kept_memory();
    const PackedModel packed(map_artifact(run.store.files.artifact()));
    std::vector<std::string> names{"original"};
    std::vector<BoundModel> bound;
    bound.reserve(4);
    const Compression& pipeline = run.pipeline;
    CachedFeatures features(
        run.store.cache, run.store.stages,
        source_key(loader_of(run.spec), *sources.model, pipeline.backend, pipeline.compute, nullptr));
    bound.emplace_back(*sources.model, pipeline.compute, pipeline.backend, &features);
    const auto add = [&](const char* name, const WeightSource& source) {
        names.emplace_back(name);
        bound.emplace_back(source, pipeline.compute, pipeline.backend);
    };
    if (earlier.solver_only) add("solver_only", *earlier.solver_only);
    if (earlier.learned_only) add("learned_only", *earlier.learned_only);
    add("compressed", packed);
    EvaluatedModels models{{}, sources.model->input()};
    for (const BoundModel& each : bound) models.models.push_back(&each);
    auto records = json::array();
    auto predictions = json::array();
    for (const auto& choice : run.spec.evaluate) {
        const EvaluationResult result = choice.make()->evaluate(models, sources.directories);
        records.push_back(evaluation_record(choice.name(), result, names));
        if (auto items = predictions_record(result, names); !items.is_null())
            predictions.push_back(std::move(items));
    }
    require_unchanged_files();
    if (!predictions.empty()) write_file(run.store.files.predictions(), predictions.dump() + '\n');
    return records;
}

/// What a result has whether or not there is an artifact.
json identity_record(const RunContext& run, const Sources& sources) {
    const CompressOptions& compress = run.spec.compress;
    return {{"version", result_version},
            {"name", run.spec.name},
            {"hash", sources.identity.hash},
            {"identity", sources.identity.content},
            {"seed", run.spec.seed},
            {"compute", name_of(run.pipeline.compute)},
            {"model", model_record(*sources.model, run.spec.model.source)},
            {"method",
             {{"solver", compress.solver.name()},
              {"solver_inputs", compress.solver_inputs == Inputs::original ? "original" : "compressed"},
              {"reordered", compress.reorder.has_value()},
              {"learned", compress.learn.has_value()},
              {"distilled", compress.distill.has_value()}}},
            {"stages", run.store.stages.to_json()},
            {"environment", environment_record(run.pipeline.backend)}};
}

json make_result(const RunContext& run, const Sources& sources, const json& evaluations) {
    json result = identity_record(run, sources);
    result["footprint"] = footprint_record(run.store.files.artifact(), *sources.model, sources.model_path,
                                           sources.compressed(run.spec.compress));
    result["uncompressed"] =
        uncompressed_record(sources.model->graph(), sources.compressed(run.spec.compress));
    result["artifact_sha256"] = file_hash(run.store.files.artifact());
    result["evaluations"] = evaluations;
    return result;
}

/// Of a run whose learning diverged: there is nothing to evaluate.
json make_diverged_result(const RunContext& run, const Sources& sources, const Diverged& diverged) {
    json result = identity_record(run, sources);
    result["footprint"] = nullptr;
    result["artifact_sha256"] = nullptr;
    result["evaluations"] = json::array();
    result["diverged"] = diverged.record();
    return result;
}

/// From compressing to evaluating.
json complete(const RunContext& run, const Sources& sources) {
    const EarlierStages earlier(sources.base(), run.spec.compress);
    try {
        compress(run, sources, earlier);
    } catch (const Diverged& diverged) {
        log_warning("{}", diverged.what());
        return make_diverged_result(run, sources, diverged);
    }
    const json evaluations = evaluate(run, sources, earlier);
    return make_result(run, sources, evaluations);
}

/// The run's directory. One that was made for a run that is refused before it has saved anything goes again.
class MadeDirectory {
  public:
    /// `is_shared`: other processes may work in it too, and it stays.
    MadeDirectory(const RunFiles& files, bool is_shared) : files_(files) {
        const auto parent = files.directory.parent_path();
        made_parent_ = !std::filesystem::exists(parent);
        made_ = std::filesystem::create_directories(files.directory) && !is_shared;
    }
    MadeDirectory(const MadeDirectory&) = delete;
    MadeDirectory& operator=(const MadeDirectory&) = delete;
    ~MadeDirectory() {
        if (!made_ || std::uncaught_exceptions() == exceptions_ || has_saved()) return;
        std::error_code ignored;
        set_log_file({});
        std::filesystem::remove_all(files_.directory, ignored);
        if (made_parent_) std::filesystem::remove(files_.directory.parent_path(), ignored);
    }

  private:
    [[nodiscard]] bool has_saved() const {
        std::error_code ignored;
        return std::filesystem::exists(files_.artifact(), ignored) ||
               (std::filesystem::exists(files_.checkpoints(), ignored) &&
                !std::filesystem::is_empty(files_.checkpoints(), ignored));
    }
    RunFiles files_;
    bool made_ = false;
    bool made_parent_ = false;
    int exceptions_ = std::uncaught_exceptions();
};

}  // namespace

DType compute_type(Compute compute, const Backend& backend) {
    if (compute == Compute::automatic) return backend.has_bfloat16() ? DType::bf16 : DType::f32;
    require(compute == Compute::float32 || backend.has_bfloat16(),
            "compute: bfloat16, but this machine ({}) has no unit for it; use auto or float32",
            backend.describe());
    return compute == Compute::float32 ? DType::f32 : DType::bf16;
}

std::vector<std::string> not_finite(const json& result) {
    std::vector<std::string> lines;
    if (const auto diverged = result.find("diverged"); diverged != result.end()) {
        const bool has_block = diverged->contains("block");
        lines.push_back(
            fmt::format("learning diverged: {} is {} in step {} of {}{}", diverged->value("what", "a loss"),
                        diverged->value("value", "nan"), diverged->value("step", std::int64_t{0}),
                        diverged->value("stage", "learning"),
                        has_block ? fmt::format(", block {}", diverged->at("block").dump()) : ""));
    }
    for (std::string& line : figures_not_finite(result.at("evaluations"))) lines.push_back(std::move(line));
    return lines;
}

RunSizes sizes_of(const RunSpec& spec, const Model& model, const std::map<ParameterId, MatrixPlan>& plan,
                  const Backend& backend) {
    RunSizes sizes{spec.compress, spec.calibration, model, plan, compute_type(spec.compute, backend)};
    for (const auto& choice : spec.evaluate) {
        const auto evaluation = choice.make();
        sizes.longest_evaluated = std::max(sizes.longest_evaluated, evaluation->longest_sample());
        sizes.has_noise_floor = sizes.has_noise_floor || evaluation->has_noise_floor();
    }
    sizes.has_noise_floor = sizes.has_noise_floor && backend.has_bfloat16();
    return sizes;
}

std::optional<json> finished_result(const RunFiles& files) {
    std::error_code ignored;
    if (!std::filesystem::exists(files.result(), ignored)) return std::nullopt;
    try {
        check_checksums(files);
        json result = json::parse(read_file(files.result()));
        if (result.contains("diverged") ||
            std::filesystem::file_size(files.artifact()) == result.at("footprint").at("file_bytes"))
            return result;
    } catch (const std::exception& error) {
        log_warning("{} is damaged or its artifact is gone: the run is done again ({})",
                    files.result().string(), error.what());
    }
    return std::nullopt;
}

RunOutcome run_experiment(const Resolved<RunSpec>& spec, const std::filesystem::path& out, Backend& backend,
                          const RunResources& resources) {
    const DType compute = compute_type(spec.value.compute, backend);
    Stages stages;
    std::optional<Sources> sources;
    {
        const Stages::Timer timer(stages, "load");
        sources.emplace(read_sources(spec, backend, compute));
    }
    const RunFiles files{out / sources->identity.directory_name(spec.value)};
    const auto finished = [&]() -> std::optional<RunOutcome> {
        auto result = finished_result(files);
        if (!result) return std::nullopt;
        remove_checkpoints(files);
        return RunOutcome{files.directory, std::move(*result), true};
    };
    if (auto outcome = finished()) return std::move(*outcome);

    std::optional<BlockRange> part;
    if (!resources.blocks.empty()) {
        part = parse_blocks(resources.blocks, sources->model->graph().blocks().size());
        const std::string reason = needs_former_blocks(spec.value.compress);
        require(reason.empty(), "--blocks: blocks cannot be compressed apart, because of {}", reason);
    }
    {
        const Stages::Timer timer(stages, "load");
        (void)check_inputs(spec.value, *sources);
    }
    release_mapped_pages();  // hashing has read the whole model
    const MemoryPlan memory = plan_memory(sizes_of(spec.value, *sources->model, sources->plan, backend),
                                          static_cast<double>(resident_memory_bytes()));
    if (resources.memory_limit) {
        memory.require_within(*resources.memory_limit);
        limit_memory(*resources.memory_limit);
    }

    const MadeDirectory made(files, part.has_value());
    const RunLock lock(files.lock(), part ? RunLock::Kind::shared : RunLock::Kind::alone);
    // Another process may have ended it since.
    if (auto outcome = finished()) return std::move(*outcome);
    if (!part) remove_unfinished_files(files);
    std::filesystem::create_directories(files.checkpoints());
    set_log_file(files.log());
    write_file(files.spec(), to_yaml(spec.config));
    Metrics metrics(part ? files.part_metrics(part->first) : files.metrics());
    if (const auto& reorder = spec.value.compress.reorder) {
        const Stages::Timer timer(stages, "reorder");
        sources->reordered = reorder_model(*sources->model, *reorder, sources->plan);
    }
    StageCache none;
    StageCache& cache = resources.cache != nullptr ? *resources.cache : none;
    const RunStore store{files, metrics, stages, cache, spec.value.checkpoint_minutes};
    const Compression pipeline{
        spec.value.compress,
        sources->base(),
        sources->plan,
        backend,
        compute,
        spec.value.seed,
        source_key(loader_of(spec.value), *sources->model, backend, compute, sources->reordered.get()),
        store};
    const RunContext run{spec.value, pipeline, store};
    log_info("{}: {} ({})", files.directory.string(), spec.value.model.source,
             sources->model->checkpoint().description);
    for (const std::string& line : describe_outputs(*sources->model)) log_info("{}", line);
    log_info("memory planned\n{}", memory.describe());
    if (cache.is_enabled())
        log_info("stage cache {}, up to {}", cache.directory().string(), format_bytes(cache.limit()));

    if (part) {
        if (part->first < part->end) compress_some(run, *sources, *part);
        set_log_file({});
        return {files.directory, {}, false};
    }
    json result = complete(run, *sources);
    const std::string text = result.dump(2) + '\n';
    write_checksums(files, text);
    write_file(files.result(), text);
    remove_checkpoints(files);
    log_info("peak memory {} of {} planned", format_bytes(static_cast<double>(peak_memory_bytes())),
             format_bytes(memory.largest().total()));
    if (const std::string cached = stages.describe_cached(); !cached.empty())
        log_info("from the stage cache: {}", cached);
    set_log_file({});
    return {files.directory, std::move(result), false};
}

}  // namespace jlcm
