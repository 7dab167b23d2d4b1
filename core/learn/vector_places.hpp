#pragma once
// The vectors of a compressed matrix one by one, for what looks at each with its codes: one codebook for the
// matrix, of any number of stages.

#include "core/base/parallel.hpp"
#include "core/codebook/compressed_matrix.hpp"
#include "core/learn/estimator.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>

namespace jlcm {

/// Elements beyond the dimension are 0; has_one_vector_codebook allows 64.
using Vector = std::array<float, 64>;

[[nodiscard]] inline float squared_distance(const float* a, const float* b, int dimension) {
    float sum = 0;
    for (int e = 0; e < dimension; ++e) sum += (a[e] - b[e]) * (a[e] - b[e]);
    return sum;
}

/// A vector of weights and its codes.
struct Place {
    const CompressedMatrix& matrix;
    std::int64_t row;
    std::int64_t at;  ///< among its row's

    /// Among all of the matrix.
    [[nodiscard]] std::int64_t index() const { return row * matrix.layout.codes_per_row() + at; }
    /// Where the mapping has its code of a stage.
    [[nodiscard]] std::int64_t of_stage(int stage) const {
        return stage * matrix.layout.rows * matrix.layout.codes_per_row() + index();
    }
    [[nodiscard]] int code(int stage) const { return matrix.mapping.data<std::uint8_t>()[of_stage(stage)]; }
    [[nodiscard]] const float* codeword(int stage, int code) const {
        return matrix.codebook(0, stage) + code * matrix.layout.dimension;
    }
    /// The sum of the codewords that a mapping names.
    [[nodiscard]] Vector sum(const Tensor& mapping) const {
        Vector sum{};
        for (int stage = 0; stage < matrix.layout.residual; ++stage) {
            const float* word = codeword(stage, mapping.data<std::uint8_t>()[of_stage(stage)]);
            for (int e = 0; e < matrix.layout.dimension; ++e) sum[static_cast<std::size_t>(e)] += word[e];
        }
        return sum;
    }
};

/// Rows of a task in parallel, of the matrix alone.
[[nodiscard]] std::int64_t vector_row_grain(const Layout& layout);

/// Calls body(place) for every vector, rows in parallel.
template <class Body>
void for_places(const CompressedMatrix& matrix, Body body) {
    parallel_for(matrix.layout.rows, vector_row_grain(matrix.layout),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row)
                         for (std::int64_t at = 0; at < matrix.layout.codes_per_row(); ++at)
                             body(Place{matrix, row, at});
                 });
}

/// Calls body(row, counts) for every row in parallel; counts [K - 1] belongs to the calling thread, counts[j]
/// += codes that moved by j + 1. All of them are added to `jumps`.
void count_jumps_of_rows(const Layout& layout, JumpHistogram& jumps,
                         const std::function<void(std::int64_t row, std::int64_t* counts)>& body);

}  // namespace jlcm
