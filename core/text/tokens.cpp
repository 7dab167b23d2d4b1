#include "core/text/tokens.hpp"

#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <bit>

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
            try {
                encoded[i] = tokenizer.encode(text.documents[i]);
            } catch (const Error& error) {
                throw error.within(text.name);
            }
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

namespace {

using Windows = std::vector<std::span<const std::int32_t>>;

std::vector<Windows> windows_of(const std::vector<const TokenizedText*>& texts,
                                const std::vector<double>& shares, std::int64_t length) {
    require(texts.size() == shares.size(), "there are {} texts but {} shares", texts.size(), shares.size());
    std::vector<Windows> sources;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const TokenizedText& text = *texts[i];
        require(shares[i] >= 0.0, "the share of {} is {}, which is negative or no number", text.name,
                shares[i]);
        sources.push_back(cut_windows(text.ids, length));
        require(shares[i] == 0.0 || !sources.back().empty(),
                "{} has {} tokens, fewer than one window of {}: take shorter sequences or another text",
                text.name, text.ids.size(), length);
    }
    require(std::ranges::any_of(shares, [](double share) { return share > 0; }),
            "the shares of the texts are all zero");
    return sources;
}

std::vector<std::int64_t> sizes_of(const std::vector<Windows>& sources) {
    std::vector<std::int64_t> sizes;
    for (const Windows& each : sources) sizes.push_back(std::ssize(each));
    return sizes;
}

}  // namespace

WindowSampler::WindowSampler(const std::vector<const TokenizedText*>& texts,
                             const std::vector<double>& shares, std::int64_t length, std::uint64_t seed)
    : sources_(windows_of(texts, shares, length)),
      length_(length),
      draws_(sizes_of(sources_), shares, seed) {}

auto WindowSampler::windows(std::int64_t first, std::int64_t count) const -> Windows {
    Windows result;
    for (const auto& draw : draws_.take(first, count)) result.push_back(sources_[draw.pool][draw.index]);
    return result;
}

}  // namespace jlcm
