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

    /// What initialise() reads of the problem besides the weights: nothing else is made for it.
    [[nodiscard]] virtual DataNeeds needs() const = 0;
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

/// The matrix that a solver gets that starts from the layout: zeros in `grouped`'s layout and row order, with
/// scales and offsets if there will be any.
[[nodiscard]] CompressedMatrix blank_matrix(const GroupedRows& grouped);

/// Finds the codewords (ascending) of one codebook for the values it has to represent; `weights` is empty or
/// holds the importance of each value.
using CodewordFinder = std::function<void(std::span<const float> values, std::span<const float> weights,
                                          std::span<float> codewords)>;

/// scale * codeword + offset
struct Affine {
    float scale = 0;  ///< not negative
    float offset = 0;
};

/// Finds scale and offset (float16 values) of a group over a shared codebook; arguments as above.
using ScaleFinder = std::function<Affine(std::span<const float> values, std::span<const float> weights)>;

/// Scale: the standard deviation of the values, offset: their mean; without an offset the root mean square.
[[nodiscard]] ScaleFinder standard_scale(bool with_offset);

/// Fills every codebook by `find`, codebooks in parallel, and maps every weight to its nearest codeword.
/// Groups that share one codebook get scales (and offsets if `grouped` says so) by `find_scale`, none:
/// standard_scale; the codebook is found for their values less the offset, divided by the scale. Codebooks,
/// scales and offsets are float16 values, as stored.
[[nodiscard]] CompressedMatrix fill_codebooks(const LayerProblem& problem, const GroupedRows& grouped,
                                              const ImportanceOfRow& importance, const CodewordFinder& find,
                                              const ScaleFinder& find_scale = {});

/// Maps every weight (float32 [rows, cols], model row order) to the nearest codeword of its group, scales and
/// offsets considered; ties go to the lower codeword. Scalar codewords in one stage.
void map_to_nearest(CompressedMatrix& matrix, const Tensor& weights);

}  // namespace jlcm
