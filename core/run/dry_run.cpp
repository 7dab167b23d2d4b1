#include "core/run/dry_run.hpp"

#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/run/preflight.hpp"
#include "core/run/result.hpp"
#include "core/run/run.hpp"

#include <algorithm>
#include <ctime>
#include <map>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

/// Operations that the machine does in a second.
struct MachineRate {
    double products = 0;  ///< floating-point operations of products of a model's own size
    double loops = 0;     ///< StageCost::loops
};

/// Seconds that this process has had a processor, on all threads together.
double processor_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// The best of several short attempts, by the time that the processors worked on each: neither other programs
/// nor a slow start count.
double products_a_second(Backend& backend, DType compute, const Shape& weight) {
    constexpr std::int64_t rows = 2048;
    constexpr int attempts = 6;
    constexpr double long_enough = 0.05;
    const Tensor a = backend.convert(Tensor::zeros({rows, weight[1]}), compute);
    const Tensor b = backend.convert(Tensor::zeros(weight), compute);
    Tensor c = Tensor::empty({rows, weight[0]});
    double best = 0;
    for (int attempt = 0; attempt < attempts; ++attempt) {
        double done = 0;
        const double start = processor_seconds();
        double taken = 0;
        while (taken < long_enough) {
            backend.gemm(matrix(a), Transpose::no, matrix(b), Transpose::yes, c, false);
            done += 2.0 * static_cast<double>(rows * element_count(weight));
            taken = processor_seconds() - start;
        }
        best = std::max(best, done / taken * thread_count());
    }
    return best;
}

/// The shape of the largest linear weight of the blocks, [outputs, inputs]: most operations are of about that
/// size.
Shape typical_weight(const Graph& graph) {
    Shape largest{1, 1};
    for (const Block& block : graph.blocks())
        for (const auto& use : graph.linears(block.nodes)) {
            const Shape& shape = graph.parameter(use.parameter).shape;
            if (element_count(shape) > element_count(largest))
                largest = {shape.front(), element_count(shape) / shape.front()};
        }
    return largest;
}

/// Rates by type and a weight's shape, each measured when it is first asked for.
class MachineRates {
  public:
    explicit MachineRates(Backend& backend) : backend_(backend) {}
    const MachineRate& of(DType compute, const Shape& weight) {
        const auto [found, is_new] = rates_.try_emplace({compute, weight});
        if (is_new)
            found->second = {.products = products_a_second(backend_, compute, weight),
                             .loops = 0.6e9 * thread_count()};
        return found->second;
    }

  private:
    Backend& backend_;
    std::map<std::pair<DType, Shape>, MachineRate> rates_;
};

RunEstimate estimate_of(const RunSpec& spec, const RunSizes& sizes, const ArtifactPlan& artifact,
                        const nlohmann::json& provenance, MachineRates& rates,
                        const std::vector<Workload>& workloads) {
    // What a run holds before it starts: of the mapped model hardly anything.
    constexpr double program = 3e7;
    const Shape weight = typical_weight(sizes.model.graph());
    const MachineRate rate = rates.of(sizes.compute, weight);
    RunEstimate estimate{.footprint = {},
                         .memory = plan_memory(sizes, program),
                         .seconds = {},
                         .operations_a_second = rate.products};
    ArtifactForm form = artifact.form;
    form.provenance = provenance;
    estimate.footprint = artifact_footprint(form);
    const auto add = [&](const StageCost& work, double times, const MachineRate& at) {
        estimate.operations += times * work.products;
        estimate.seconds.back().second += times * (work.products / at.products + work.loops / at.loops);
    };
    for (const StageCost& stage : stage_costs(sizes)) {
        estimate.seconds.emplace_back(stage.name, 0.0);
        add(stage, 1, rate);
        if (stage.name != "evaluate") continue;
        // An evaluation's work depends on its data.
        for (std::size_t i = 0; i < workloads.size(); ++i) {
            const StageCost work = evaluation_work(sizes.model.graph(), sizes.model.input(), workloads[i]);
            add(work, spec.compress.evaluated_models(), rate);
            if (sizes.has_noise_floor && spec.evaluate[i].make()->has_noise_floor())
                add(work, 1, rates.of(other_type(sizes.compute), weight));
        }
    }
    return estimate;
}

std::vector<Workload> workloads(const RunSpec& spec, const Model& model) {
    const Directories directories = data_directories(spec.data_path);
    std::vector<Workload> result;
    for (const auto& choice : spec.evaluate)
        result.push_back(choice.make()->workload({model.graph(), model.input()}, directories));
    return result;
}

std::unique_ptr<Model> load_model(const RunSpec& spec, Backend& backend) {
    auto model = std::make_unique<Model>(spec.model.load(backend));
    model->join_blocks(spec.compress.blocks_together);
    return model;
}

std::vector<ParameterId> compressed_parameters(const Graph& graph, const ArtifactForm& artifact) {
    std::vector<ParameterId> ids;
    for (ParameterId id = 0; id < std::ssize(graph.parameters()); ++id)
        if (artifact.matrices.contains(graph.parameter(id).name)) ids.push_back(id);
    return ids;
}

/// What the model that runs share depends on.
std::string model_key(const Resolved<RunSpec>& spec) {
    return to_yaml(*spec.config.find("model")) + fmt::format("{}\n", spec.value.compress.blocks_together);
}

}  // namespace

struct RunEstimator::State {
    explicit State(Backend& backend) : rates(backend) {}
    std::map<std::string, std::unique_ptr<Model>> models;  ///< by the model's options and what its blocks are
    std::map<std::string, ArtifactPlan> plans;             ///< by those and what the artifact depends on
    std::map<std::string, std::vector<Workload>> workloads;  ///< by those, places and evaluations
    MachineRates rates;
};

RunEstimator::RunEstimator(Backend& backend) : backend_(backend), state_(std::make_unique<State>(backend)) {}
RunEstimator::~RunEstimator() = default;

const Model& RunEstimator::model_of(const Resolved<RunSpec>& spec) {
    auto& model = state_->models[model_key(spec)];
    if (!model) model = load_model(spec.value, backend_);
    return *model;
}

double RunEstimator::memory_bytes(const Resolved<RunSpec>& spec) {
    const Model& model = model_of(spec);
    const auto plan = plan_compression(model.graph(), spec.value.compress);
    constexpr double program = 3e7;
    return plan_memory(sizes_of(spec.value, model, plan, backend_), program).largest().total();
}

const ArtifactPlan& RunEstimator::artifact_of(const Resolved<RunSpec>& spec) {
    Config stored = encode_options(spec.value.compress);
    const auto& compress = spec.value.compress;
    if (compress.learn && compress.learn->norm_rate == 0) stored.erase("learn");
    if (compress.distill && compress.distill->norm_rate == 0) stored.erase("distill");
    stored.erase("codebook_init");
    const std::string key = model_key(spec) + to_yaml(stored);
    auto plan = state_->plans.find(key);
    if (plan == state_->plans.end())
        plan = state_->plans.emplace(key, plan_artifact(model_of(spec), compress)).first;
    return plan->second;
}

RunEstimate RunEstimator::estimate(const Resolved<RunSpec>& resolved, const RunIdentity& identity) {
    const RunSpec& spec = resolved.value;
    const Model& model = model_of(resolved);
    const ArtifactPlan& artifact = artifact_of(resolved);
    std::string reads = model_key(resolved) + fmt::format("{}", fmt::join(spec.data_path, ":"));
    for (const auto& choice : spec.evaluate) reads += to_yaml(choice.encode());
    auto evaluations = state_->workloads.find(reads);
    if (evaluations == state_->workloads.end())
        evaluations = state_->workloads.emplace(reads, workloads(spec, model)).first;
    return estimate_of(spec, sizes_of(spec, model, artifact.matrices, backend_), artifact,
                       identity.provenance(), state_->rates, evaluations->second);
}

std::string dry_run(const Resolved<RunSpec>& resolved, Backend& backend) {
    const RunSpec& spec = resolved.value;
    const DType compute = compute_type(spec.compute, backend);
    const RunInputs inputs = read_inputs(spec, backend);
    const Model& model = *inputs.model;
    const std::vector<Workload> evaluations = check_inputs(spec, inputs);
    const ArtifactPlan artifact = plan_artifact(model, spec.compress);
    const RunIdentity identity =
        identity_of(resolved, compute, model.checkpoint().sha256, inputs.data.describe(), inputs.evaluated);
    MachineRates rates(backend);
    const RunEstimate estimate = estimate_of(spec, sizes_of(spec, model, artifact.matrices, backend),
                                             artifact, identity.provenance(), rates, evaluations);

    std::string text = fmt::format("{}: {} ({}), {} blocks, compute {} on {}\n", spec.name, spec.model.source,
                                   model.checkpoint().description, model.graph().blocks().size(),
                                   name_of(compute), backend.describe());
    for (const std::string& line : describe_outputs(model)) text += line + '\n';
    text += fmt::format("\n{:<18}{:>5}  {:<14}{:>9}{:>16}{:>13}{:>11}\n", "role", "bits", "grouping",
                        "matrices", "shape", "weights", "codebooks");
    for (const auto& [role, share] : artifact.shares)
        text += fmt::format("{}{:>9}{:>16}{:>13}{:>11}\n", role, share.matrices, to_string(share.shape),
                            share.weights, share.codebooks);

    const auto left = left_tensors(model.graph(), compressed_parameters(model.graph(), artifact.form));
    if (!left.empty()) text += "\nleft as they are\n";
    for (const LeftTensor& each : left)
        text += fmt::format("  {} {}, {} weights: {}\n", each.name, to_string(each.shape),
                            element_count(each.shape), each.reason);

    text += "\nbytes of the artifact\n";
    const auto line = [&](const char* what, std::uint64_t count) {
        if (count > 0) text += fmt::format("  {:<14}{:>14}\n", what, count);
    };
    const Footprint& bytes = estimate.footprint.bytes;
    line("mapping", bytes.mapping);
    line("codebooks", bytes.codebooks);
    line("scales", bytes.scales);
    line("runs", bytes.runs);
    line("permutation", bytes.permutation);
    line("outliers", bytes.outliers);
    line("padding", bytes.padding);
    line("uncompressed", bytes.uncompressed);
    line("tokenizer", bytes.tokenizer);
    line("metadata", bytes.metadata);
    line("file", bytes.total());
    text += fmt::format("  {:.4f} bits per linear weight\n\n", estimate.linear_bits_per_weight());
    text += fmt::format("memory, at most\n{}\ntime, about\n", estimate.memory.describe());
    for (const auto& [stage, seconds] : estimate.seconds)
        text += fmt::format("  {:<12}{:>10}\n", stage, format_duration(seconds));
    text += fmt::format("{:.1f} TFLOP at {:.0f} GFLOP/s here, about {}\n", estimate.operations / 1e12,
                        estimate.operations_a_second / 1e9, format_duration(estimate.total_seconds()));
    return text;
}

}  // namespace jlcm
