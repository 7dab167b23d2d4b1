#pragma once
// Drawing from several pools in turns, without replacement.

#include <cstdint>
#include <vector>

namespace jlcm {

/// An endless sequence of draws. The i-th depends on (pool sizes, shares, seed, i) alone, so that a run that
/// goes on at draw i needs no other state. Of each pool, things come in random order without replacement;
/// when all have been drawn, they come again in another order.
class Draws {
  public:
    struct Draw {
        std::size_t pool = 0;
        std::size_t index = 0;  ///< in the pool
    };

    /// `shares` (one a pool, >= 0, their sum > 0) say how often each pool's turn comes; a pool with a share
    /// must not be empty.
    Draws(std::vector<std::int64_t> sizes, const std::vector<double>& shares, std::uint64_t seed);

    /// Draws first, first + 1, ..., first + count - 1.
    [[nodiscard]] std::vector<Draw> take(std::int64_t first, std::int64_t count) const;

    /// How many different things the draws [0, count) hold.
    [[nodiscard]] std::int64_t distinct(std::int64_t count) const;

  private:
    /// Whose turn each of the draws [0, count) is.
    [[nodiscard]] std::vector<std::size_t> turns(std::int64_t count) const;

    std::vector<std::int64_t> sizes_;
    std::vector<double> shares_;  ///< sum 1
    std::uint64_t seed_;
};

}  // namespace jlcm
