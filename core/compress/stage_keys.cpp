#include "core/compress/stage_keys.hpp"

#include "core/base/hash.hpp"
#include "core/compress/second_moments.hpp"
#include "core/spec/resolve.hpp"
#include "core/store/cached_features.hpp"

namespace jlcm {

namespace {

std::string order_hash(const ReorderedModel& model) {
    Sha256 hash;
    for (ParameterId id = 0; id < std::ssize(model.graph().parameters()); ++id)
        for (const auto* order : {&model.rows(id), &model.columns(id)})
            hash.update(fmt::format("{}\n", order->size())).update(std::as_bytes(std::span(*order)));
    return hash.hex();
}

}  // namespace

nlohmann::json source_key(const std::string& loader, const Model& model, const Backend& backend,
                          DType compute, const ReorderedModel* reordered) {
    nlohmann::json key{{"model_sha256", model.checkpoint().sha256},
                       {"loader", loader},
                       {"backend", backend.describe()},
                       {"compute", name_of(compute)}};
    // Of one file, models of several outputs, or of one that is compared in several ways.
    for (const GraphOutput& output : model.graph().outputs())
        key["outputs"].push_back({{"name", output.name}, {"compared", output.compared}});
    if (reordered != nullptr) key["order_sha256"] = order_hash(*reordered);
    return key;
}

SharedResults shared_results(const Compression& run) {
    if (!run.store.cache.is_enabled()) return {};
    const CompressOptions& options = run.options;
    const DataNeeds needs = options.solving_needs() | options.learning_needs();
    double moments = 0;
    double mappings = 0;
    for (const Block& block : run.model.graph().blocks()) {
        moments += second_moment_bytes(run.model.graph(), block, needs);
        for (const ParameterId id : run.compressed_parameters(block))
            mappings += static_cast<double>(element_count(run.model.graph().parameter(id).shape));
    }
    // The compressed model's activations are seldom another run's too, and what was learned never is.
    const bool sees_original = options.solver_inputs == Inputs::original;
    return {.moments = sees_original && run.store.cache.has_room_for(moments),
            .solved = (sees_original || !options.learn) && run.store.cache.has_room_for(mappings)};
}

StageKeys::StageKeys(const Compression& run, const Tensor& samples, std::int64_t observed) : run_(run) {
    if (!samples.defined() || !run.store.cache.is_enabled()) return;
    observed_ = content_hash(samples.slice(0, observed));
    // How many go through the blocks decides the steps; batch norms are recalibrated on all of them.
    all_ = run.options.recalibrate_norms ? nlohmann::json(content_hash(samples))
                                         : nlohmann::json(samples.rows());
}

nlohmann::json StageKeys::second_moments(std::size_t block) const {
    return {{"second_moments", calibration()}, {"nodes", nodes_of(block)}};
}

/// The nodes that a block is made of: several blocks may be reconstructed together.
nlohmann::json StageKeys::nodes_of(std::size_t block) const {
    const NodeRange nodes = run_.model.graph().blocks()[block].nodes;
    return {nodes.first, nodes.end};
}

/// What second moments of the original's activations, and gradients, depend on.
nlohmann::json StageKeys::calibration() const {
    const DataNeeds needs = run_.options.solving_needs();
    nlohmann::json key{{"source", run_.source}, {"samples", observed_}};
    if (!needs.gradients()) return key;
    auto& gradients = key["gradients"] = {{"fisher", needs.fisher}, {"row_sets", needs.row_sets}};
    for (const auto& [id, matrix] : run_.plan)
        gradients["weights"].push_back(run_.model.graph().parameter(id).name);
    return key;
}

nlohmann::json StageKeys::solved(std::size_t block) const {
    const CompressOptions& options = run_.options;
    const bool sees_compressed = options.solver_inputs == Inputs::compressed;
    nlohmann::json key{{"solved", calibration()},
                       {"nodes", nodes_of(block)},
                       {"codebook_init", to_yaml(options.codebook_init.encode())},
                       {"solver", to_yaml(options.solver.encode())},
                       {"matrices", nlohmann::json::array()}};
    if (sees_compressed)
        key["compressed_inputs"] = {
            {"blocks_together", options.blocks_together},
            {"corrected_norms", options.recalibrate_norms},
            {"original_output", options.solver_target == SolverTarget::original_output},
            {"samples", all_}};
    if (sees_compressed && options.embedding)
        key["compressed_inputs"]["embedding"] = to_yaml(encode_options(*options.embedding));
    const Graph& graph = run_.model.graph();
    for (std::size_t b = sees_compressed ? 0 : block; b <= block; ++b)
        for (const ParameterId id : run_.compressed_parameters(graph.blocks()[b])) {
            const MatrixPlan& plan = run_.plan.at(id);
            key["matrices"].push_back(
                {graph.parameter(id).name, plan.bits, to_yaml(plan.grouping.encode()), nlohmann::json()});
            if (plan.group_of_row) key["matrices"].back().back() = *plan.group_of_row;
        }
    return key;
}

}  // namespace jlcm
