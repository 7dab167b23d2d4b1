#pragma once
// Plugin kind "estimator": how the gradient of a weight moves the weight's mapping (method: docs/method.md).

#include "core/backend/backend.hpp"
#include "core/codebook/code_shape.hpp"
#include "core/codebook/compressed_matrix.hpp"
#include "core/learn/trainable.hpp"
#include "core/plugin/registry.hpp"

#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace jlcm {

/// Codes that changed in a step, by how many codewords they jumped: jumps[0] counts jumps of one. Vectors have
/// no order: there jumps of n are those to the n-th nearest of the others.
struct JumpHistogram {
    std::vector<std::int64_t> jumps;
    std::int64_t weights = 0;  ///< all codes looked at

    void add(const JumpHistogram& other);
    [[nodiscard]] std::int64_t moved() const;
};

/// What a step of a mapping is made from. Tensors are float32, in stored row order.
struct MappingStep {
    Tensor gradient;          ///< dL/dW^ [rows, cols]
    Tensor curvature;         ///< d2L/dw^2 [rows, cols], or [1, cols] if rows share it; undefined unless the
                              ///< estimator needs it
    std::int64_t number = 0;  ///< counts from 0
    double rate_factor = 1;   ///< the schedule's value in (0, 1]
    double progress = 0;      ///< share of all steps that is done, in [0, 1]
    /// The most codes that may change (of stages, places at which they do): those first that lie farthest
    /// beyond their cells, or whose best candidate is farthest ahead.
    std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

/// The mapping of one matrix under way: owns whatever the estimator keeps for each weight.
class MappingState {
  public:
    MappingState() = default;
    MappingState(const MappingState&) = delete;
    MappingState& operator=(const MappingState&) = delete;
    virtual ~MappingState() = default;

    /// Codewords were sorted: `former` as sort_codewords returns it; the mapping is relabelled already. What
    /// is kept by codeword follows. `groups`: the matrix's.
    virtual void relabel(const CompressedMatrix& matrix, const GroupMap& groups, const Tensor& former) = 0;
    [[nodiscard]] virtual std::vector<NamedTensor> state() = 0;
    /// The tensor of the state that says where the weights lie among their codewords, which another learner
    /// of the same estimator can go on from; undefined if there is none.
    [[nodiscard]] virtual Tensor position() { return {}; }
};

/// Of codewords that are numbers, in one stage.
class MappingLearner : public MappingState {
  public:
    /// One step: changes `matrix.codes`. The tables were already moved by the same step.
    virtual void step(const CodedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps,
                      Backend& backend) = 0;
    /// What the forward takes in place of the codes' values, float32 [rows, cols], stored row order;
    /// undefined if it takes those. Codes alone are stored in the end.
    [[nodiscard]] virtual Tensor soft_weights(const CodedMatrix& /*matrix*/, Backend& /*backend*/) const {
        return {};
    }
};

/// Of codewords that are vectors, or of several stages, in one codebook for the matrix.
class VectorMappingLearner : public MappingState {
  public:
    /// One step: changes `matrix.mapping`. Codebooks and scales were already moved by the same step.
    virtual void step(CompressedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps) = 0;
};

class Estimator {
  public:
    Estimator() = default;
    Estimator(const Estimator&) = delete;
    Estimator& operator=(const Estimator&) = delete;
    virtual ~Estimator() = default;

    /// State for one matrix, started at its present mapping. `target`: the original weights, stored row
    /// order. Null if the estimator never moves a mapping.
    [[nodiscard]] virtual std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                                                const Tensor& target) const = 0;
    /// The same where codewords are vectors, or stages are added up.
    [[nodiscard]] virtual std::unique_ptr<VectorMappingLearner> start_vectors(const CompressedMatrix& matrix,
                                                                              const Tensor& target) const;
    /// Whether it has such learners, or needs none.
    [[nodiscard]] virtual bool takes_vectors() const { return false; }
    /// Memory for each weight beyond its codes, bytes.
    [[nodiscard]] virtual double bytes_per_weight(const CodeShape& codes) const = 0;
    /// Whether its steps read the curvature.
    [[nodiscard]] virtual bool needs_curvature() const { return false; }
    /// Whether its learners keep to MappingStep::most and say where weights lie (MappingState::position).
    [[nodiscard]] virtual bool is_placed() const { return false; }
    /// The options that a learner shares with the one whose position it goes on from, as messages say them.
    [[nodiscard]] virtual std::string position_options() const { return {}; }
};

template <>
struct KindOf<Estimator> {
    static constexpr std::string_view name = "estimator";
    static constexpr std::string_view doc =
        "Rule by which the gradient of a weight changes its mapping to codewords.";
};

}  // namespace jlcm
