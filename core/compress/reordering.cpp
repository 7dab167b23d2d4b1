#include "core/compress/reordering.hpp"

#include "core/base/log.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace jlcm {
namespace {

/// Weights whose rows one class of permutations moves, the first of which decides how.
using Sets = std::map<ClassId, std::vector<ParameterId>>;

std::string describe(const Choice<Grouping>& grouping) {
    return to_yaml(grouping.encode());
}

bool is_absorbed(const PermutationAnalysis& analysis, ClassId id, const ReorderOptions& options) {
    return options.residual || !analysis.crosses_blocks(id);
}

/// Stretches of rows (heads) that can move as wholes are put side by side where a group takes one or more of
/// them.
bool moves_whole_heads(const PermutationClass& heads, const MatrixPlan& matrix,
                       const ReorderOptions& options) {
    const std::int64_t count = heads.instances * heads.size;
    return options.unabsorbed == Unabsorbed::leave && matrix.grouping.make()->groups(count) < count;
}

Sets tied_sets(const PermutationAnalysis& analysis, const ReorderOptions& options,
               std::map<ParameterId, MatrixPlan>& plan) {
    Sets sets;
    for (auto& [id, matrix] : plan) {
        if (!matrix.grouping.make()->orders_rows()) continue;
        const auto moved = analysis.innermost_free({id, 0});
        if (moved && is_absorbed(analysis, *moved, options) &&
            (moved == analysis.innermost({id, 0}) ||
             moves_whole_heads(analysis.at(*moved), matrix, options))) {
            auto& set = sets[*moved];
            if (set.empty() || describe(plan.at(set.front()).grouping) == describe(matrix.grouping)) {
                set.push_back(id);
                continue;
            }
        }
        if (options.unabsorbed == Unabsorbed::leave) matrix.group_of_row.emplace();
    }
    return sets;
}

/// The matrix of row `which` (where an element has several) of every element.
Tensor rows_of_elements(const Tensor& weights, const std::vector<std::int32_t>& element_of_row,
                        std::int64_t elements, std::int64_t which) {
    Tensor result = Tensor::empty({elements, weights.cols()});
    std::vector<std::int64_t> seen(static_cast<std::size_t>(elements), 0);
    const auto width = static_cast<std::size_t>(weights.cols());
    for (std::size_t row = 0; row < element_of_row.size(); ++row) {
        const auto element = static_cast<std::size_t>(element_of_row[row]);
        if (seen[element]++ == which)
            std::memcpy(result.data<float>() + element * width, weights.data<float>() + row * width,
                        width * sizeof(float));
    }
    return result;
}

class Reordering {
  public:
    Reordering(const WeightSource& model, const PermutationAnalysis& analysis,
               std::map<ParameterId, MatrixPlan>& plan)
        : model_(model), analysis_(analysis), plan_(plan) {}

    void order(ClassId id, const std::vector<ParameterId>& set) {
        const PermutationClass& moved = analysis_.at(id);
        const std::int64_t elements = moved.instances * moved.size;
        std::vector<TiedRows> tied;
        for (const ParameterId parameter : set) {
            const auto element_of_row = analysis_.elements({parameter, 0}, id);
            for (std::int64_t which = 0; which < std::ssize(element_of_row) / elements; ++which)
                tied.emplace_back([this, parameter, element_of_row, elements, which] {
                    return LayerProblem{
                        .name = model_.graph().parameter(parameter).name,
                        .weights = rows_of_elements(weight(parameter), element_of_row, elements, which),
                        .second_moments = {}};
                });
        }
        const auto cluster = plan_.at(set.front()).grouping.make()->cluster(elements, tied);
        auto& order = permutations_[id];
        order.resize(static_cast<std::size_t>(elements));
        for (std::int64_t k = 0; k < moved.instances; ++k) {
            const auto begin = order.begin() + k * moved.size;
            std::iota(begin, begin + moved.size, 0);
            std::stable_sort(begin, begin + moved.size, [&](std::int32_t a, std::int32_t b) {
                return cluster[static_cast<std::size_t>(k * moved.size + a)] <
                       cluster[static_cast<std::size_t>(k * moved.size + b)];
            });
        }
        clusters_[id] = cluster;
    }

    /// Sets the groups of rows, which are where all the orders together put them.
    void place(ClassId id, const std::vector<ParameterId>& set) {
        const auto& cluster = clusters_.at(id);
        for (const ParameterId parameter : set) {
            const auto element_of_row = analysis_.elements({parameter, 0}, id);
            const auto order = analysis_.order({parameter, 0}, permutations_);
            auto& group_of_row = plan_.at(parameter).group_of_row.emplace(element_of_row.size());
            for (std::size_t row = 0; row < group_of_row.size(); ++row) {
                const auto former = order.empty() ? row : static_cast<std::size_t>(order[row]);
                group_of_row[row] = cluster[static_cast<std::size_t>(element_of_row[former])];
            }
        }
    }

    [[nodiscard]] const Permutations& permutations() const { return permutations_; }

  private:
    /// The one that was asked for last is kept: whole heads ask for it once a row.
    const Tensor& weight(ParameterId id) {
        if (id != last_) last_weight_ = model_.weight(last_ = id);
        return last_weight_;
    }

    const WeightSource& model_;
    const PermutationAnalysis& analysis_;
    std::map<ParameterId, MatrixPlan>& plan_;
    ParameterId last_ = -1;
    Tensor last_weight_;
    Permutations permutations_;
    std::map<ClassId, std::vector<std::int32_t>> clusters_;
};

}  // namespace

std::unique_ptr<ReorderedModel> reorder_model(const WeightSource& model, const ReorderOptions& options,
                                              std::map<ParameterId, MatrixPlan>& plan) {
    const PermutationAnalysis analysis(model.graph());
    const Sets sets = tied_sets(analysis, options, plan);
    Reordering reordering(model, analysis, plan);
    for (const auto& [id, set] : sets) reordering.order(id, set);
    for (const auto& [id, set] : sets) reordering.place(id, set);
    log_debug("re-ordered {} sets of neurons", sets.size());
    return std::make_unique<ReorderedModel>(model, analysis, reordering.permutations());
}

}  // namespace jlcm
