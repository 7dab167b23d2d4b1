#include "core/generate/text_stream.hpp"

#include "core/base/error.hpp"
#include "core/text/utf8.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace jlcm {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

/// Whether more bytes may still change the last character.
bool ends_open(std::string_view text) {
    if (text.ends_with(replacement)) return true;  // of a tokenizer that replaces half a character itself
    const std::string_view last = last_character(text);
    return !last.empty() && static_cast<unsigned char>(last.front()) >= 0x80 &&
           utf8_length(last.front()) > last.size();
}

std::vector<std::int32_t> tokens_with_text(const Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
    std::vector<std::int32_t> kept;
    std::ranges::copy_if(ids, std::back_inserter(kept),
                         [&](std::int32_t id) { return id < tokenizer.vocabulary_size(); });
    return kept;
}

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::span<const std::int32_t> before)
    : tokenizer_(&tokenizer),
      window_(tokens_with_text(tokenizer, before)),
      given_(window_.size()),
      given_text_(tokenizer.decode(window_)) {}

std::string TextStream::pending() const {
    const std::string text = tokenizer_->decode(window_);
    return text.substr(std::min(given_text_.size(), text.size()));
}

std::string TextStream::add(std::int32_t id) {
    if (id >= tokenizer_->vocabulary_size()) return "";
    window_.push_back(id);
    std::string text = pending();
    if (text.empty() || ends_open(text)) return "";
    // The tokens that were given just now are what the next ones follow.
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(given_));
    given_ = window_.size();
    given_text_ = tokenizer_->decode(window_);
    return valid_utf8(text);
}

std::string TextStream::finish() {
    std::string text = pending();
    given_ = window_.size();
    given_text_ = tokenizer_->decode(window_);
    return valid_utf8(text);
}

StopTexts::StopTexts(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (const std::string& each : texts_) require(!each.empty(), "a stop text is empty");
}

std::string StopTexts::add(std::string_view piece) {
    std::string shown;
    for (const char byte : piece) {
        if (found_) break;
        held_ += byte;
        std::size_t longest = 0;
        for (const std::string& each : texts_)
            if (held_.ends_with(each)) longest = std::max(longest, each.size());
        found_ = longest > 0;
        const std::size_t held = found_ ? longest : longest_beginning();
        shown += held_.substr(0, held_.size() - held);
        held_.erase(0, held_.size() - held);
    }
    if (found_) held_.clear();
    return shown;
}

std::string StopTexts::finish() {
    return std::exchange(held_, {});
}

/// Of the ends of what is held, the longest that begins a stop text.
std::size_t StopTexts::longest_beginning() const {
    std::size_t longest = 0;
    for (const std::string& each : texts_)
        for (std::size_t size = std::min(held_.size(), each.size() - 1); size > longest; --size)
            if (held_.ends_with(std::string_view(each).substr(0, size))) longest = size;
    return longest;
}

}  // namespace jlcm
