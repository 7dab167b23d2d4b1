#pragma once
// SHA-256 (FIPS 180-4) in plain C++, for builds without OpenSSL.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace jlcm {

class PortableSha256 {
  public:
    void update(std::span<const std::byte> bytes);
    /// The digest; the object is spent afterwards.
    [[nodiscard]] std::array<std::uint8_t, 32> finish();

  private:
    void absorb(const std::byte* block);

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::byte, 64> pending_{};
    std::uint64_t bytes_ = 0;
};

}  // namespace jlcm
