#pragma once
// Kernels that turn packed codes into values.

#include <cstdint>

namespace jlcm {

/// Codes a full block of a plane holds per bit of its width: 512 / width codes in 64 bytes (packing.hpp).
struct DecodingKernels {
    /// ORs the bits of `blocks` full blocks of a plane of `width` bits into codes, `low_bit` bits up.
    void (*add_plane)(int width, int low_bit, std::int64_t blocks, const std::uint8_t* packed,
                      std::uint8_t* codes);
    /// out[i] = table[codes[i]], of `codewords` values; codes are below it. At most 256 codewords.
    void (*look_up)(int codewords, const float* table, std::int64_t n, const std::uint8_t* codes, float* out);
    void (*look_up_16)(int codewords, const std::uint16_t* table, std::int64_t n, const std::uint8_t* codes,
                       std::uint16_t* out);
};

[[nodiscard]] const DecodingKernels& decoding_kernels();

}  // namespace jlcm
