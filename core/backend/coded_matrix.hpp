#pragma once
// A matrix as codes into tables of values, as kernels take it.

#include "core/tensor/group_map.hpp"

#include <cstdint>

namespace jlcm {

/// Every group of weights has a table of values; a weight is the value that its code names in the table of
/// its group. Views: the owner keeps the memory.
struct CodedMatrix {
    const GroupMap* groups = nullptr;
    int codewords = 0;              ///< values of a table, ascending; at most 256
    std::uint8_t* codes = nullptr;  ///< [rows, cols]
    const float* tables = nullptr;  ///< [groups, codewords]

    [[nodiscard]] std::int64_t rows() const { return groups->rows(); }
    [[nodiscard]] std::int64_t cols() const { return groups->cols(); }
    [[nodiscard]] std::int64_t size() const { return rows() * cols(); }
    [[nodiscard]] const float* table(std::int64_t group) const { return tables + group * codewords; }
    /// The mean distance of neighbouring values of a table; 0 if it has one value.
    [[nodiscard]] float spacing(std::int64_t group) const {
        const float* values = table(group);
        return codewords > 1 ? (values[codewords - 1] - values[0]) / static_cast<float>(codewords - 1) : 0.0F;
    }
};

}  // namespace jlcm
