#pragma once
// The codes of a matrix under way: what they make of codebooks and scales, what the gradient of the weights
// is to those, and the mapping's own steps. Codewords that are numbers, in one stage, have an
// implementation, which keeps a table of values for each group; vectors and stages that are added up have
// another, which keeps none, since a codebook of vectors is larger than a row.

#include "core/learn/estimator.hpp"

#include <memory>
#include <string>

namespace jlcm {

/// dL/d of a compressed matrix's codebooks and scales.
struct CodebookGradients {
    Tensor codebooks;
    Tensor scales;  ///< undefined if the matrix has none
};

class LearnedCodes {
  public:
    LearnedCodes(CompressedMatrix matrix, Backend& backend)
        : matrix_(std::move(matrix)), groups_(matrix_.layout.group_map()), backend_(&backend) {}
    LearnedCodes(const LearnedCodes&) = delete;
    LearnedCodes& operator=(const LearnedCodes&) = delete;
    virtual ~LearnedCodes() = default;

    [[nodiscard]] const CompressedMatrix& matrix() const { return matrix_; }
    /// Whoever changes codebooks, scales or codes calls changed().
    [[nodiscard]] CompressedMatrix& matrix() { return matrix_; }
    virtual void changed() = 0;

    /// The reconstruction in stored row order, float32 or bfloat16.
    [[nodiscard]] virtual Tensor weight(DType type) const = 0;
    /// Adds dL/dW^ [rows, cols], stored row order, to what take_gradients() returns next.
    virtual void observe(const Tensor& gradient) = 0;
    [[nodiscard]] virtual CodebookGradients take_gradients() = 0;

    /// For each codebook (and stage) the distance that rates are measured in, that of neighbours in the mean.
    [[nodiscard]] virtual Tensor spacing() const = 0;

    /// Null if the mapping stays.
    [[nodiscard]] virtual MappingState* mapping() const = 0;
    /// A step of the mapping, which is not null.
    virtual void step(const MappingStep& step, JumpHistogram& jumps) = 0;

  protected:
    /// Puts codewords that are numbers in order; what the mapping keeps of them follows.
    void sort();

    CompressedMatrix matrix_;
    GroupMap groups_;
    Backend* backend_;
};

/// Whether codewords are numbers, in one stage.
[[nodiscard]] inline bool has_numbers(const Layout& layout) {
    return layout.dimension == 1 && layout.residual == 1;
}

/// An input error that begins with `name` unless gradients can learn such a layout: codewords that are
/// numbers in one stage, or any in one codebook for the matrix.
void require_learnable(const std::string& name, const Layout& layout);

/// `target`: the original weights, stored row order. `estimator` null: the mapping stays.
[[nodiscard]] std::unique_ptr<LearnedCodes> make_learned_codes(const std::string& name,
                                                               CompressedMatrix matrix, const Tensor& target,
                                                               const Estimator* estimator, Backend& backend);

/// The implementations. `mapping` null: it stays.
[[nodiscard]] std::unique_ptr<LearnedCodes> make_learned_numbers(CompressedMatrix matrix,
                                                                 std::unique_ptr<MappingLearner> mapping,
                                                                 Backend& backend);
[[nodiscard]] std::unique_ptr<LearnedCodes> make_learned_vectors(
    CompressedMatrix matrix, std::unique_ptr<VectorMappingLearner> mapping, Backend& backend);

}  // namespace jlcm
