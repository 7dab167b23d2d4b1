#include "core/experiment/dry_run.hpp"

#include "core/base/log.hpp"
#include "core/codebook/packing.hpp"
#include "core/experiment/compression_plan.hpp"
#include "core/experiment/embedding.hpp"
#include "core/experiment/reordering.hpp"
#include "core/experiment/run.hpp"

#include <algorithm>

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

/// Operations of everything but the evaluation. A backward is two forwards; distillation recomputes each
/// block and runs the original beside it.
double operations(const RunSpec& spec, const Graph& graph) {
    const CompressOptions& compress = spec.compress;
    const CalibrationOptions& calibration = spec.calibration;
    const auto forward = [&](std::int64_t length) {
        return graph.flops({0, graph.node_count()}, {1, length});
    };
    const double sequences = static_cast<double>(calibration.sequences);
    double passes = compress.learns_blocks() || compress.solver_inputs == Inputs::original ? 1 : 0;
    if (compress.solver_inputs == Inputs::compressed) passes += 2;
    if (compress.learns_blocks() && compress.solver_inputs == Inputs::original) passes += 1;
    double total = passes * sequences * forward(calibration.length);
    if (const auto& learn = compress.learn; compress.learns_blocks())
        total += 3.0 * static_cast<double>(learn->steps * learn->batch) * forward(calibration.length);
    if (const auto& distill = compress.distill) {
        const std::int64_t length = distill->length.value_or(calibration.length);
        const Shape& head = graph.parameter(graph.head()).shape;
        const double head_forward = 2.0 * static_cast<double>(element_count(head) * length);
        total += static_cast<double>(distill->steps * distill->batch) *
                 (5.0 * forward(length) + 3.0 * head_forward);
    }
    return total;
}

std::int64_t activation_bytes(const RunSpec& spec, const Graph& graph) {
    const CompressOptions& compress = spec.compress;
    const bool two = compress.learns_blocks() || compress.solver_inputs == Inputs::compressed;
    const Shape shape =
        graph.infer({1, spec.calibration.length})[static_cast<std::size_t>(graph.blocks().front().input)];
    return (two ? 2 : 1) * spec.calibration.sequences * element_count(shape) * 4;
}

/// What estimators keep for mappings under way, bytes: of the largest block, or of the whole model where
/// distillation moves mappings too.
double estimator_bytes(const CompressOptions& compress, const Graph& graph,
                       const std::map<ParameterId, MatrixPlan>& plan) {
    const auto bytes_of = [&](const Estimator& estimator, const Block& block) {
        double bytes = 0;
        for (const auto& use : graph.linears(block.nodes))
            if (const auto found = plan.find(use.parameter); found != plan.end())
                bytes += static_cast<double>(element_count(graph.parameter(use.parameter).shape)) *
                         estimator.bytes_per_weight(found->second.bits);
        return bytes;
    };
    const auto learning = compress.learn ? compress.learn->estimator.make() : nullptr;
    const auto distilling =
        compress.distill && compress.distill->estimator ? compress.distill->estimator->make() : nullptr;
    double largest = 0;
    double all = 0;
    for (const Block& block : graph.blocks()) {
        if (learning) largest = std::max(largest, bytes_of(*learning, block));
        if (distilling) all += bytes_of(*distilling, block);
    }
    return std::max(largest, all);
}

}  // namespace

std::string dry_run(const Resolved<RunSpec>& resolved) {
    const RunSpec& spec = resolved.value;
    Backend& backend = cpu_backend();
    const DType compute = compute_type(spec.compute, backend);
    const Model model(spec.model.loader.make()->load(find_model(spec.model.source)));
    const Graph& graph = model.graph();

    std::map<std::string, Share> roles;
    Bytes bytes;
    std::int64_t compressed_weights = 0;
    std::int64_t kept_bytes = 0;
    auto plan = plan_compression(graph, spec.compress);
    const auto reordered =
        spec.compress.reorder ? reorder_model(model, *spec.compress.reorder, plan) : nullptr;
    const WeightSource& source = reordered ? static_cast<const WeightSource&>(*reordered) : model;
    if (const auto& embedding = spec.compress.embedding)
        for (const ParameterId id : embedding_parameters(graph))
            plan.emplace(id, MatrixPlan{embedding->bits, embedding->grouping, {}});
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
        const Parameter& parameter = graph.parameter(id);
        const auto found = plan.find(id);
        if (found == plan.end()) {
            if (parameter.tied_to < 0) kept_bytes += static_cast<std::int64_t>(model.stored(id).bytes.size());
            continue;
        }
        const LayerProblem problem{.name = parameter.name, .weights = source.weight(id), .hessian = {}};
        const GroupedRows grouped = found->second.group(problem);
        bytes.add(grouped);
        compressed_weights += problem.weights.size();
        Share& share = roles[fmt::format("{:<18}{:>5}  {:<14}", parameter.role, found->second.bits,
                                         found->second.grouping.name())];
        share.matrices += 1;
        share.weights += problem.weights.size();
        share.codebooks += grouped.layout.codebooks();
        share.shape = parameter.shape;
    }

    std::string text = fmt::format("{}: {} ({}), {} blocks, compute {} on {}\n\n", spec.name,
                                   spec.model.source, model.checkpoint().description, graph.blocks().size(),
                                   name_of(compute), backend.describe());
    text += fmt::format("{:<18}{:>5}  {:<14}{:>9}{:>16}{:>13}{:>11}\n", "role", "bits", "grouping",
                        "matrices", "shape", "weights", "codebooks");
    for (const auto& [role, share] : roles)
        text += fmt::format("{}{:>9}{:>16}{:>13}{:>11}\n", role, share.matrices, to_string(share.shape),
                            share.weights, share.codebooks);

    const auto tokenizer = static_cast<std::int64_t>(model.checkpoint().tokenizer.data.size());
    text += "\nbytes of the artifact, about\n";
    const auto line = [&](const char* what, std::int64_t count) {
        if (count > 0) text += fmt::format("  {:<14}{:>14}\n", what, count);
    };
    line("mapping", bytes.mapping);
    line("codebooks", bytes.codebooks);
    line("scales", bytes.scales);
    line("runs", bytes.runs);
    line("permutation", bytes.permutation);
    line("uncompressed", kept_bytes);
    line("tokenizer", tokenizer);
    line("file", bytes.total() + kept_bytes + tokenizer);
    text += fmt::format("  {:.4f} bits per linear weight\n\n",
                        8.0 * static_cast<double>(bytes.total()) / static_cast<double>(compressed_weights));

    constexpr double efficiency = 0.6;  // of the products' own rate, over a step of learning
    const double rate = measured_rate(backend, compute);
    const double work = operations(spec, graph);
    text += fmt::format(
        "memory of activations {:.0f} MB, of mappings under way {:.0f} MB; {:.1f} TFLOP at {:.0f} GFLOP/s "
        "here, about {} without "
        "solving and evaluation\n",
        static_cast<double>(activation_bytes(spec, graph)) / 1e6,
        estimator_bytes(spec.compress, graph, plan) / 1e6, work / 1e12, rate / 1e9,
        format_duration(work / rate / efficiency));
    return text;
}

}  // namespace jlcm
