#pragma once
// NaN and infinity among stored weights.

#include "core/tensor/encoding.hpp"

#include <cstdint>
#include <string>

namespace jlcm {

/// What a tensor holds that is no finite number.
struct NonFinite {
    std::int64_t nans = 0;
    std::int64_t infinities = 0;
    std::int64_t first = -1;  ///< index of the first of either, row-major; -1: there is none

    [[nodiscard]] bool any() const { return first >= 0; }
};

/// Looks through the bytes as they are stored: floats by their exponents, blocks by their scales, which
/// decide whether a block's values are finite. Only what has something is decoded, to count it. In parallel;
/// integers have none.
[[nodiscard]] NonFinite find_non_finite(const StoredTensor& stored);

/// "1 NaN and 2 infinities among 4096 values, the first at row 3, column 5".
[[nodiscard]] std::string describe(const NonFinite& found, const Shape& shape);

}  // namespace jlcm
