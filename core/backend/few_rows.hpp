#pragma once
// When a product with a packed weight goes by kernels on codes.

#include "core/backend/weight.hpp"

namespace jlcm {

/// What kernels on codes read for a product of `rows` rows; null if it goes by decoded rows: products are exact,
/// the weight has no kernel, or the rows are so many that decoding pays.
[[nodiscard]] inline const CodedRows* codes_for(const BoundWeight& weight, std::int64_t rows) {
    constexpr std::int64_t few_rows = 8;
    const bool by_codes =
        weight.products() == Products::rounded || (weight.products() == Products::fast && rows <= few_rows);
    return weight.is_packed() && by_codes ? weight.packed().codes() : nullptr;
}

}  // namespace jlcm
