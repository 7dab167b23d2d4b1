#pragma once
// Compressed matrices as weights that products read without decoding them as a whole.

#include "core/backend/weight.hpp"
#include "core/codebook/compressed_matrix.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace jlcm {

/// A compressed matrix whose codes stay packed, as an artifact holds them (core/codebook/packing.hpp).
struct PackedMatrix {
    CompressedMatrix values;              ///< all but the mapping, which is undefined
    std::span<const std::uint8_t> codes;  ///< of the residual stages, one after the other
    std::shared_ptr<const void> owner;    ///< keeps the bytes
};

/// `matrix` shares its tensors, which must not change.
[[nodiscard]] std::shared_ptr<const PackedWeight> make_packed_weight(const CompressedMatrix& matrix);
[[nodiscard]] std::shared_ptr<const PackedWeight> make_packed_weight(PackedMatrix matrix);

}  // namespace jlcm
