#include "core/text/continuation_tokens.hpp"

#include "core/base/error.hpp"
#include "core/base/json_error.hpp"
#include "core/text/white_space.hpp"

namespace jlcm {

ContinuationTokens encode_continuation(const Tokenizer& tokenizer, const std::string& context,
                                       const std::string& continuation, std::optional<std::int32_t> first,
                                       std::int64_t longest) {
    if (context.empty() && !first) {
        first = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
        require(first.has_value(),
                "nothing stands before {}, and the tokenizer names no token that begins or ends a text",
                shown(continuation));
    }
    const auto encoded = [&](std::string_view text) {
        auto ids = tokenizer.encode(text);
        if (first && (ids.empty() || ids.front() != *first)) ids.insert(ids.begin(), *first);
        return ids;
    };
    ContinuationTokens result;
    result.begin = encoded(python_rstrip(context)).size();
    result.ids = encoded(context + continuation);
    require(result.begin > 0, "nothing but white space stands before {}", shown(continuation));
    require(result.begin < result.ids.size(), "{} has no token of its own behind its context",
            shown(continuation));
    const auto continued = static_cast<std::int64_t>(result.ids.size() - result.begin);
    require(continued <= longest, "{} has {} tokens, beyond the model's {}", shown(continuation), continued,
            longest);
    if (std::ssize(result.ids) > longest + 1) {
        const std::size_t cut = result.ids.size() - static_cast<std::size_t>(longest + 1);
        result.ids.erase(result.ids.begin(), result.ids.begin() + static_cast<std::ptrdiff_t>(cut));
        result.begin -= cut;
    }
    return result;
}

}  // namespace jlcm
