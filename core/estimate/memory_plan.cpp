#include "core/estimate/memory_plan.hpp"

#include "core/base/error.hpp"
#include "core/compress/calibration.hpp"
#include "core/tensor/memory.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>

namespace jlcm {
namespace {

class Planner {
  public:
    Planner(const RunSpec& spec, const Model& model, const std::map<ParameterId, MatrixPlan>& plan,
            DType compute, double program)
        : spec_(spec),
          compress_(spec.compress),
          graph_(model.graph()),
          plan_(plan),
          compute_bytes_(static_cast<double>(size_of(compute))),
          program_(program),
          shapes_(graph_.infer(model.input().sample_shape(spec.calibration.length))) {}

    [[nodiscard]] MemoryPlan plan() const {
        MemoryPlan result;
        result.stages = {calibrate(), solve()};
        if (const MemoryStage gradient = gradients(); !gradient.parts.empty())
            result.stages.insert(result.stages.begin(), gradient);
        if (const auto& options = compress_.learn) result.stages.push_back(learn(*options));
        if (const auto& options = compress_.distill) result.stages.push_back(distill(*options));
        if (!spec_.evaluate.empty()) result.stages.push_back(evaluate());
        for (MemoryStage& stage : result.stages) {
            constexpr double workspace = 96e6;  // of products, tokenisation, data that is evaluated
            stage.parts.insert(stage.parts.begin(), {"program, data", program_ + workspace});
            stage.parts.push_back({"kept for reuse", std::min(stage.total() - program_,
                                                              static_cast<double>(kept_memory_limit()))});
        }
        return result;
    }

  private:
    using BlockBytes = std::function<double(const Block&)>;

    [[nodiscard]] double elements(ParameterId id) const {
        return static_cast<double>(element_count(graph_.parameter(id).shape));
    }
    [[nodiscard]] double largest_block(const BlockBytes& bytes) const {
        double largest = 0;
        for (const Block& block : graph_.blocks()) largest = std::max(largest, bytes(block));
        return largest;
    }
    [[nodiscard]] double all_blocks(const BlockBytes& bytes) const {
        double total = 0;
        for (const Block& block : graph_.blocks()) total += bytes(block);
        return total;
    }
    [[nodiscard]] double largest_matrix() const {
        double largest = 0;
        for (const auto& [id, matrix] : plan_) largest = std::max(largest, elements(id));
        return largest;
    }
    [[nodiscard]] double compressed_weights(const Block& block) const {
        double total = 0;
        for (const auto& use : graph_.linears(block.nodes))
            if (plan_.contains(use.parameter)) total += elements(use.parameter);
        return total;
    }
    [[nodiscard]] double bound(NodeRange range) const {
        double total = 0;
        for (const ParameterId id : graph_.parameters_of(range))
            total += elements(id) * (graph_.parameter(id).linear ? compute_bytes_ : 4);
        return total;
    }
    /// The head as products take it.
    [[nodiscard]] double head() const {
        return graph_.head() < 0 ? 0 : elements(graph_.head()) * compute_bytes_;
    }
    /// Of one sample's value.
    [[nodiscard]] double value_elements(ValueId value) const {
        return static_cast<double>(element_count(shapes_[static_cast<std::size_t>(value)]));
    }
    [[nodiscard]] double activations() const {
        return static_cast<double>(spec_.calibration.sequences) * 4 *
               largest_block([&](const Block& block) { return value_elements(block.input); });
    }
    /// All values of a block for `samples`, in float32 and in the compute type where that is another.
    [[nodiscard]] double values(const Block& block, double samples) const {
        double total = 0;
        for (NodeId id = block.nodes.first; id < block.nodes.end; ++id)
            total += value_elements(graph_.node(id).output);
        return total * samples * (compute_bytes_ < 4 ? 4 + compute_bytes_ : 4);
    }
    /// What the block's largest convolution is multiplied with, each pixel as often as it is read.
    [[nodiscard]] double patches(const Block& block, double samples) const {
        double largest = 0;
        for (const auto& use : graph_.linears(block.nodes)) {
            const Node& node = graph_.node(use.node);
            if (node.op->weight_inputs_key().empty()) continue;
            const Shape& weight = graph_.parameter(use.parameter).shape;
            const double rows = value_elements(node.output) / static_cast<double>(weight[0]);
            largest = std::max(largest, rows * static_cast<double>(node.op->weight_groups() * weight[1]));
        }
        return largest * samples * compute_bytes_;
    }
    /// A forward through a block frees values after their last use: about half of them are there at a time.
    [[nodiscard]] double forward(const Block& block) const {
        const auto samples = samples_per_step(shapes_[static_cast<std::size_t>(block.input)]);
        return values(block, static_cast<double>(samples)) / 2 + patches(block, static_cast<double>(samples));
    }
    [[nodiscard]] bool fits_original_outputs() const {
        return compress_.solver_target == SolverTarget::original_output;
    }
    [[nodiscard]] double moments(const Block& block) const {
        return second_moment_bytes(graph_, block, compress_);
    }

    /// What both models are run on: images weigh as much as activations do.
    [[nodiscard]] double samples() const {
        double count = static_cast<double>(spec_.calibration.sequences);
        if (const auto& options = compress_.distill)
            count += static_cast<double>(options->steps) * distillation_batch(*options);
        return count * value_elements(graph_.input()) * 4;
    }
    /// Samples of a step of distillation, in units of calibration's.
    [[nodiscard]] double distillation_batch(const DistillOptions& options) const {
        const std::int64_t length = options.length.value_or(spec_.calibration.length);
        return static_cast<double>(options.batch * length) / static_cast<double>(spec_.calibration.length);
    }

    /// What stays over all blocks: samples, activations of one or two models, mappings that are not left on
    /// disk, and gradient statistics.
    void add_standing(MemoryStage& stage) const {
        stage.parts.push_back({"samples", samples()});
        const bool compressed_inputs = compress_.solver_inputs == Inputs::compressed;
        const bool two = compress_.learns_blocks() || fits_original_outputs() || compress_.recalibrate_norms;
        double copies = two ? 2 : 1;
        if (compress_.learns_from(Inputs::original) || (compress_.recalibrate_norms && !compressed_inputs))
            copies += 1;  // the original block's inputs, while calibration goes on to its outputs
        if (compressed_inputs &&
            !fits_original_outputs())  // the part that the solver observes is put through the original block
            copies += static_cast<double>(
                          spec_.calibration.solver_sequences.value_or(spec_.calibration.sequences)) /
                      static_cast<double>(spec_.calibration.sequences);
        stage.parts.push_back({"activations", copies * activations()});
        if (const double bytes = mappings(); bytes > 0) stage.parts.push_back({"mappings", bytes});
        if (const double bytes = statistics(); bytes > 0)
            stage.parts.push_back({"gradient statistics", bytes});
    }
    /// Bytes of mappings in memory: where the distillation will move them, one a weight and model.
    [[nodiscard]] double mappings() const {
        if (!compress_.distill) return 0;
        double models = 1;
        if (compress_.compare_with_solver) models += 1;
        if (compress_.compare_with_learned && compress_.learn) models += 1;
        return models * all_blocks([&](const Block& block) { return compressed_weights(block); });
    }
    [[nodiscard]] bool needs_fisher() const {
        return compress_.codebook_init.make()->needs_fisher() || compress_.solver.make()->needs_fisher();
    }
    [[nodiscard]] double statistics() const {
        double total = 0;
        if (needs_fisher())
            total += 4 * all_blocks([&](const Block& block) { return compressed_weights(block); });
        if (const auto& weighting = compress_.output_weighting) {
            const double tokens =
                static_cast<double>(spec_.calibration.solver_sequences.value_or(spec_.calibration.sequences) *
                                    spec_.calibration.length);
            total += tokens * static_cast<double>(weighting->groups) * 4 * static_cast<double>(plan_.size());
        }
        return total;
    }

    [[nodiscard]] MemoryStage gradients() const {
        if (statistics() == 0) return {};
        const NodeRange all{0, graph_.node_count()};
        return {"gradients",
                {{"gradient statistics", statistics()},
                 {"weights of the model", bound(all) + head()},
                 {"values and their gradients",
                  all_blocks([&](const Block& block) { return value_elements(block.input) * 4; }) +
                      largest_block([&](const Block& block) { return 2 * values(block, 1); })}}};
    }
    [[nodiscard]] MemoryStage calibrate() const {
        MemoryStage stage{"calibrate", {}};
        add_standing(stage);
        stage.parts.push_back({"weights of a block", largest_block([&](const Block& block) {
                                                         return bound(block.nodes);
                                                     }) + 4 * largest_matrix()});
        stage.parts.push_back({"second moments", largest_block([&](const Block& b) { return moments(b); })});
        stage.parts.push_back({"values", largest_block([&](const Block& block) { return forward(block); })});
        return stage;
    }
    [[nodiscard]] MemoryStage solve() const {
        MemoryStage stage{"solve", {}};
        add_standing(stage);
        stage.parts.push_back({"second moments", largest_block([&](const Block& b) { return moments(b); })});
        // Weights, what the solver keeps for each of them, and its own copies of H.
        constexpr double bytes_per_weight = 16;
        constexpr double copies = 2.5;
        double largest = 0;
        for (const auto& [id, matrix] : plan_) {
            const auto inputs = static_cast<double>(graph_.parameter(id).shape.back());
            largest = std::max(largest, elements(id) * bytes_per_weight + copies * inputs * inputs * 4);
        }
        stage.parts.push_back({"solver", largest});
        stage.parts.push_back({"codes of a block",
                               largest_block([&](const Block& block) { return compressed_weights(block); })});
        return stage;
    }
    [[nodiscard]] double estimator_bytes(const Estimator& estimator, const Block& block) const {
        double bytes = 0;
        for (const auto& use : graph_.linears(block.nodes))
            if (const auto found = plan_.find(use.parameter); found != plan_.end())
                bytes += elements(use.parameter) * estimator.bytes_per_weight(found->second.bits);
        return bytes;
    }
    [[nodiscard]] MemoryStage learn(const LearnOptions& options) const {
        MemoryStage stage{"learn", {}};
        add_standing(stage);
        const auto estimator = options.estimator.make();
        stage.parts.push_back({"second moments", largest_block([&](const Block& b) { return moments(b); })});
        stage.parts.push_back({"estimator", largest_block([&](const Block& block) {
                                   return estimator_bytes(*estimator, block);
                               })});
        if (!compress_.learns_blocks()) {
            stage.parts.push_back({"weights and gradient", 12 * largest_matrix()});
            return stage;
        }
        const auto batch = static_cast<double>(options.batch);
        stage.parts.push_back({"weights of a block", largest_block([&](const Block& block) {
                                                         return bound(block.nodes) +
                                                                compressed_weights(block);
                                                     }) + 8 * largest_matrix()});
        stage.parts.push_back({"values and their gradients",
                               largest_block([&](const Block& block) { return 2 * values(block, batch); })});
        return stage;
    }
    [[nodiscard]] MemoryStage distill(const DistillOptions& options) const {
        MemoryStage stage{"distill", {}};
        const NodeRange all{0, graph_.node_count()};
        const double batch = distillation_batch(options);
        const auto estimator = options.estimator ? options.estimator->make() : nullptr;
        stage.parts.push_back({"samples", samples()});
        stage.parts.push_back({"mappings", 2 * mappings()});
        stage.parts.push_back({"weights of the original", bound(all) + head() + 8 * largest_matrix()});
        if (estimator)
            stage.parts.push_back({"estimator", all_blocks([&](const Block& block) {
                                       return estimator_bytes(*estimator, block);
                                   })});
        stage.parts.push_back(
            {"values and their gradients",
             largest_block([&](const Block& block) {
                 return 2 * values(block, batch) + bound(block.nodes);
             }) + all_blocks([&](const Block& b) { return value_elements(b.input) * batch * 4; })});
        return stage;
    }
    [[nodiscard]] MemoryStage evaluate() const {
        const double models = compress_.evaluated_models();
        const NodeRange all{0, graph_.node_count()};
        MemoryStage stage{"evaluate", {}};
        stage.parts.push_back(
            {"weights of the models", models * (bound(all) + head()) + 4 * largest_matrix()});
        stage.parts.push_back({"mappings", mappings() + all_blocks([&](const Block& block) {
                                               return compressed_weights(block);
                                           })});
        // Evaluations take about as many samples a step as calibration does.
        stage.parts.push_back(
            {"values", largest_block([&](const Block& block) { return 2 * forward(block); })});
        return stage;
    }

    const RunSpec& spec_;
    const CompressOptions& compress_;
    const Graph& graph_;
    const std::map<ParameterId, MatrixPlan>& plan_;
    double compute_bytes_;
    double program_;
    std::vector<Shape> shapes_;  ///< of all values, for one sample
};

}  // namespace

double MemoryStage::total() const {
    double sum = 0;
    for (const Part& part : parts) sum += part.bytes;
    return sum;
}

const MemoryStage& MemoryPlan::largest() const {
    return *std::ranges::max_element(stages, {}, &MemoryStage::total);
}

std::string MemoryPlan::describe() const {
    std::string text;
    for (const MemoryStage& stage : stages) {
        text += fmt::format("  {:<12}{:>10}", stage.name, format_bytes(stage.total()));
        std::vector<MemoryStage::Part> parts = stage.parts;
        std::ranges::sort(parts, std::greater(), &MemoryStage::Part::bytes);
        constexpr double worth_telling = 0.1;  // of the stage
        std::string separator = "   ";
        for (const auto& part : parts)
            if (part.bytes >= worth_telling * stage.total()) {
                text += fmt::format("{}{} {}", separator, part.what, format_bytes(part.bytes));
                separator = ", ";
            }
        text += '\n';
    }
    return text;
}

void MemoryPlan::require_within(double limit) const {
    const MemoryStage& stage = largest();
    require(
        stage.total() <= limit,
        "the memory limit is {}, and the run would need {} ({}):\n{}lower calibration.sequences or length, "
        "learn.batch, or leave out distill or evaluate",
        format_bytes(limit), format_bytes(stage.total()), stage.name, describe());
}

MemoryPlan plan_memory(const RunSpec& spec, const Model& model, const std::map<ParameterId, MatrixPlan>& plan,
                       DType compute, double program) {
    return Planner(spec, model, plan, compute, program).plan();
}

double parse_bytes(const std::string& text) {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    const std::string unit(end);
    static const std::map<std::string, double> units{{"", 1},
                                                     {"K", 1e3},
                                                     {"KB", 1e3},
                                                     {"KiB", 1024.0},
                                                     {"M", 1e6},
                                                     {"MB", 1e6},
                                                     {"MiB", 1024.0 * 1024},
                                                     {"G", 1e9},
                                                     {"GB", 1e9},
                                                     {"GiB", 1024.0 * 1024 * 1024}};
    const auto found = units.find(unit);
    require(end != text.c_str() && found != units.end() && number > 0 && std::isfinite(number),
            "'{}' is no amount of memory; write e.g. 8G, 512M or 7.5GiB", text);
    return number * found->second;
}

std::string format_bytes(double bytes) {
    if (bytes >= 1e9) return fmt::format("{:.2f} GB", bytes / 1e9);
    return fmt::format("{:.0f} MB", bytes / 1e6);
}

}  // namespace jlcm
