#pragma once
// Random orders within what a graph allows.

#include "core/base/rng.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <numeric>

namespace jlcm::test {

/// A random permutation for every instance of every free class.
inline Permutations random_permutations(const PermutationAnalysis& analysis, std::uint64_t seed) {
    const Rng rng(seed, "permutations");
    std::uint64_t draw = 0;
    Permutations permutations;
    for (ClassId id = 0; id < static_cast<ClassId>(analysis.classes().size()); ++id) {
        const PermutationClass& each = analysis.at(id);
        if (!each.is_free()) continue;
        auto& order = permutations[id];
        for (std::int64_t k = 0; k < each.instances; ++k) {
            std::vector<std::int32_t> one(static_cast<std::size_t>(each.size));
            std::iota(one.begin(), one.end(), 0);
            for (std::size_t i = one.size(); i > 1; --i) std::swap(one[i - 1], one[rng.bits(draw++) % i]);
            order.insert(order.end(), one.begin(), one.end());
        }
    }
    return permutations;
}

}  // namespace jlcm::test
