#include "core/run/dry_run.hpp"

#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/packing.hpp"
#include "core/compress/compression_plan.hpp"
#include "core/compress/embedding.hpp"
#include "core/compress/reordering.hpp"
#include "core/run/run.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

/// What the compressed weights of one kind come to.
struct Share {
    std::int64_t matrices = 0;
    std::int64_t weights = 0;
    std::int64_t codebooks = 0;
    Shape shape;
};

struct Bytes {
    std::int64_t mapping = 0;
    std::int64_t codebooks = 0;
    std::int64_t scales = 0;
    std::int64_t runs = 0;
    std::int64_t permutation = 0;

    [[nodiscard]] std::int64_t total() const { return mapping + codebooks + scales + runs + permutation; }
    void add(const GroupedRows& grouped) {
        const Layout& layout = grouped.layout;
        const auto lines = PackedLines::of(layout.rows, layout.codes_per_row(), layout.bits);
        mapping += (lines.bytes(layout.bits) * layout.residual + 63) / 64 * 64;
        codebooks += 2 * layout.codebooks() * layout.residual * layout.codewords() * layout.dimension;
        if (layout.shared_codebook) scales += (grouped.offsets ? 4 : 2) * layout.groups();
        runs += 8 * static_cast<std::int64_t>(layout.runs.size());
        permutation += 2 * static_cast<std::int64_t>(grouped.row_order.size());
    }
};

/// Floating-point operations a second of a product of the model's own size.
double measured_rate(Backend& backend, DType compute) {
    const auto operand = [&](std::int64_t rows) {
        return backend.convert(Tensor::zeros({rows, 1024}), compute);
    };
    const Tensor a = operand(2048);
    const Tensor b = operand(1024);
    Tensor c = Tensor::empty({2048, 1024});
    double done = 0;
    const double start = now_seconds();
    while (now_seconds() - start < 0.3) {
        backend.gemm(matrix(a), Transpose::no, matrix(b), Transpose::yes, c, false);
        done += 2.0 * 2048 * 1024 * 1024;
    }
    return done / (now_seconds() - start);
}

/// Operations of a run. A backward is two forwards, second moments cost as much as the layers that read the
/// inputs; distillation recomputes each block and runs the original beside it.
double operations(const RunSpec& spec, const Graph& graph, const ModelInput& input,
                  const std::map<ParameterId, MatrixPlan>& plan, const std::vector<Workload>& evaluations) {
    const CompressOptions& compress = spec.compress;
    const CalibrationOptions& calibration = spec.calibration;
    const auto forward = [&](std::int64_t length) {
        return graph.flops({0, graph.node_count()}, input.sample_shape(length));
    };
    const auto head_forward = [&](std::int64_t length) {
        if (graph.head() < 0) return 0.0;
        return 2.0 * static_cast<double>(element_count(graph.parameter(graph.head()).shape) * length);
    };
    const double sequences = static_cast<double>(calibration.sequences);
    double passes = compress.learns_blocks() || compress.solver_inputs == Inputs::original ? 1 : 0;
    if (compress.solver_inputs == Inputs::compressed) passes += 2;
    if (compress.learns_blocks() && compress.solver_inputs == Inputs::original) passes += 1;
    double total = passes * sequences * forward(calibration.length);
    const auto solver = compress.solver.make();
    if (solver->needs_hessian())
        total += static_cast<double>(calibration.solver_sequences.value_or(calibration.sequences)) *
                 forward(calibration.length);
    for (const auto& [id, matrix] : plan) {
        const Shape& shape = graph.parameter(id).shape;
        const double columns = static_cast<double>(element_count(shape)) / static_cast<double>(shape.front());
        total += solver->products() * 2.0 * static_cast<double>(element_count(shape)) * columns;
    }
    if (const auto& learn = compress.learn; learn && compress.learns_blocks())
        total += 3.0 * static_cast<double>(learn->steps * learn->batch) * forward(calibration.length);
    if (const auto& distill = compress.distill) {
        const std::int64_t length = distill->length.value_or(calibration.length);
        total += static_cast<double>(distill->steps * distill->batch) *
                 (5.0 * forward(length) + 3.0 * head_forward(length));
    }
    for (const Workload& each : evaluations)
        total += static_cast<double>(compress.evaluated_models() * each.samples) *
                 (forward(each.length) + head_forward(each.length));
    return total;
}

/// What is stored, by kind.
struct StoredPlan {
    std::map<std::string, Share> roles;  ///< by the beginning of the role's line
    Bytes bytes;
    std::int64_t compressed_weights = 0;
    std::int64_t kept_bytes = 0;
    std::int64_t tokenizer_bytes = 0;
    std::map<ParameterId, MatrixPlan> matrices;

    [[nodiscard]] std::int64_t file_bytes() const { return bytes.total() + kept_bytes + tokenizer_bytes; }
    [[nodiscard]] double linear_bits_per_weight() const {
        return 8.0 * static_cast<double>(bytes.total()) / static_cast<double>(compressed_weights);
    }
};

/// Makes the groups.
StoredPlan plan_storage(const Model& model, const CompressOptions& compress) {
    StoredPlan stored;
    const Graph& graph = model.graph();
    stored.matrices = plan_compression(graph, compress);
    auto& plan = stored.matrices;
    const auto reordered = compress.reorder ? reorder_model(model, *compress.reorder, plan) : nullptr;
    const WeightSource& source = reordered ? static_cast<const WeightSource&>(*reordered) : model;
    if (const auto& embedding = compress.embedding)
        for (const ParameterId id : embedding_parameters(graph))
            plan.emplace(id, MatrixPlan{embedding->bits, embedding->grouping, {}});
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
        const Parameter& parameter = graph.parameter(id);
        const auto found = plan.find(id);
        if (found == plan.end()) {
            if (parameter.tied_to < 0)
                stored.kept_bytes += static_cast<std::int64_t>(model.stored(id).bytes.size());
            continue;
        }
        const LayerProblem problem{.name = parameter.name, .weights = source.weight(id), .hessian = {}};
        const GroupedRows grouped = found->second.group(problem);
        stored.bytes.add(grouped);
        stored.compressed_weights += problem.weights.size();
        Share& share = stored.roles[fmt::format("{:<18}{:>5}  {:<14}", parameter.role, found->second.bits,
                                                found->second.grouping.name())];
        share.matrices += 1;
        share.weights += problem.weights.size();
        share.codebooks += grouped.layout.codebooks();
        share.shape = parameter.shape;
    }
    stored.tokenizer_bytes = static_cast<std::int64_t>(model.checkpoint().tokenizer.data.size());
    return stored;
}

MemoryPlan memory_of(const RunSpec& spec, const Model& model, const std::map<ParameterId, MatrixPlan>& plan,
                     DType compute) {
    // What a run holds before it starts: of the mapped model hardly anything.
    constexpr double program = 6e7;
    return plan_memory(spec, model, plan, compute, program);
}

RunEstimate estimate_of(const RunSpec& spec, const Model& model, const StoredPlan& stored, DType compute,
                        double rate, const std::vector<Workload>& evaluations) {
    const Graph& graph = model.graph();
    // Softmax, norms, rounding and updates take about as long as products at this rate a core would, in
    // whole runs with products of 370 and of 2000 GFLOP/s (docs/benchmarks.md).
    const double other_work = 500e9 * thread_count();
    return {.linear_bits_per_weight = stored.linear_bits_per_weight(),
            .file_bytes = stored.file_bytes(),
            .memory = memory_of(spec, model, stored.matrices, compute),
            .operations = operations(spec, graph, model.input(), stored.matrices, evaluations),
            .operations_a_second = 1 / (1 / rate + 1 / other_work)};
}

std::vector<Workload> workloads(const RunSpec& spec, const ModelInput& input) {
    const Directories directories = data_directories(spec.data_path);
    std::vector<Workload> result;
    for (const auto& choice : spec.evaluate) result.push_back(choice.make()->workload(input, directories));
    return result;
}

std::unique_ptr<Model> load_model(const RunSpec& spec) {
    auto model = std::make_unique<Model>(spec.model.loader.make()->load(find_model(spec.model.source)));
    model->join_blocks(spec.compress.blocks_together);
    return model;
}

/// What the model that runs share depends on.
std::string model_key(const Resolved<RunSpec>& spec) {
    return to_yaml(*spec.config.find("model")) + fmt::format("{}\n", spec.value.compress.blocks_together);
}

}  // namespace

struct RunEstimator::State {
    std::map<std::string, std::unique_ptr<Model>> models;  ///< by the model's options and what its blocks are
    std::map<std::string, StoredPlan> plans;               ///< by those and what groups depend on
    std::map<std::string, std::vector<Workload>> workloads;  ///< by those, places and evaluations
    std::map<DType, double> rates;
};

RunEstimator::RunEstimator() : state_(std::make_unique<State>()) {}
RunEstimator::~RunEstimator() = default;

const Model& RunEstimator::model_of(const Resolved<RunSpec>& spec) {
    auto& model = state_->models[model_key(spec)];
    if (!model) model = load_model(spec.value);
    return *model;
}

double RunEstimator::memory_bytes(const Resolved<RunSpec>& spec) {
    const Model& model = model_of(spec);
    return memory_of(spec.value, model, plan_compression(model.graph(), spec.value.compress),
                     compute_type(spec.value.compute, cpu_backend()))
        .largest()
        .total();
}

RunEstimate RunEstimator::estimate(const Resolved<RunSpec>& resolved) {
    const RunSpec& spec = resolved.value;
    const std::string source = model_key(resolved);
    const Model& model = model_of(resolved);
    Config stored = encode_options(spec.compress);
    for (const char* key : {"codebook_init", "solver", "learn", "distill"}) stored.erase(key);
    const std::string key = source + to_yaml(stored);
    auto plan = state_->plans.find(key);
    if (plan == state_->plans.end())
        plan = state_->plans.emplace(key, plan_storage(model, spec.compress)).first;
    std::string reads = source + fmt::format("{}", fmt::join(spec.data_path, ":"));
    for (const auto& choice : spec.evaluate) reads += to_yaml(choice.encode());
    auto evaluations = state_->workloads.find(reads);
    if (evaluations == state_->workloads.end())
        evaluations = state_->workloads.emplace(reads, workloads(spec, model.input())).first;
    const DType compute = compute_type(spec.compute, cpu_backend());
    if (!state_->rates.contains(compute)) state_->rates[compute] = measured_rate(cpu_backend(), compute);
    return estimate_of(spec, model, plan->second, compute, state_->rates[compute], evaluations->second);
}

std::string dry_run(const Resolved<RunSpec>& resolved) {
    const RunSpec& spec = resolved.value;
    Backend& backend = cpu_backend();
    const DType compute = compute_type(spec.compute, backend);
    const auto loaded = load_model(spec);
    const Model& model = *loaded;
    const StoredPlan stored = plan_storage(model, spec.compress);
    const double rate = measured_rate(backend, compute);
    const RunEstimate estimate =
        estimate_of(spec, model, stored, compute, rate, workloads(spec, model.input()));

    std::string text = fmt::format("{}: {} ({}), {} blocks, compute {} on {}\n\n", spec.name,
                                   spec.model.source, model.checkpoint().description,
                                   model.graph().blocks().size(), name_of(compute), backend.describe());
    text += fmt::format("{:<18}{:>5}  {:<14}{:>9}{:>16}{:>13}{:>11}\n", "role", "bits", "grouping",
                        "matrices", "shape", "weights", "codebooks");
    for (const auto& [role, share] : stored.roles)
        text += fmt::format("{}{:>9}{:>16}{:>13}{:>11}\n", role, share.matrices, to_string(share.shape),
                            share.weights, share.codebooks);

    text += "\nbytes of the artifact, about\n";
    const auto line = [&](const char* what, std::int64_t count) {
        if (count > 0) text += fmt::format("  {:<14}{:>14}\n", what, count);
    };
    line("mapping", stored.bytes.mapping);
    line("codebooks", stored.bytes.codebooks);
    line("scales", stored.bytes.scales);
    line("runs", stored.bytes.runs);
    line("permutation", stored.bytes.permutation);
    line("uncompressed", stored.kept_bytes);
    line("tokenizer", stored.tokenizer_bytes);
    line("file", estimate.file_bytes);
    text += fmt::format("  {:.4f} bits per linear weight\n\n", estimate.linear_bits_per_weight);
    text += fmt::format("memory, at most\n{}\n{:.1f} TFLOP at {:.0f} GFLOP/s here, about {}\n",
                        estimate.memory.describe(), estimate.operations / 1e12, rate / 1e9,
                        format_duration(estimate.seconds()));
    return text;
}

}  // namespace jlcm
