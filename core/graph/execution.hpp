#pragma once
// Running nodes of a graph forward, and backward over a recording of that run.

#include "core/graph/graph.hpp"
#include "core/graph/sequence_state.hpp"

#include <functional>
#include <map>

namespace jlcm {

/// Weights bound to the parameters of a graph, by parameter id, dense or packed; only those that a run reads
/// have to be there. A weight of type bfloat16 makes its products bfloat16.
class Weights {
  public:
    explicit Weights(const Graph& graph)
        : weights_(graph.parameters().size()), prepared_(graph.parameters().size()) {}
    /// The elements of a linear weight stay as they are from now on; another value is bound anew.
    void bind(ParameterId id, BoundWeight weight) {
        weights_.at(static_cast<std::size_t>(id)) = std::move(weight);
        prepared_[static_cast<std::size_t>(id)] = std::make_shared<PreparedWeight>();
    }
    void release(ParameterId id) { bind(id, BoundWeight()); }
    [[nodiscard]] const BoundWeight& weight(ParameterId id) const {
        return weights_[static_cast<std::size_t>(id)];
    }
    /// The tensor of a weight that is not packed.
    [[nodiscard]] const Tensor& operator[](ParameterId id) const { return weight(id).dense(); }
    /// Where a backend keeps what it makes of the bound tensor; null where none is.
    [[nodiscard]] PreparedWeight* prepared(ParameterId id) const {
        return prepared_[static_cast<std::size_t>(id)].get();
    }

  private:
    std::vector<BoundWeight> weights_;
    std::vector<std::shared_ptr<PreparedWeight>> prepared_;
};

/// Called with the gradient of every linear node's output, before the node's own backward.
using GradientObserver = std::function<void(NodeId node, const Tensor& gradient)>;

/// Called with the rows that the weight of every linear node is multiplied with (Operator::weight_inputs),
/// before the product.
using LinearObserver = std::function<void(NodeId node, const Tensor& input)>;

/// What a backward needs of a forward: all values of the range, their converted copies, what operators saved.
struct Recording {
    NodeRange range;
    DType compute = DType::f32;
    std::vector<Tensor> values;              ///< by value id
    std::vector<Tensor> converted;           ///< by value id: the bfloat16 copy, where one was made
    std::vector<std::vector<Tensor>> saved;  ///< by node, from range.first on
    std::vector<Recording> apart;            ///< by sample, in place of all these, where they ran one by one
};

/// A term of a linear weight's gradient, not multiplied yet: gradient^T input.
struct WeightGradientTerm {
    Tensor gradient;  ///< [rows, out]; undefined: `input` [out, in] is the term itself
    Tensor input;     ///< [rows, in], of the same type
};

/// Where gradients go. `parameters`: the accumulators of those wanted, zeroed by the caller. `terms`: the
/// linear weights whose gradient the caller multiplies out itself. `input`: receives the gradient of the
/// range's input value where `want_input`.
struct Gradients {
    std::map<ParameterId, Tensor> parameters;
    std::map<ParameterId, std::vector<WeightGradientTerm>> terms;
    bool want_input = false;
    Tensor input;
};

class Executor {
  public:
    /// `compute`: what products inside attention are made of (float32, bfloat16; float64 with float64
    /// values).
    Executor(const Graph& graph, Backend& backend, DType compute)
        : graph_(&graph), backend_(&backend), compute_(compute) {}

    /// Runs the nodes of `block` from `input`, the tensor of its input value, and returns its output value.
    /// Values are freed after their last use, or all kept in `recording` where one is given. Without one,
    /// operators take along what follows on their output alone (Operator::fuse), and images go through apart,
    /// several at once, where the block keeps them apart. Samples of a graph that takes them one by one run so:
    /// `observer` sees each.
    [[nodiscard]] Tensor forward(const Block& block, const Weights& weights, const Tensor& input,
                                 Recording* recording = nullptr, const LinearObserver& observer = {}) const;
    /// Reads tokens behind those of `state`, which the caller then advances.
    [[nodiscard]] Tensor forward(const Block& block, const Weights& weights, const Tensor& input,
                                 SequenceState& state) const;

    /// From the gradient of the block's output value, over a recording of its forward.
    void backward(const Block& block, const Recording& recording, const Weights& weights,
                  const Tensor& output_gradient, Gradients& gradients,
                  const GradientObserver& observer = {}) const;

    [[nodiscard]] const Graph& graph() const { return *graph_; }
    [[nodiscard]] Backend& backend() const { return *backend_; }
    [[nodiscard]] DType compute() const { return compute_; }

  private:
    class OpenedWeights;
    class Run;
    /// Takes the runs, which share weights, through a range side by side: their outputs.
    static std::vector<Tensor> through(std::vector<Run>& runs, NodeRange range, OpenedWeights& weights);
    [[nodiscard]] Tensor one_by_one(const Block& block, const Weights& weights, const Tensor& input,
                                    Recording* recording, const LinearObserver& observer) const;
    void backward_one_by_one(const Block& block, const Recording& recording, const Weights& weights,
                             const Tensor& output_gradient, Gradients& gradients,
                             const GradientObserver& observer) const;
    /// Images that go through the block at once, where it keeps them apart; else all.
    [[nodiscard]] std::int64_t images_at_once(const Block& block, const Shape& input) const;

    const Graph* graph_;
    Backend* backend_;
    DType compute_;
};

}  // namespace jlcm
