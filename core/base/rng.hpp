#pragma once
// Counter-based random numbers: the i-th number of a stream is a pure function of (seed, stream, i), so that
// draws do not depend on the order or the thread in which they are made. Philox4x32-10: Salmon et al.,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace jlcm {

class Rng {
  public:
    /// A stream of its own for every (seed, stream name): stages never share draws by accident.
    Rng(std::uint64_t seed, std::string_view stream);

    /// 64 uniform bits at position `index`.
    [[nodiscard]] std::uint64_t bits(std::uint64_t index) const;
    /// Uniform in [0, 1).
    [[nodiscard]] double uniform(std::uint64_t index) const;
    /// Standard normal (Box-Muller; uses the positions 2 index and 2 index + 1).
    [[nodiscard]] double normal(std::uint64_t index) const;
    /// A permutation of 0..n-1 (Fisher-Yates).
    [[nodiscard]] std::vector<std::int64_t> permutation(std::int64_t n) const;

  private:
    std::array<std::uint32_t, 2> key_;
    std::array<std::uint32_t, 2> stream_;
};

}  // namespace jlcm
