#include "core/text/merge_table.hpp"

#include <functional>
#include <queue>
#include <tuple>

namespace jlcm {

namespace {

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(left) << 32U) | static_cast<std::uint32_t>(right);
}

/// A symbol of a word that is being merged, in a doubly linked list; -1 where there is no neighbour.
struct Symbol {
    std::int32_t id;
    std::int32_t previous;
    std::int32_t next;
    bool merged_away;
};

/// A merge that was possible when it was queued.
struct Candidate {
    std::int32_t rank;
    std::int32_t position;  ///< index of the left symbol
    std::int32_t merged;
    bool operator>(const Candidate& other) const {
        return std::tie(rank, position) > std::tie(other.rank, other.position);
    }
};

}  // namespace

void MergeTable::add(std::int32_t left, std::int32_t right, std::int32_t merged) {
    merges_.insert_or_assign(pair_of(left, right), Merge{next_rank_++, merged});
}

const MergeTable::Merge* MergeTable::find(std::int32_t left, std::int32_t right) const {
    const auto found = merges_.find(pair_of(left, right));
    return found == merges_.end() ? nullptr : &found->second;
}

void MergeTable::apply(std::vector<std::int32_t>& symbols) const {
    if (symbols.size() < 2) return;
    const auto count = static_cast<std::int32_t>(symbols.size());
    std::vector<Symbol> word;
    word.reserve(symbols.size());
    for (std::int32_t i = 0; i < count; ++i)
        word.push_back({symbols[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1, false});
    const auto at = [&](std::int32_t i) -> Symbol& { return word[static_cast<std::size_t>(i)]; };

    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto consider = [&](std::int32_t left) {
        if (left < 0 || at(left).next < 0) return;
        if (const Merge* merge = find(at(left).id, at(at(left).next).id))
            queue.push({merge->rank, left, merge->merged});
    };
    for (std::int32_t i = 0; i + 1 < count; ++i) consider(i);

    while (!queue.empty()) {
        const Candidate best = queue.top();
        queue.pop();
        Symbol& left = at(best.position);
        if (left.merged_away || left.next < 0) continue;
        Symbol& right = at(left.next);
        const Merge* merge = find(left.id, right.id);
        if (merge == nullptr || merge->rank != best.rank) continue;  // its symbols have changed since
        left.id = best.merged;
        left.next = right.next;
        if (right.next >= 0) at(right.next).previous = best.position;
        right.merged_away = true;
        consider(left.previous);
        consider(best.position);
    }

    symbols.clear();
    for (std::int32_t i = 0; i >= 0; i = at(i).next) symbols.push_back(at(i).id);
}

}  // namespace jlcm
