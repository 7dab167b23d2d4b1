#pragma once
// Layer-wise solvers: codebooks and mapping of one weight matrix from its second moments.

#include "core/codebook/compressed_matrix.hpp"
#include "core/plugin/registry.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace jlcm {

/// What is known of a layer when its weights are compressed.
struct LayerProblem {
    std::string name;  ///< for messages
    Tensor weights;    ///< float32 [rows, cols], model row order: the target
    Tensor hessian;  ///< float32 or float64 [cols, cols]: sum of x x^T over calibration inputs; or undefined
    std::int64_t samples = 0;  ///< inputs in the sum; 0: not known

    /// Throws an input error that names the layer, and the row, where weights or second moments are not
    /// finite or do not fit together.
    void validate() const;
    /// The diagonal of `hessian` as float32, or an empty vector where there is none.
    [[nodiscard]] std::vector<float> input_second_moments() const;
};

/// What a solver did. The objective is tr((W^ - W) H (W^ - W)^T), H as the solver used it (damped).
struct SolverLog {
    std::vector<double>
        objective;  ///< before, then after each round; empty for solvers that do not look at H
    std::vector<std::string> notes;  ///< what a user should know: a singular H, codebooks left as they were
};

class Solver {
  public:
    Solver() = default;
    Solver(const Solver&) = delete;
    Solver& operator=(const Solver&) = delete;
    virtual ~Solver() = default;

    /// Whether solve() reads problem.hessian.
    [[nodiscard]] virtual bool needs_hessian() const = 0;
    /// Improves `matrix`, which a CodebookInit has filled. Input errors name the layer.
    virtual SolverLog solve(const LayerProblem& problem, CompressedMatrix& matrix) const = 0;
};

template <>
struct KindOf<Solver> {
    static constexpr std::string_view name = "solver";
    static constexpr std::string_view doc =
        "Finds a layer's codebooks and mapping from its weights and inputs.";
};

}  // namespace jlcm
