#include "core/base/draws.hpp"

#include "core/base/error.hpp"
#include "core/base/rng.hpp"

#include <algorithm>
#include <numeric>

namespace jlcm {

Draws::Draws(std::vector<std::int64_t> sizes, const std::vector<double>& shares, std::uint64_t seed)
    : sizes_(std::move(sizes)), seed_(seed) {
    ensure(sizes_.size() == shares.size(), "{} pools but {} shares", sizes_.size(), shares.size());
    const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
    ensure(sum > 0.0, "the shares of all pools are zero");
    for (std::size_t i = 0; i < shares.size(); ++i) {
        ensure(shares[i] == 0.0 || sizes_[i] > 0, "pool {} is empty", i);
        shares_.push_back(shares[i] / sum);
    }
}

std::vector<std::size_t> Draws::turns(std::int64_t count) const {
    // The pool that is furthest behind its share is next. The lags add up to one, so that one of them is
    // positive.
    std::vector<std::size_t> result;
    std::vector<double> drawn(sizes_.size(), 0.0);
    for (std::int64_t i = 0; i < count; ++i) {
        std::size_t next = 0;
        double longest_lag = 0.0;
        for (std::size_t s = 0; s < sizes_.size(); ++s) {
            const double lag = shares_[s] * static_cast<double>(i + 1) - drawn[s];
            if (lag > longest_lag) {
                next = s;
                longest_lag = lag;
            }
        }
        drawn[next] += 1.0;
        result.push_back(next);
    }
    return result;
}

std::vector<Draws::Draw> Draws::take(std::int64_t first, std::int64_t count) const {
    /// How far the draws from a pool have come, and its order in the present pass.
    struct Position {
        std::int64_t drawn = 0;
        std::int64_t pass = -1;
        std::vector<std::int64_t> order;
    };
    std::vector<Position> positions(sizes_.size());
    std::vector<Draw> result;
    std::int64_t i = 0;
    for (const std::size_t s : turns(first + count)) {
        Position& position = positions[s];
        const std::int64_t drawn = position.drawn++;
        if (i++ < first) continue;
        const std::int64_t size = sizes_[s];
        if (position.pass != drawn / size) {
            position.pass = drawn / size;
            position.order = Rng(seed_, fmt::format("windows/{}/{}", s, position.pass)).permutation(size);
        }
        result.push_back(
            {s, static_cast<std::size_t>(position.order[static_cast<std::size_t>(drawn % size)])});
    }
    return result;
}

std::int64_t Draws::distinct(std::int64_t count) const {
    std::vector<std::int64_t> drawn(sizes_.size(), 0);
    for (const std::size_t s : turns(count)) ++drawn[s];
    std::int64_t different = 0;
    for (std::size_t s = 0; s < sizes_.size(); ++s) different += std::min(drawn[s], sizes_[s]);
    return different;
}

}  // namespace jlcm
