#pragma once
// Which features (neurons, channels) of a graph can be re-ordered without changing what it computes. Worked
// out from the operators' rules and the wiring alone, never from names or roles.
//
// An axis of features is a sequence of *parts*; a part is nested *blocks*, outermost first: feature number
// = mixed-radix number of its positions in them. Attention's values are [key heads][head_dim], what it makes
// of them [key heads][query heads of each][head_dim]. Blocks that operators tie to each other become one
// *class*, which has one permutation (or one for each block that encloses it on all its axes: value rows may
// be ordered differently in each head, but alike for all the query heads that share it).

#include "core/graph/graph.hpp"

#include <map>
#include <memory>

namespace jlcm {

/// What an Operator says about its features: which axes have one order, what they are made of, what cannot
/// move. An axis of a value is its last dimension.
class PermutationRule {
  public:
    /// Blocks nested in each other, outermost first, by number.
    using Blocks = std::vector<int>;
    /// Parts one after the other.
    using Axis = std::vector<Blocks>;

    virtual ~PermutationRule() = default;
    [[nodiscard]] virtual Axis input(std::size_t i) = 0;
    [[nodiscard]] virtual Axis output() = 0;
    [[nodiscard]] virtual Axis parameter(std::size_t i, std::size_t dimension) = 0;
    [[nodiscard]] virtual std::size_t inputs() const = 0;
    [[nodiscard]] virtual std::int64_t size(const Axis& axis) const = 0;
    /// `size` new blocks, free to move.
    [[nodiscard]] virtual int blocks(std::int64_t size) = 0;
    /// Feature i of one is feature i of the other.
    virtual void tie(const Axis& a, const Axis& b) = 0;
    /// They stay where they are. `reason` completes "cannot move: ...".
    virtual void fix(const Axis& axis, const std::string& reason) = 0;
};

using ClassId = int;

/// A dimension of a parameter.
struct ParameterAxis {
    ParameterId parameter = -1;
    int dimension = 0;
    bool operator==(const ParameterAxis&) const = default;
};

struct PermutationClass {
    std::int64_t size = 1;
    /// The classes whose blocks have a permutation each: those that enclose this one on all its axes.
    std::vector<ClassId> within;
    std::int64_t instances = 1;       ///< permutations: the product of the sizes of `within`
    std::string fixed;                ///< why it cannot move; empty: it can
    std::string fixed_by;             ///< the node (or the graph's "input", "output") that says so
    std::vector<ParameterAxis> axes;  ///< that hold it, in the order of parameters
    [[nodiscard]] bool is_free() const { return fixed.empty(); }
};

/// Parts one after the other, each of nested classes, outermost first.
using FeatureAxis = std::vector<std::vector<ClassId>>;

/// By class, [instances * size]: instance k's position i gets what was at position order[k * size + i].
/// Classes that are not there stay.
using Permutations = std::map<ClassId, std::vector<std::int32_t>>;

class PermutationAnalysis {
  public:
    /// `input`: any shape of the graph's input that its operators take.
    explicit PermutationAnalysis(const Graph& graph, const Shape& input = {1, 1});

    [[nodiscard]] const std::vector<PermutationClass>& classes() const { return classes_; }
    [[nodiscard]] const PermutationClass& at(ClassId id) const {
        return classes_.at(static_cast<std::size_t>(id));
    }
    [[nodiscard]] const FeatureAxis& axis(const ParameterAxis& axis) const;
    /// The class of the innermost blocks of an axis that is one part: what an order of single features
    /// belongs to. Nothing for an axis of several parts or of one feature.
    [[nodiscard]] std::optional<ClassId> innermost(const ParameterAxis& axis) const;
    /// The class of the innermost blocks of such an axis that can move: of query rows, the heads of a group.
    [[nodiscard]] std::optional<ClassId> innermost_free(const ParameterAxis& axis) const;
    /// Whether parameters of several blocks of the graph, or outside of any, hold the class: the residual
    /// stream.
    [[nodiscard]] bool crosses_blocks(ClassId id) const;

    /// Feature i of the re-ordered axis is the original's feature order[i]; empty where all stay.
    [[nodiscard]] std::vector<std::int32_t> order(const ParameterAxis& axis,
                                                  const Permutations& permutations) const;
    /// For each feature of the axis, its element of the class: instance * size + position; -1 where the
    /// feature is of a part without it.
    [[nodiscard]] std::vector<std::int32_t> elements(const ParameterAxis& axis, ClassId id) const;
    /// Throws an invariant error unless all are permutations of free classes.
    void validate(const Permutations& permutations) const;

  private:
    /// The element of class chain[level] that positions [0, level] are in.
    [[nodiscard]] std::int64_t element(const std::vector<ClassId>& blocks, std::size_t level,
                                       const std::vector<std::int64_t>& positions) const;

    const Graph* graph_;
    std::vector<PermutationClass> classes_;
    std::map<std::pair<ParameterId, int>, FeatureAxis> axes_;
};

}  // namespace jlcm
