#pragma once
// The vocabulary of the field: a weight matrix as codebooks, scales and a mapping.
//
// W (rows x cols) has one row per output neuron. Its rows, in their *stored* order, form runs, and each run
// belongs to a row group; columns may be cut into column groups. A group (row group x column group) holds a
// scale and/or a codebook of K = 2^bits codewords of `dimension` consecutive weights. The mapping names a
// codeword for every `dimension` weights. With `residual` > 1 the codewords of several codebooks are added:
//
//     w^[i, j] = scale[g] * sum over r of codebook[g or 0, r, mapping[r, i, j / d], j mod d] + offset[g] +
//     outlier[i, j]
//
// where g is the group of stored row i and column j.

#include "core/tensor/group_map.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace jlcm {

/// Stored rows from `start` up to the next run's start (or the last row) belong to `group`.
struct Run {
    std::int64_t start = 0;
    std::int64_t group = 0;
    bool operator==(const Run&) const = default;
};

/// How a matrix is cut into groups, and what each group holds.
struct Layout {
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    int bits = 2;                   ///< bits of one code: K = 2^bits codewords a codebook; 1..8
    int dimension = 1;              ///< weights of one codeword; divides cols (and column_group)
    int residual = 1;               ///< codebooks that are added up
    std::int64_t column_group = 0;  ///< columns of a group; 0: whole rows. The last group may be narrower
    std::int64_t row_groups = 1;    ///< number of row groups
    std::vector<Run> runs;  ///< ascending, the first at 0; empty: one group a row, or one group for all rows
    bool shared_codebook =
        false;  ///< one codebook for the matrix; the groups differ by scale (and offset) only

    bool operator==(const Layout&) const = default;

    [[nodiscard]] static Layout per_row(std::int64_t rows, std::int64_t cols, int bits);
    [[nodiscard]] static Layout per_tensor(std::int64_t rows, std::int64_t cols, int bits);

    [[nodiscard]] int codewords() const { return 1 << bits; }
    [[nodiscard]] std::int64_t codes_per_row() const { return cols / dimension; }
    [[nodiscard]] std::int64_t column_groups() const {
        return column_group == 0 ? 1 : (cols + column_group - 1) / column_group;
    }
    /// Row groups times column groups.
    [[nodiscard]] std::int64_t groups() const { return row_groups * column_groups(); }
    [[nodiscard]] std::int64_t codebooks() const { return shared_codebook ? 1 : groups(); }
    /// The row group of every stored row.
    [[nodiscard]] std::vector<std::int32_t> row_group_of_rows() const;
    /// The group of every weight. Of codewords that are vectors none crosses a segment's borders.
    [[nodiscard]] GroupMap group_map() const {
        return {cols, column_group == 0 ? cols : column_group, row_group_of_rows()};
    }
    /// The codebook that a group reads.
    [[nodiscard]] std::int64_t codebook_of(std::int64_t group) const { return shared_codebook ? 0 : group; }
    /// Throws an input error that begins with `name` where a field is out of range or the runs are not well
    /// formed.
    void validate(const std::string& name) const;
};

/// Sparse corrections, added to the reconstruction: compressed rows, in stored row order.
struct Outliers {
    std::vector<std::int32_t> row_start;  ///< rows + 1 positions in `column`; empty: no outliers
    std::vector<std::int32_t> column;     ///< ascending within a row
    std::vector<float> value;             ///< float16 values
    [[nodiscard]] bool empty() const { return column.empty(); }
    bool operator==(const Outliers&) const = default;
};

struct CompressedMatrix {
    Layout layout;
    Tensor codebooks;  ///< float32 [codebooks, residual, K, dimension]; ascending where dimension is 1
    Tensor scales;     ///< float32 [groups], or undefined: 1
    Tensor offsets;    ///< float32 [groups], or undefined: 0
    Tensor mapping;    ///< uint8 [residual, rows, codes_per_row], stored row order, values below K
    std::vector<std::int32_t>
        row_order;  ///< stored row i is the model's row row_order[i]; empty: rows in place
    Outliers outliers;

    /// The model's row that a stored row is.
    [[nodiscard]] std::int64_t model_row(std::int64_t stored) const {
        return row_order.empty() ? stored : row_order[static_cast<std::size_t>(stored)];
    }

    /// Of a group of weights: its scale and offset, 1 and 0 where there are none.
    [[nodiscard]] float scale(std::int64_t group) const {
        return scales.defined() ? scales.data<float>()[group] : 1.0F;
    }
    [[nodiscard]] float offset(std::int64_t group) const {
        return offsets.defined() ? offsets.data<float>()[group] : 0.0F;
    }
    /// The codewords of a stage that a group's codes name: [K, dimension].
    [[nodiscard]] const float* codebook(std::int64_t group, int stage = 0) const {
        return codebooks.data<float>() +
               (layout.codebook_of(group) * layout.residual + stage) * layout.codewords() * layout.dimension;
    }
    /// values[k] = scale * codeword k + offset: what a group's codes stand for (scalar codewords in one
    /// stage). `values`: as many as codewords.
    void group_values(std::int64_t group, std::span<float> values) const;

    /// Codebooks of zeros and a mapping to codeword 0, in the layout's shapes; no scales, offsets or
    /// outliers.
    [[nodiscard]] static CompressedMatrix zeros(Layout layout);

    /// Throws an input error that begins with `name` unless every shape, range and order holds.
    void validate(const std::string& name) const;
    /// The same without a look at the mapping, which may be undefined.
    void validate_without_mapping(const std::string& name) const;
    /// Rounds codebooks, scales, offsets and outliers to float16, which is what an artifact stores. Throws an
    /// input error that begins with `name` where a value is beyond float16's range.
    void round_to_storage(const std::string& name);
    [[nodiscard]] CompressedMatrix clone() const;
    /// Equal layout and equal bits of every value.
    [[nodiscard]] bool identical(const CompressedMatrix& other) const;
};

/// The reconstruction, float32 [rows, cols], in the model's row order.
[[nodiscard]] Tensor decode(const CompressedMatrix& matrix);

/// The reconstruction of one stored row, `groups` being the layout's group_map(): cols floats. `codes`: the
/// row's codes of the first stage; those of the next stage lie `stage_stride` behind. The mapping is not read.
void decode_stored_row(const CompressedMatrix& matrix, const GroupMap& groups, std::int64_t row,
                       const std::uint8_t* codes, std::int64_t stage_stride, float* out);

/// `matrix`'s rows [rows, cols] in stored order: result[i] = matrix[row_order[i]]. Without a row order the
/// same tensor.
[[nodiscard]] Tensor to_stored_order(const Tensor& matrix, const std::vector<std::int32_t>& row_order);
/// The inverse of to_stored_order.
[[nodiscard]] Tensor to_model_order(const Tensor& matrix, const std::vector<std::int32_t>& row_order);

/// Sorts the codewords of every codebook ascending (dimension 1) and relabels the mapping; the reconstruction
/// stays. Returns uint8 [codebooks, residual, K]: the former label of each codeword, so that whoever holds
/// scores per codeword can relabel them, or an undefined tensor where nothing had to move.
Tensor sort_codewords(CompressedMatrix& matrix);

/// Throws an input error that begins with `name` where a scale is negative: a group's codewords would
/// descend.
void require_positive_scales(const std::string& name, const CompressedMatrix& matrix);

}  // namespace jlcm
