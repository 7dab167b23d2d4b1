#pragma once
// A weight as it lies in a file, for products that read it in place: rows of packed codes with a codebook per
// group, or rows of a GGUF block format. Plain views: whoever makes one keeps the memory.

#include "core/tensor/encoding.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace jlcm {

/// Codewords in 8 bits: codeword k of table g stands for scale[g] * levels[g, k] + offset[g]. The levels of a
/// table span -127..127, so that a skewed codebook loses nothing: offset is the middle of its least and its
/// greatest value. The error of a codeword is at most (greatest - least) / 508.
struct CodeTables {
    int codewords = 0;                ///< K of a table: 2, 4, 8 or 16
    std::vector<std::int8_t> levels;  ///< [groups, K], or [K] if all groups share one codebook
    std::vector<float> scales;        ///< [groups]
    std::vector<float> offsets;       ///< [groups]

    /// Of values [groups, K], in any order. A group with a value that is no finite number becomes NaN as a
    /// whole.
    [[nodiscard]] static CodeTables of(std::span<const float> values, int codewords);
    /// Of one codebook [K]: group g stands for scales[g] * codebook + offsets[g]. `offsets` may be empty: 0.
    [[nodiscard]] static CodeTables of_shared(std::span<const float> codebook, std::span<const float> scales,
                                              std::span<const float> offsets);

    [[nodiscard]] std::int64_t groups() const { return static_cast<std::int64_t>(scales.size()); }
    [[nodiscard]] bool is_shared() const {
        return static_cast<std::int64_t>(levels.size()) == codewords && groups() != 1;
    }
};

/// A matrix [rows, cols] in one of two forms: packed codes, or the blocks of an encoding.
struct CodedRows {
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    /// The rows, in stored order, each row_bytes() long and one behind the other. Any alignment; multiples of
    /// 64 are fastest. Nothing behind the last row is read.
    const std::byte* bytes = nullptr;
    /// The model's row that each stored row is; null: rows in place. A permutation of 0..rows - 1.
    const std::int32_t* row_order = nullptr;

    /// Blocks of this encoding, all that follows unused; none: codes.
    std::optional<Encoding> encoding;

    /// Of a code, 1..4. The layout is that of core/codebook/packing.hpp, every row a line of its own.
    int bits = 0;
    /// One table for each group: row group * column groups + column group.
    const CodeTables* tables = nullptr;
    /// The row group of every stored row; null: one for all rows if the tables have as many groups as there
    /// are column groups, else one per row.
    const std::int32_t* row_groups = nullptr;
    /// Columns of a column group; 0: whole rows. The last group may be narrower.
    std::int64_t column_group = 0;

    [[nodiscard]] std::int64_t row_bytes() const;
    [[nodiscard]] std::int64_t column_groups() const {
        return column_group == 0 ? 1 : (cols + column_group - 1) / column_group;
    }
};

/// Why there is no kernel for such a matrix, as the end of a sentence ("rows of 30 columns share words"), or
/// empty if there is one. What has a kernel: codes of 1 to 4 bits if each row fills whole words of every plane
/// (bits 1 and 3: 32 divides the columns; 2: 16; 4: 8) and column groups are multiples of a block (512
/// columns at 1 bit, 256 at 2 and 3, 128 at 4); encodings Q8_0, Q4_0, Q4_1, Q4_K, Q5_K, Q6_K.
[[nodiscard]] std::string no_kernel_reason(const CodedRows& weight);

}  // namespace jlcm
