#include "core/graph/permutation.hpp"

#include "core/graph/feature_blocks.hpp"

#include <algorithm>
#include <set>

namespace jlcm {
namespace {

/// Every axis of a graph under the rules of all its operators.
class Tying {
  public:
    Tying(const Graph& graph, const Shape& input) : shapes_(graph.infer(input)) {
        for (const Parameter& parameter : graph.parameters()) {
            parameters_.emplace_back();
            for (const std::int64_t size : parameter.shape) parameters_.back().push_back(new_axis(size));
            // Weights are re-ordered as matrices.
            for (std::size_t d = 1; d < parameter.shape.size() && parameter.shape.size() > 2; ++d)
                blocks_.fix(parameters_.back()[d], "only rows of a tensor of more dimensions are re-ordered",
                            parameter.name);
        }
        for (const Shape& shape : shapes_) {
            values_.emplace_back();
            for (const std::int64_t size : shape) values_.back().push_back(new_axis(size));
        }
        fix(values_.at(0), "the model's inputs have a given order", "input");
        std::vector<bool> read(shapes_.size(), false);
        for (const Node& node : graph.nodes()) {
            const std::size_t said = beside_.size();
            NodeRule rule(*this, node);
            node.op->permutation_rule(rule);
            if (beside_.size() == said) stand_alone(node);
            for (const ValueId value : node.inputs) read[static_cast<std::size_t>(value)] = true;
        }
        for (std::size_t id = 0; id < parameters_.size(); ++id) {
            const ParameterId tied_to = graph.parameters()[id].tied_to;
            if (tied_to < 0) continue;
            for (std::size_t d = 0; d < parameters_[id].size(); ++d)
                blocks_.tie(parameters_[id][d], parameters_[static_cast<std::size_t>(tied_to)][d],
                            graph.parameters()[id].name);
        }
        if (graph.head() >= 0) {
            const auto head = static_cast<std::size_t>(graph.head());
            auto& features = values_[static_cast<std::size_t>(graph.features())];
            blocks_.tie(features.back(), parameters_[head].at(1), "head");
            features.pop_back();
            fix(features, "the model's outputs have a given order", "output");
            blocks_.fix(parameters_[head].at(0), "the model's outputs have a given order", "output");
            read[static_cast<std::size_t>(graph.features())] = true;
        }
        for (std::size_t value = 0; value < read.size(); ++value)
            if (!read[value]) fix(values_[value], "the model's outputs have a given order", "output");
    }

    [[nodiscard]] const FeatureBlocks& blocks() const { return blocks_; }
    /// Axes each inside of whose positions the others may have orders of their own.
    [[nodiscard]] std::vector<std::vector<PermutationRule::Axis>> beside() const {
        std::vector<std::vector<PermutationRule::Axis>> all;
        for (const auto& axes : beside_) {
            all.emplace_back();
            for (const auto& axis : axes) all.back().push_back(blocks_.expand(axis));
        }
        return all;
    }
    [[nodiscard]] PermutationRule::Axis parameter(std::size_t id, std::size_t dimension) const {
        return blocks_.expand(parameters_[id][dimension]);
    }

  private:
    class NodeRule final : public PermutationRule {
      public:
        NodeRule(Tying& all, const Node& node) : all_(all), node_(node) {}
        [[nodiscard]] const Shape& input_shape(std::size_t i) const override {
            return all_.shapes_[static_cast<std::size_t>(node_.inputs.at(i))];
        }
        [[nodiscard]] const Shape& output_shape() const override {
            return all_.shapes_[static_cast<std::size_t>(node_.output)];
        }
        [[nodiscard]] Axis input(std::size_t i, std::size_t dimension) override {
            return all_.values_[static_cast<std::size_t>(node_.inputs.at(i))].at(dimension);
        }
        [[nodiscard]] Axis output(std::size_t dimension) override {
            return all_.values_[static_cast<std::size_t>(node_.output)].at(dimension);
        }
        [[nodiscard]] Axis parameter(std::size_t i, std::size_t dimension) override {
            return all_.parameters_[static_cast<std::size_t>(node_.parameters.at(i))].at(dimension);
        }
        [[nodiscard]] std::size_t inputs() const override { return node_.inputs.size(); }
        [[nodiscard]] std::int64_t size(const Axis& axis) const override { return all_.blocks_.size(axis); }
        [[nodiscard]] int blocks(std::int64_t size) override { return all_.blocks_.add(size); }
        [[nodiscard]] std::optional<Axis> product(const std::vector<Axis>& axes) const override {
            Axis result{{}};
            for (const Axis& axis : axes) {
                const Axis inner = all_.blocks_.expand(axis);
                if (inner.size() != 1 && all_.blocks_.size(result) > 1) return std::nullopt;
                Axis next;
                for (const Blocks& outer : result) {
                    for (const Blocks& part : inner) {
                        next.push_back(outer);
                        next.back().insert(next.back().end(), part.begin(), part.end());
                    }
                }
                result = std::move(next);
            }
            return result;
        }
        void beside(const std::vector<Axis>& axes) override { all_.beside_.push_back(axes); }
        void tie(const Axis& a, const Axis& b) override { all_.blocks_.tie(a, b, node_.name); }
        void fix(const Axis& axis, const std::string& reason) override {
            all_.blocks_.fix(axis, reason, node_.name);
        }

      private:
        Tying& all_;
        const Node& node_;
    };

    void fix(const std::vector<PermutationRule::Axis>& axes, const std::string& reason,
             const std::string& who) {
        for (const auto& axis : axes) blocks_.fix(axis, reason, who);
    }

    void stand_alone(const Node& node) {
        for (const ValueId input : node.inputs)
            for (const auto& axis : values_[static_cast<std::size_t>(input)]) beside_.push_back({axis});
        for (const auto& axis : values_[static_cast<std::size_t>(node.output)]) beside_.push_back({axis});
    }

    PermutationRule::Axis new_axis(std::int64_t size) {
        PermutationRule::Axis axis{{blocks_.add(size)}};
        blocks_.watch(axis);
        return axis;
    }

    std::vector<Shape> shapes_;
    FeatureBlocks blocks_;
    std::vector<std::vector<PermutationRule::Axis>> values_;      ///< by value and dimension
    std::vector<std::vector<PermutationRule::Axis>> parameters_;  ///< by parameter and dimension
    std::vector<std::vector<PermutationRule::Axis>> beside_;
};

/// Of every block, the blocks by whose positions its own order may go: those that enclose it, or stand beside
/// it, wherever it is.
class Enclosure {
  public:
    /// Weights are re-ordered axis by axis: in them only what is on the axis itself counts.
    void add(const PermutationRule::Axis& axis) { add(axis, {}); }
    void add(const std::vector<PermutationRule::Axis>& axes) {
        for (std::size_t d = 0; d < axes.size(); ++d) {
            PermutationRule::Blocks others;
            for (std::size_t other = 0; other < axes.size(); ++other)
                if (other != d && axes[other].size() == 1)
                    others.insert(others.end(), axes[other].front().begin(), axes[other].front().end());
            add(axes[d], others);
        }
    }
    [[nodiscard]] const std::map<int, std::set<int>>& of() const { return of_; }

  private:
    void add(const PermutationRule::Axis& axis, const PermutationRule::Blocks& others) {
        for (const auto& part : axis) {
            PermutationRule::Blocks all = part;
            all.insert(all.end(), others.begin(), others.end());
            for (std::size_t level = 0; level < part.size(); ++level) {
                // A block that encloses itself, or another one twice, has no single position to go by.
                std::set<int> outer;
                for (std::size_t i = 0; i < all.size(); ++i)
                    if ((i < level || i >= part.size()) && std::count(all.begin(), all.end(), all[i]) == 1)
                        outer.insert(all[i]);
                const auto [found, first] = of_.try_emplace(part[level], outer);
                if (!first) std::erase_if(found->second, [&](int block) { return !outer.contains(block); });
            }
        }
    }

    std::map<int, std::set<int>> of_;
};

}  // namespace

void Operator::permutation_rule(PermutationRule& rule) const {
    const std::string reason = fmt::format("nothing is known of how {} carries an order", kind());
    for (std::size_t i = 0; i < rule.inputs(); ++i)
        rule.fix_dimensions(i, 0, rule.input_shape(i).size(), reason);
    rule.fix_output_dimensions(0, rule.output_shape().size(), reason);
}

void PermutationRule::inputs_beside(std::size_t i, std::size_t end) {
    std::vector<Axis> axes;
    for (std::size_t d = 0; d < end; ++d) axes.push_back(input(i, d));
    beside(axes);
}

void PermutationRule::outputs_beside(std::size_t end) {
    std::vector<Axis> axes;
    for (std::size_t d = 0; d < end; ++d) axes.push_back(output(d));
    beside(axes);
}

void PermutationRule::all_beside() {
    for (std::size_t i = 0; i < inputs(); ++i) inputs_beside(i, input_shape(i).size());
    outputs_beside(output_shape().size());
}

void PermutationRule::tie_broadcast(std::size_t i) {
    const Shape& shape = input_shape(i);
    const std::size_t missing = output_shape().size() - shape.size();
    for (std::size_t d = 0; d < shape.size(); ++d)
        if (shape[d] == output_shape()[missing + d]) tie(input(i, d), output(missing + d));
}

void PermutationRule::tie_dimensions(std::size_t i, std::size_t first, std::size_t end) {
    for (std::size_t d = first; d < end; ++d) tie(input(i, d), output(d));
}

void PermutationRule::fix_dimensions(std::size_t i, std::size_t first, std::size_t end,
                                     const std::string& reason) {
    for (std::size_t d = first; d < end; ++d) fix(input(i, d), reason);
}

void PermutationRule::fix_output_dimensions(std::size_t first, std::size_t end, const std::string& reason) {
    for (std::size_t d = first; d < end; ++d) fix(output(d), reason);
}

PermutationAnalysis::PermutationAnalysis(const Graph& graph, const Shape& input) : graph_(&graph) {
    const Tying tying(graph, input);
    Enclosure enclosure;
    for (const auto& axes : tying.beside()) enclosure.add(axes);
    std::map<int, ClassId> classes;
    for (std::size_t id = 0; id < graph.parameters().size(); ++id) {
        for (std::size_t d = 0; d < graph.parameters()[id].shape.size(); ++d) {
            const auto axis = tying.parameter(id, d);
            enclosure.add(axis);
            FeatureAxis& result = axes_[{static_cast<ParameterId>(id), static_cast<int>(d)}];
            for (const auto& part : axis) {
                result.emplace_back();
                for (const int block : part) {
                    const auto [found, is_new] =
                        classes.try_emplace(block, static_cast<ClassId>(classes_.size()));
                    if (is_new)
                        classes_.push_back({.size = tying.blocks().size_of(block),
                                            .within = {},
                                            .fixed = tying.blocks().reason(block),
                                            .fixed_by = tying.blocks().fixed_by(block),
                                            .axes = {}});
                    auto& axes = classes_[static_cast<std::size_t>(found->second)].axes;
                    const ParameterAxis here{static_cast<ParameterId>(id), static_cast<int>(d)};
                    if (axes.empty() || !(axes.back() == here)) axes.push_back(here);
                    result.back().push_back(found->second);
                }
            }
        }
    }
    for (const auto& [block, id] : classes) {
        PermutationClass& each = classes_[static_cast<std::size_t>(id)];
        for (const int outer : enclosure.of().at(block)) {
            each.within.push_back(classes.at(outer));
            each.instances *= tying.blocks().size_of(outer);
        }
        std::ranges::sort(each.within);
    }
}

const FeatureAxis& PermutationAnalysis::axis(const ParameterAxis& axis) const {
    return axes_.at({axis.parameter, axis.dimension});
}

std::optional<ClassId> PermutationAnalysis::innermost(const ParameterAxis& where) const {
    const FeatureAxis& parts = axis(where);
    if (parts.size() != 1 || parts.front().empty()) return std::nullopt;
    return parts.front().back();
}

std::optional<ClassId> PermutationAnalysis::innermost_free(const ParameterAxis& where) const {
    const FeatureAxis& parts = axis(where);
    if (parts.size() != 1) return std::nullopt;
    const auto& blocks = parts.front();
    const auto found = std::find_if(blocks.rbegin(), blocks.rend(),
                                    [&](ClassId id) { return at(id).is_free() && at(id).size > 1; });
    return found == blocks.rend() ? std::nullopt : std::optional(*found);
}

bool PermutationAnalysis::crosses_blocks(ClassId id) const {
    const auto& axes = at(id).axes;
    const int block = graph_->parameter(axes.front().parameter).block;
    return block < 0 || std::ranges::any_of(axes, [&](const ParameterAxis& each) {
               return graph_->parameter(each.parameter).block != block;
           });
}

std::int64_t PermutationAnalysis::element(const std::vector<ClassId>& blocks, std::size_t level,
                                          const std::vector<std::int64_t>& positions) const {
    const PermutationClass& each = at(blocks[level]);
    std::int64_t instance = 0;
    for (const ClassId outer : each.within) {
        const auto found = std::find(blocks.begin(), blocks.end(), outer) - blocks.begin();
        instance = instance * at(outer).size + positions[static_cast<std::size_t>(found)];
    }
    return instance * each.size + positions[level];
}

namespace {

/// Calls `visit(positions)` for every feature of a part, in order.
template <class Visit>
void for_each_feature(const std::vector<std::int64_t>& sizes, Visit visit) {
    std::vector<std::int64_t> positions(sizes.size(), 0);
    while (true) {
        visit(positions);
        std::size_t level = sizes.size();
        while (level > 0 && ++positions[level - 1] == sizes[level - 1]) positions[--level] = 0;
        if (level == 0) return;
    }
}

}  // namespace

std::vector<std::int32_t> PermutationAnalysis::order(const ParameterAxis& where,
                                                     const Permutations& permutations) const {
    std::vector<std::int32_t> order;
    std::int64_t begin = 0;
    for (const auto& blocks : axis(where)) {
        std::vector<std::int64_t> sizes;
        for (const ClassId id : blocks) sizes.push_back(at(id).size);
        for_each_feature(sizes, [&](const std::vector<std::int64_t>& positions) {
            // From the outermost block in: which permutation holds inside a block goes by where that was.
            std::vector<std::int64_t> former = positions;
            std::int64_t feature = 0;
            for (std::size_t level = 0; level < blocks.size(); ++level) {
                const auto found = permutations.find(blocks[level]);
                if (found != permutations.end())
                    former[level] =
                        found->second.at(static_cast<std::size_t>(element(blocks, level, former)));
                feature = feature * sizes[level] + former[level];
            }
            order.push_back(static_cast<std::int32_t>(begin + feature));
        });
        begin = static_cast<std::int64_t>(order.size());
    }
    if (std::ranges::is_sorted(order)) order.clear();
    return order;
}

std::vector<std::int32_t> PermutationAnalysis::elements(const ParameterAxis& where, ClassId id) const {
    std::vector<std::int32_t> elements;
    for (const auto& blocks : axis(where)) {
        std::vector<std::int64_t> sizes;
        for (const ClassId each : blocks) sizes.push_back(at(each).size);
        const auto level = static_cast<std::size_t>(std::ranges::find(blocks, id) - blocks.begin());
        for_each_feature(sizes, [&](const std::vector<std::int64_t>& positions) {
            elements.push_back(
                level == blocks.size() ? -1 : static_cast<std::int32_t>(element(blocks, level, positions)));
        });
    }
    return elements;
}

void PermutationAnalysis::validate(const Permutations& permutations) const {
    for (const auto& [id, order] : permutations) {
        const PermutationClass& each = at(id);
        ensure(each.is_free(), "permutation class {} is fixed: {}", id, each.fixed);
        ensure(static_cast<std::int64_t>(order.size()) == each.instances * each.size,
               "{} positions for {} permutations of {}", order.size(), each.instances, each.size);
        for (std::int64_t k = 0; k < each.instances; ++k) {
            std::vector<bool> seen(static_cast<std::size_t>(each.size), false);
            for (std::int64_t i = 0; i < each.size; ++i) {
                const std::int32_t from = order[static_cast<std::size_t>(k * each.size + i)];
                ensure(from >= 0 && from < each.size && !seen[static_cast<std::size_t>(from)],
                       "class {}: no permutation at {}", id, i);
                seen[static_cast<std::size_t>(from)] = true;
            }
        }
    }
}

}  // namespace jlcm
