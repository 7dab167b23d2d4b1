#pragma once
// Second moments of what linear layers read.

#include "core/codebook/data_needs.hpp"
#include "core/compress/gradient_statistics.hpp"
#include "core/graph/execution.hpp"
#include "core/store/saved_state.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace jlcm {

/// The second moments of the inputs of linear weights: sum of x x^T. Weights that read the same
/// rows share one matrix; a grouped convolution has one for each group of its outputs. With token weights
/// (GradientStatistics) there is also, for each set of a layer's outputs, the sum of x x^T weighted by them;
/// samples must then come in order. If the original model's inputs are observed too, by the other observer
/// and before those of the same samples, there are also the moments sum of x_original x^T.
class SecondMoments {
  public:
    /// `gradients` may be null.
    explicit SecondMoments(const Executor& executor, const GradientStatistics* gradients = nullptr)
        : executor_(&executor), gradients_(gradients) {}
    [[nodiscard]] LinearObserver observer();
    /// Observes the original model's inputs of the same layers for the same samples.
    [[nodiscard]] LinearObserver original_observer();
    /// The matrix of a node's weight: [columns, columns] float32, one for each of its groups.
    [[nodiscard]] const std::vector<Tensor>& matrices(NodeId node) const;
    /// Their sum.
    [[nodiscard]] Tensor matrix(NodeId node) const;
    /// How many rows there were for each; of an expert, how many tokens it was given.
    [[nodiscard]] std::int64_t samples(NodeId node) const;
    /// The matrices of sets of the node's outputs (LayerProblem::weighted_moments), if all outputs do not
    /// share them: groups, else the weighted ones.
    [[nodiscard]] std::vector<Tensor> weighted(NodeId node) const;
    /// `weights` [rows, columns] of the node made to fit the original's outputs (fit_to_original_output), or
    /// as they are if the original was not observed.
    [[nodiscard]] Tensor fitted_to_original(NodeId node, const Tensor& weights) const;

    /// All of it, and back, to the same bits. An input error if a state is not one of these.
    [[nodiscard]] SavedState state() const;
    void restore(const SavedState& state);

  private:
    void add_weighted(NodeId node, const Tensor& input);

    struct WeightedSum {
        std::vector<Tensor> matrices;
        std::int64_t tokens = 0;  ///< seen so far
    };
    struct Sum {
        NodeId first_reader = -1;
        std::vector<Tensor> matrices;
        std::vector<Tensor> with_original;  ///< sum of x_original x^T, as many as matrices; or none
        std::int64_t samples = 0;
    };
    /// The value that is read, and how (Operator::weight_inputs_key).
    using Key = std::pair<ValueId, std::string>;
    [[nodiscard]] Key key_of(NodeId node) const;
    [[nodiscard]] const Sum& sum(NodeId node) const;
    void add_with_original(Sum& sum, const Tensor& original, const Tensor& input) const;
    const Executor* executor_;
    const GradientStatistics* gradients_;
    std::map<Key, Sum> sums_;
    std::map<NodeId, WeightedSum> weighted_;
    std::map<Key, Tensor> original_inputs_;  ///< of the samples that the observer sees next
};

/// Bytes of the second moments of a block's layers as `needs` has them, float32.
[[nodiscard]] double second_moment_bytes(const Graph& graph, const Block& block, const DataNeeds& needs);

}  // namespace jlcm
