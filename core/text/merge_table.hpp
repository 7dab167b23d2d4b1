#pragma once
// Byte-pair encoding's merges (Sennrich et al., "Neural machine translation of rare words with subword
// units", ACL 2016, algorithm 1, applied to one word).

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace jlcm {

class MergeTable {
  public:
    /// Adds the next merge in rank: `left right` becomes `merged`. All are token ids >= 0.
    void add(std::int32_t left, std::int32_t right, std::int32_t merged);

    /// Applies the merges to a word's symbols: lowest rank first, leftmost first among equals.
    /// O(n log n) in the word's length.
    void apply(std::vector<std::int32_t>& symbols) const;

  private:
    struct Merge {
        std::int32_t rank;
        std::int32_t merged;
    };
    struct PairHash {
        std::size_t operator()(std::uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15U) >> 16U; }
    };
    [[nodiscard]] const Merge* find(std::int32_t left, std::int32_t right) const;
    std::unordered_map<std::uint64_t, Merge, PairHash> merges_;
    std::int32_t next_rank_ = 0;
};

}  // namespace jlcm
