#pragma once
// Layer-wise solvers: codebooks and mapping of one weight matrix from its second moments.

#include "core/codebook/compressed_matrix.hpp"
#include "core/codebook/data_needs.hpp"
#include "core/plugin/registry.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

class Backend;

/// The importance of each weight of a row, by the row's number in the model: as many as columns, or an empty
/// span if all count the same. Spans live as long as what made the function.
using ImportanceOfRow = std::function<std::span<const float>(std::int64_t row)>;

/// Every weight counts the same.
[[nodiscard]] ImportanceOfRow equal_importance();

/// Consecutive rows of the model that share second moments.
struct RowSet {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    Tensor second_moments;  ///< as LayerProblem::second_moments
};

/// The first row of set number `set` of `count` among `rows` rows: row r is in set floor(r count / rows).
[[nodiscard]] inline std::int64_t row_set_begin(std::int64_t rows, std::int64_t count, std::int64_t set) {
    return (set * rows + count - 1) / count;
}

/// The data of a layer whose weights are compressed.
struct LayerProblem {
    std::string name;  ///< for messages
    Tensor weights;    ///< float32 [rows, cols], model row order: the target
    Tensor
        second_moments;  ///< float32 or float64 [cols, cols]: sum of x x^T over calibration inputs; or undefined
    std::int64_t samples = 0;  ///< inputs in the sum; 0: not known
    /// Second moments weighted by output gradients (GuidedQuant, arXiv 2505.07004, section 3): float32 or
    /// float64 [cols, cols] for each of Q sets of rows (row_set_begin); empty: `second_moments` is for all
    /// rows.
    std::vector<Tensor> weighted_moments{};
    /// Diagonal Fisher information: float32 [rows, cols], mean over sequences of the squared gradient of the
    /// language-model loss with respect to each weight; or undefined.
    Tensor fisher{};

    /// Throws an input error that names the layer, and the row, if weights or second moments are not
    /// finite or do not fit together.
    void validate() const;
    /// The rows by the second moments that are theirs: all rows, or the sets of `weighted_moments`.
    [[nodiscard]] std::vector<RowSet> row_sets() const;
    /// The diagonal of each row's second moments; equal importance if there are none.
    [[nodiscard]] ImportanceOfRow second_moment_importance() const;
    /// The Fisher information of each weight; requires `fisher`.
    [[nodiscard]] ImportanceOfRow fisher_importance() const;
};

/// The first step of every solver on second moments: an input error that names the layer unless the problem
/// is valid, has second moments and fits `matrix`, and `handled` holds (`handles` says what the solver
/// solves). Then rounds `matrix` to what is stored.
void begin_solving(std::string_view solver, const LayerProblem& problem, CompressedMatrix& matrix,
                   bool handled, std::string_view handles);

/// The stored rows of each set, in order.
[[nodiscard]] std::vector<std::vector<std::int64_t>> stored_rows(const std::vector<RowSet>& sets,
                                                                 const CompressedMatrix& matrix);

/// The diagonal of float32 or float64 [n, n] as float32.
[[nodiscard]] std::vector<float> diagonal_of(const Tensor& matrix);

/// A record of what a solver did. The objective is tr((W^ - W) H (W^ - W)^T), H as the solver used it
/// (damped).
struct SolverLog {
    std::vector<double>
        objective;  ///< before, then after each round; of one-pass solvers the end only; may be empty
    std::vector<std::string> notes;  ///< what a user should know: a singular H, codebooks left as they were
};

class Solver {
  public:
    Solver() = default;
    Solver(const Solver&) = delete;
    Solver& operator=(const Solver&) = delete;
    virtual ~Solver() = default;

    /// What solve() reads of the problem besides the weights: nothing else is made for it.
    [[nodiscard]] virtual DataNeeds needs() const = 0;
    /// Whether solve() reads the layout of `matrix` alone (and whether it has offsets): no initialiser is run
    /// for it then.
    [[nodiscard]] virtual bool starts_from_layout() const { return false; }
    /// How many of `weights` weights solve() keeps aside at most (CompressedMatrix::outliers).
    [[nodiscard]] virtual std::int64_t outliers(std::int64_t /*weights*/) const { return 0; }
    /// How many products of the weights and their second moments solve() costs, about, for an estimate of the
    /// time; 0: little more than reading the weights.
    [[nodiscard]] virtual double products() const { return 0; }
    /// Improves `matrix`, which a CodebookInit has filled; products are made by `backend`. Input errors name
    /// the layer.
    virtual SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix,
                            Backend& backend) const = 0;
};

template <>
struct KindOf<Solver> {
    static constexpr std::string_view name = "solver";
    static constexpr std::string_view doc =
        "Finds a layer's codebooks and mapping from its weights and inputs.";
};

}  // namespace jlcm
