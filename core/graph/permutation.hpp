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

/// What an Operator says about the axes (dimensions) of what it reads and makes: which have one order, what
/// they are made of, what cannot move. What it says nothing about is free: an operator ties or fixes every
/// dimension that it has.
class PermutationRule {
  public:
    /// Blocks nested in each other, outermost first, by number.
    using Blocks = std::vector<int>;
    /// Parts one after the other.
    using Axis = std::vector<Blocks>;

    virtual ~PermutationRule() = default;
    [[nodiscard]] virtual const Shape& input_shape(std::size_t i) const = 0;
    [[nodiscard]] virtual const Shape& output_shape() const = 0;
    [[nodiscard]] virtual Axis input(std::size_t i, std::size_t dimension) = 0;
    [[nodiscard]] virtual Axis output(std::size_t dimension) = 0;
    [[nodiscard]] virtual Axis parameter(std::size_t i, std::size_t dimension) = 0;
    [[nodiscard]] virtual std::size_t inputs() const = 0;
    [[nodiscard]] virtual std::int64_t size(const Axis& axis) const = 0;
    /// `size` new blocks, free to move.
    [[nodiscard]] virtual int blocks(std::int64_t size) = 0;
    /// Feature i of one is feature i of the other.
    virtual void tie(const Axis& a, const Axis& b) = 0;
    /// Whatever the operator does to one of these axes it does at each position of the others, so that inside
    /// of these positions orders may differ: features of a head, with heads an axis of its own. Of an
    /// operator that says this of no axes each axis has one order.
    virtual void beside(const std::vector<Axis>& axes) = 0;
    /// They stay where they are. `reason` completes "cannot move: ...".
    virtual void fix(const Axis& axis, const std::string& reason) = 0;

    /// The last dimension: features.
    [[nodiscard]] Axis input(std::size_t i) { return input(i, input_shape(i).size() - 1); }
    [[nodiscard]] Axis output() { return output(output_shape().size() - 1); }
    /// The same of dimensions [0, end) of input i, of the output.
    void inputs_beside(std::size_t i, std::size_t end);
    void outputs_beside(std::size_t end);
    /// Of all dimensions of all inputs and of the output: an operator that works element by element, or moves
    /// elements.
    void all_beside();
    /// Dimensions [first, end) of input i and of the output have one order.
    void tie_dimensions(std::size_t i, std::size_t first, std::size_t end);
    /// Dimensions of input i that are broadcast to the output without being repeated.
    void tie_broadcast(std::size_t i);
    /// All but the last.
    void tie_rows(std::size_t i) { tie_dimensions(i, 0, input_shape(i).size() - 1); }
    void fix_dimensions(std::size_t i, std::size_t first, std::size_t end, const std::string& reason);
    void fix_output_dimensions(std::size_t first, std::size_t end, const std::string& reason);
    /// One axis of all features of several, the first outermost. Nothing where an inner one has several
    /// parts: theirs would lie scattered.
    [[nodiscard]] virtual std::optional<Axis> product(const std::vector<Axis>& axes) const = 0;
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
    explicit PermutationAnalysis(const Graph& graph) : PermutationAnalysis(graph, graph.input_shape()) {}
    /// `input`: any shape of the graph's input that its operators take.
    PermutationAnalysis(const Graph& graph, const Shape& input);

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

    /// Feature i of the re-ordered axis is the original's feature order[i]; empty if all stay.
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
