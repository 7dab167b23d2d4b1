#pragma once
// Codebook initialisers: the first codebooks, scales and mapping of a layer.

#include "core/codebook/grouping.hpp"

#include <functional>
#include <span>

namespace jlcm {

class CodebookInit {
  public:
    CodebookInit() = default;
    CodebookInit(const CodebookInit&) = delete;
    CodebookInit& operator=(const CodebookInit&) = delete;
    virtual ~CodebookInit() = default;

    /// Whether initialise() reads problem.hessian.
    [[nodiscard]] virtual bool needs_hessian() const = 0;
    /// A valid matrix in `grouped`'s layout and row order, close to problem.weights. Input errors name layer
    /// and row.
    [[nodiscard]] virtual CompressedMatrix initialise(const LayerProblem& problem,
                                                      const GroupedRows& grouped) const = 0;
};

template <>
struct KindOf<CodebookInit> {
    static constexpr std::string_view name = "codebook_init";
    static constexpr std::string_view doc = "Makes the first codebooks and mapping of a layer.";
};

/// Finds the codewords (ascending) of one codebook for the values it has to represent; `weights` is empty or
/// holds the importance of each value.
using CodewordFinder = std::function<void(std::span<const float> values, std::span<const float> weights,
                                          std::span<float> codewords)>;

/// Fills every codebook by `find`, codebooks in parallel, and maps every weight to its nearest codeword.
/// Groups that share one codebook get scales: the root mean square of the group's weights, their values
/// divided by it. `column_weights`: empty, or the importance of each column. Codebooks and scales are float16
/// values, as stored.
[[nodiscard]] CompressedMatrix fill_codebooks(const LayerProblem& problem, const GroupedRows& grouped,
                                              std::span<const float> column_weights,
                                              const CodewordFinder& find);

/// Codewords evenly spaced from the least to the largest value; no values: unchanged.
void even_grid(std::span<const float> values, std::span<float> codewords);

/// Maps every weight (float32 [rows, cols], model row order) to the nearest codeword of its group, scales and
/// offsets considered; ties go to the lower codeword. Scalar codewords in one stage.
void map_to_nearest(CompressedMatrix& matrix, const Tensor& weights);

}  // namespace jlcm
