#include "core/text/tokens.hpp"

#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace jlcm {

std::span<const std::int32_t> TokenizedText::document(std::int64_t i) const {
    const auto index = static_cast<std::size_t>(i);
    ensure(i >= 0 && index < starts.size(), "document {} of {}", i, starts.size());
    const auto begin = static_cast<std::size_t>(starts[index]);
    const auto end = index + 1 < starts.size() ? static_cast<std::size_t>(starts[index + 1]) : ids.size();
    return std::span(ids).subspan(begin, end - begin);
}

TokenizedText tokenize(const TextData& text, const Tokenizer& tokenizer,
                       std::optional<std::int32_t> between) {
    const std::size_t count = text.documents.size();
    std::vector<std::vector<std::int32_t>> encoded(count);
    parallel_for(static_cast<std::int64_t>(count), 16, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
            encoded[i] = tokenizer.encode(text.documents[i]);
            if (between && i + 1 < count) encoded[i].push_back(*between);
        }
    });
    TokenizedText result;
    result.name = text.name;
    for (const auto& ids : encoded) {
        result.starts.push_back(static_cast<std::int64_t>(result.ids.size()));
        result.ids.insert(result.ids.end(), ids.begin(), ids.end());
    }
    return result;
}

std::string token_hash(std::span<const std::int32_t> ids) {
    static_assert(std::endian::native == std::endian::little);
    return sha256(std::as_bytes(ids));
}

std::vector<std::span<const std::int32_t>> cut_windows(std::span<const std::int32_t> ids,
                                                       std::int64_t length) {
    require(length >= 1, "a window needs at least one token, not {}", length);
    const auto size = static_cast<std::size_t>(length);
    std::vector<std::span<const std::int32_t>> windows;
    for (; ids.size() >= size; ids = ids.subspan(size)) windows.push_back(ids.first(size));
    return windows;
}

WindowSampler::WindowSampler(std::vector<const TokenizedText*> texts, std::vector<double> shares,
                             std::int64_t length, std::uint64_t seed)
    : length_(length), seed_(seed) {
    require(texts.size() == shares.size(), "there are {} texts but {} shares", texts.size(), shares.size());
    const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const TokenizedText& text = *texts[i];
        require(shares[i] >= 0.0, "the share of {} is {}, which is negative or no number", text.name,
                shares[i]);
        sources_.push_back({cut_windows(text.ids, length), shares[i] / sum});
        require(shares[i] == 0.0 || !sources_.back().windows.empty(),
                "{} has {} tokens, fewer than one window of {}: take shorter sequences or another text",
                text.name, text.ids.size(), length);
    }
    require(sum > 0.0, "the shares of the texts are all zero");
}

std::vector<std::size_t> WindowSampler::turns(std::int64_t count) const {
    // The text that is furthest behind its share is next. The lags add up to one, so that one of them is
    // positive.
    std::vector<std::size_t> result;
    std::vector<double> drawn(sources_.size(), 0.0);
    for (std::int64_t i = 0; i < count; ++i) {
        std::size_t next = 0;
        double longest_lag = 0.0;
        for (std::size_t s = 0; s < sources_.size(); ++s) {
            const double lag = sources_[s].share * static_cast<double>(i + 1) - drawn[s];
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

std::vector<std::span<const std::int32_t>> WindowSampler::windows(std::int64_t first,
                                                                  std::int64_t count) const {
    /// How far the draws from a text have come, and the order of its windows in the present pass.
    struct Position {
        std::int64_t drawn = 0;
        std::int64_t pass = -1;
        std::vector<std::int64_t> order;
    };
    std::vector<Position> positions(sources_.size());
    std::vector<std::span<const std::int32_t>> result;
    std::int64_t i = 0;
    for (const std::size_t s : turns(first + count)) {
        const auto& windows = sources_[s].windows;
        Position& position = positions[s];
        const std::int64_t drawn = position.drawn++;
        if (i++ < first) continue;
        const auto size = static_cast<std::int64_t>(windows.size());
        if (position.pass != drawn / size) {
            position.pass = drawn / size;
            position.order = Rng(seed_, fmt::format("windows/{}/{}", s, position.pass)).permutation(size);
        }
        result.push_back(
            windows[static_cast<std::size_t>(position.order[static_cast<std::size_t>(drawn % size)])]);
    }
    return result;
}

std::int64_t WindowSampler::distinct_tokens(std::int64_t count) const {
    std::vector<std::int64_t> drawn(sources_.size(), 0);
    for (const std::size_t s : turns(count)) ++drawn[s];
    std::int64_t windows = 0;
    for (std::size_t s = 0; s < sources_.size(); ++s)
        windows += std::min(drawn[s], static_cast<std::int64_t>(sources_[s].windows.size()));
    return windows * length_;
}

}  // namespace jlcm
