#pragma once
// What the codes of a matrix look like, as far as that is known without its weights.

namespace jlcm {

/// Codes of `bits` bits that name codewords of `dimension` weights, `stages` of them added up.
struct CodeShape {
    int bits = 0;  ///< 0: no codes
    int dimension = 1;
    int stages = 1;

    /// Codes, which take a byte each in memory, for each weight.
    [[nodiscard]] double per_weight() const {
        return bits > 0 ? static_cast<double>(stages) / static_cast<double>(dimension) : 0.0;
    }
    /// Codewords of single weights, one each.
    [[nodiscard]] bool of_numbers() const { return dimension == 1 && stages == 1; }
};

}  // namespace jlcm
