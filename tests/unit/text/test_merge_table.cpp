#include "core/base/rng.hpp"
#include "core/text/merge_table.hpp"

#include <map>

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

using Pair = std::pair<std::int32_t, std::int32_t>;

/// The definition, word for word: find the pair of lowest rank, merge its leftmost occurrence, start again.
std::vector<std::int32_t> merged_slowly(std::vector<std::int32_t> symbols, const std::vector<Pair>& merges,
                                        std::int32_t first_merged) {
    while (true) {
        std::size_t best = merges.size();
        std::size_t place = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            for (std::size_t rank = 0; rank < best; ++rank) {
                if (merges[rank] != Pair{symbols[i], symbols[i + 1]}) continue;
                best = rank;
                place = i;
            }
        }
        if (best == merges.size()) return symbols;
        symbols[place] = first_merged + static_cast<std::int32_t>(best);
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
}

}  // namespace

TEST_CASE("merges equal their definition on random words and tables") {
    const Rng rng(7, "merges");
    std::uint64_t draw = 0;
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int32_t>(rng.bits(draw++) % static_cast<std::uint64_t>(n));
    };
    constexpr std::int32_t letters = 3;
    for (int trial = 0; trial < 300; ++trial) {
        MergeTable table;
        std::vector<Pair> merges;
        std::map<Pair, bool> taken;
        for (std::int32_t i = 0; i < 12; ++i) {
            const Pair pair{below(letters + static_cast<std::int64_t>(merges.size())),
                            below(letters + static_cast<std::int64_t>(merges.size()))};
            if (!taken.emplace(pair, true).second) continue;
            table.add(pair.first, pair.second, letters + static_cast<std::int32_t>(merges.size()));
            merges.push_back(pair);
        }
        std::vector<std::int32_t> word(static_cast<std::size_t>(below(40)));
        for (std::int32_t& symbol : word) symbol = below(letters);
        const auto expected = merged_slowly(word, merges, letters);
        table.apply(word);
        REQUIRE(word == expected);
    }
}

TEST_CASE("merging a word of a million symbols is not quadratic") {
    MergeTable table;
    for (std::int32_t i = 0; i < 18; ++i) table.add(i, i, i + 1);
    std::vector<std::int32_t> word(std::size_t{1} << 20U, 0);
    table.apply(word);
    CHECK(word == std::vector<std::int32_t>(4, 18));
}
