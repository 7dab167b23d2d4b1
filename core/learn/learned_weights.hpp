#pragma once
// All that learning moves in a range of nodes: compressed matrices, tables and norms. The gradient of a weight is
// multiplied out and used by one thread, a matrix at a time, so that it is read while it is in cache.

#include "core/codebook/compressed_model.hpp"
#include "core/learn/curvature.hpp"
#include "core/learn/learned_matrix.hpp"
#include "core/learn/learned_norm.hpp"
#include "core/learn/trainable.hpp"

#include <set>
#include <vector>

namespace jlcm {

class LearnedWeights {
  public:
    /// Learns the compressed weights of `model` that nodes of `range` read and, if `norms`, their norms.
    /// `estimator` null: mappings stay. `gathered_steps`: how many steps make one of the mappings.
    /// `tables`: also learns those of Graph::tables that are compressed; range is the body then.
    LearnedWeights(const CompressedModel& model, NodeRange range, const Estimator* estimator, bool norms,
                   Backend& backend, std::int64_t gathered_steps = 1, bool tables = false);

    [[nodiscard]] bool contains(ParameterId id) const { return matrices_.contains(id); }
    /// Whether a table that learns moves with `range`: one that its nodes read or, with the epilogue, a head of its
    /// own.
    [[nodiscard]] bool has_tables(NodeRange range) const;
    /// The reconstruction of a matrix that learns.
    [[nodiscard]] Tensor weight(ParameterId id, DType type) const { return matrices_.at(id).weight(type); }

    /// Binds the reconstructions that `range` reads, and norms.
    void bind(NodeRange range, DType type, Weights& weights) const;
    /// Frees the reconstructions again.
    void release(NodeRange range, Weights& weights) const;

    /// The gradients that a backward over `range` has to fill for step(); a table's may start from a head's.
    [[nodiscard]] Gradients wanted(NodeRange range) const;

    /// Whether the estimator looks at d2L/dw^2.
    [[nodiscard]] bool needs_curvature() const { return !curvatures_.empty(); }
    /// Takes factor * (the probes' weight gradients)^2 as samples of it.
    void observe_curvature(NodeRange range, const Gradients& probes, double factor, std::int64_t step);

    /// Adds the gradients of some of the samples of step `number`, all but the last ones.
    void observe(NodeRange range, Gradients& gradients, std::int64_t number);
    /// Adds the last ones, and makes one step of everything that `range` reads. Returns how far weights
    /// jumped.
    JumpHistogram step(NodeRange range, Gradients& gradients, const MatrixStep& step, double norm_rate);

    /// Positions of the mappings (Trainable::positions).
    [[nodiscard]] std::vector<NamedTensor> positions() const;
    /// Takes those that another learner left of what `range` reads. An input error if one is missing or of
    /// another shape.
    void go_on_from(NodeRange range, const std::vector<NamedTensor>& positions);

    void append_state(std::vector<NamedTensor>& state) const;
    void restored();
    /// Writes matrices and norms to the model.
    void finish(CompressedModel& model) const;

  private:
    template <class Map>
    [[nodiscard]] std::vector<ParameterId> read_by(NodeRange range, const Map& learned) const;
    /// The matrices that move with `range`: those that it reads and, behind the epilogue, the head.
    [[nodiscard]] std::vector<ParameterId> moved_with(NodeRange range) const;
    /// The same, large ones first: the last to start are the short ones.
    [[nodiscard]] std::vector<ParameterId> by_size(NodeRange range) const;
    /// dL/dW^ of a matrix: multiplied out, or as a table's was accumulated.
    [[nodiscard]] Tensor gradient_of(ParameterId id, const Gradients& gradients) const;
    void observe_norms(NodeRange range, Gradients& gradients);

    const Graph* graph_;
    Backend* backend_;
    std::map<ParameterId, LearnedMatrix> matrices_;
    std::set<ParameterId> tables_;  ///< of them, those that no product's weight gradient moves
    std::map<ParameterId, CurvatureEstimate> curvatures_;  ///< empty unless the estimator needs them
    std::map<ParameterId, LearnedNorm> norms_;
};

/// What learners of a model's weights share: their state and their result are those of the weights.
class WeightLearner : public Trainable {
  public:
    WeightLearner(CompressedModel& model, LearnedWeights learned)
        : model_(&model), learned_(std::move(learned)) {}

    [[nodiscard]] std::int64_t steps_done() const final { return done_; }
    [[nodiscard]] std::vector<NamedTensor> state() final {
        std::vector<NamedTensor> state;
        learned_.append_state(state);
        return state;
    }
    void restored(std::int64_t steps) final {
        done_ = steps;
        learned_.restored();
    }
    [[nodiscard]] std::vector<NamedTensor> positions() final { return learned_.positions(); }
    void finish() final { learned_.finish(*model_); }

  protected:
    CompressedModel* model_;
    LearnedWeights learned_;
    std::int64_t done_ = 0;
};

}  // namespace jlcm
