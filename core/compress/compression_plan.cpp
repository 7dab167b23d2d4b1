#include "core/compress/compression_plan.hpp"

#include <algorithm>
#include <set>

#include <fnmatch.h>

namespace jlcm {
namespace {

bool any_glob(const std::vector<std::string>& patterns, const std::string& text) {
    return std::ranges::any_of(
        patterns, [&](const std::string& each) { return ::fnmatch(each.c_str(), text.c_str(), 0) == 0; });
}

bool matches(const Match& match, const Parameter& parameter, std::int64_t blocks) {
    if (!match.role.empty() && !any_glob(match.role, parameter.role)) return false;
    if (!match.name.empty() && !any_glob(match.name, parameter.name)) return false;
    if (!match.blocks.empty() && (parameter.block < match.blocks[0] || parameter.block > match.blocks[1]))
        return false;
    if (match.first_blocks == 0 && match.last_blocks == 0) return true;
    return parameter.block < match.first_blocks || parameter.block >= blocks - match.last_blocks;
}

/// How many blocks the model has by itself, whatever of them are reconstructed together.
std::int64_t own_blocks(const Graph& graph) {
    int last = -1;
    for (const Parameter& each : graph.parameters()) last = std::max(last, each.block);
    return last + 1;
}

/// The first node that reads a value of the graph, behind those that only move it; null where none does.
const Node* reader_of(const Graph& graph, ValueId value) {
    for (const Node& node : graph.nodes()) {
        if (std::ranges::find(node.inputs, value) == node.inputs.end()) continue;
        const auto kind = node.op->kind();
        const bool moves = kind == "reshape" || kind == "expand" || kind == "transpose";
        return moves ? reader_of(graph, node.output) : &node;
    }
    return nullptr;
}

std::string reason_for_leaving(const Graph& graph, ParameterId id) {
    const Parameter& parameter = graph.parameter(id);
    if (id == graph.head()) return "the head; compress.embedding compresses it";
    if (parameter.role == "embedding") return "an embedding; compress.embedding compresses it";
    if (parameter.role == "mlp.router") return "the router of a mixture of experts, which stays exact";
    if (parameter.linear)
        return parameter.block < 0 ? "outside the blocks" : "compress.overrides leaves it out";
    for (const Node& node : graph.nodes()) {
        if (std::ranges::find(node.parameters, id) == node.parameters.end()) continue;
        const Node* reader = node.op->kind() == "constant" ? reader_of(graph, node.output) : &node;
        if (reader == nullptr) break;
        if (reader->op->kind() == "matmul")
            return fmt::format("one of several matrices that '{}' multiplies with at once", reader->name);
        return fmt::format("a table that '{}' ({}) reads, no weight of a product", reader->name,
                           reader->op->kind());
    }
    return "nothing reads it";
}

}  // namespace

std::vector<LeftTensor> left_tensors(const Graph& graph, const std::vector<ParameterId>& compressed) {
    constexpr std::int64_t least_weights = 256;
    std::vector<LeftTensor> left;
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
        const Parameter& each = graph.parameter(id);
        const bool counts =
            each.tied_to < 0 && each.shape.size() >= 2 && element_count(each.shape) >= least_weights;
        if (!counts || std::ranges::find(compressed, id) != compressed.end()) continue;
        left.push_back({each.name, each.shape, reason_for_leaving(graph, id)});
    }
    return left;
}

CodeShape MatrixPlan::code_shape() const {
    return grouping.make()->code_shape(bits);
}

GroupedRows MatrixPlan::group(const LayerProblem& problem) const {
    const auto plugin = grouping.make();
    return group_of_row ? plugin->group_in_place(problem, bits, *group_of_row) : plugin->group(problem, bits);
}

std::map<ParameterId, MatrixPlan> plan_compression(const Graph& graph, const CompressOptions& options) {
    std::map<ParameterId, MatrixPlan> plan;
    std::vector<bool> used(options.overrides.size(), false);
    std::set<std::string> roles;
    const std::int64_t blocks = own_blocks(graph);
    for (const Block& block : graph.blocks()) {
        for (const auto& use : graph.linears(block.nodes)) {
            const Parameter& parameter = graph.parameter(use.parameter);
            roles.insert(parameter.role);
            MatrixPlan matrix{options.bits, options.grouping, {}};
            bool excluded = false;
            for (std::size_t i = 0; i < options.overrides.size(); ++i) {
                const Override& each = options.overrides[i];
                if (!matches(each.match, parameter, blocks)) continue;
                used[i] = true;
                excluded = each.exclude;
                if (each.bits) matrix.bits = *each.bits;
                if (each.grouping) matrix.grouping = *each.grouping;
            }
            if (!excluded) plan.emplace(use.parameter, std::move(matrix));
        }
    }
    for (std::size_t i = 0; i < used.size(); ++i)
        require(used[i],
                "compress.overrides.{} matches no weight of the model; its {} blocks have the roles {}", i,
                blocks, fmt::join(roles, ", "));
    require(!plan.empty(), "the overrides leave nothing to compress");
    return plan;
}

}  // namespace jlcm
