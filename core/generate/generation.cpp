#include "core/generate/generation.hpp"

#include "core/base/error.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/base/unchanged_files.hpp"
#include "core/generate/text_stream.hpp"

#include <algorithm>
#include <array>

namespace jlcm {
namespace {

/// The text of one generation on its way to whoever wants it.
class Output {
  public:
    Output(const Tokenizer& tokenizer, std::span<const std::int32_t> prompt, const GenerationOptions& options,
           const TextCallback& callback, std::string& text)
        : stream_(tokenizer, prompt), stop_(options.stop), callback_(callback), text_(text) {}

    void add(std::int32_t id) { give(stop_.add(stream_.add(id))); }
    void finish() {
        if (!stop_.found()) give(stop_.add(stream_.finish()));
        give(stop_.finish());
    }
    [[nodiscard]] bool stopped() const { return stop_.found(); }

  private:
    void give(const std::string& piece) {
        if (piece.empty()) return;
        text_ += piece;
        if (callback_) callback_(piece);
    }

    TextStream stream_;
    StopTexts stop_;
    const TextCallback& callback_;
    std::string& text_;
};

double rate(std::int64_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

}  // namespace

std::string_view name_of(StopReason reason) {
    constexpr std::array names{"end_token", "stop_text", "max_tokens", "context", "interrupted"};
    return names.at(static_cast<std::size_t>(reason));
}

void require_prompt(std::span<const std::int32_t> prompt, std::int64_t context) {
    require(!prompt.empty(), "the prompt has no tokens, and the model needs one to begin with");
    require(
        std::ssize(prompt) <= context,
        "the prompt has {} tokens, and the context holds {}: shorten it, or give a larger --context if the model is "
        "made for one",
        prompt.size(), context);
}

Generator::Generator(Decoder& decoder, const Tokenizer& tokenizer, std::vector<std::int32_t> ends)
    : decoder_(&decoder), tokenizer_(&tokenizer), ends_(std::move(ends)) {}

Tensor Generator::read(std::span<const std::int32_t> tokens) {
    read_.insert(read_.end(), tokens.begin(), tokens.end());
    return decoder_->read(tokens);
}

Tensor Generator::read_prompt(std::span<const std::int32_t> prompt, Generation& result) {
    read_.resize(std::min(read_.size(), static_cast<std::size_t>(decoder_->position())));
    const auto same = std::ranges::mismatch(read_, prompt).in1 - read_.begin();
    // The last token is read for its logits.
    result.reused_tokens = std::min<std::int64_t>(same, std::ssize(prompt) - 1);
    decoder_->keep(result.reused_tokens);
    read_.resize(static_cast<std::size_t>(result.reused_tokens));
    return read(prompt.subspan(static_cast<std::size_t>(result.reused_tokens)));
}

Generation Generator::generate(std::span<const std::int32_t> prompt, const GenerationOptions& options,
                               std::uint64_t stream, const TextCallback& callback) {
    require_prompt(prompt, decoder_->context());
    Sampler sampler(options.sampling, stream);
    Generation result;
    result.prompt_tokens = std::ssize(prompt);
    Output output(*tokenizer_, prompt, options, callback, result.text);
    std::vector<std::int32_t> seen(prompt.begin(), prompt.end());

    const double start = now_seconds();
    Tensor logits = read_prompt(prompt, result);
    const double first = now_seconds();
    result.prompt_seconds = first - start;
    const auto ended = [&]() -> std::optional<StopReason> {
        if (!logits.defined() || interrupt_requested()) return StopReason::interrupted;
        if (options.max_tokens > 0 && std::ssize(result.ids) >= options.max_tokens)
            return StopReason::max_tokens;
        return std::nullopt;
    };
    for (auto reason = ended();; reason = ended()) {
        if (reason) {
            result.reason = *reason;
            break;
        }
        const std::int32_t id = sampler.next(logits, seen);
        result.ids.push_back(id);
        seen.push_back(id);
        if (!options.ignore_ends && std::ranges::count(ends_, id) > 0) {
            result.reason = StopReason::end_token;
            break;
        }
        output.add(id);
        if (output.stopped()) {
            result.reason = StopReason::stop_text;
            break;
        }
        if (decoder_->position() >= decoder_->context()) {
            result.reason = StopReason::context;
            break;
        }
        if (options.max_tokens <= 0 || std::ssize(result.ids) < options.max_tokens) logits = read({&id, 1});
    }
    require_unchanged_files();
    output.finish();
    result.seconds = now_seconds() - first;
    return result;
}

std::string describe_speed(std::span<const Generation> generations) {
    std::int64_t read = 0;
    std::int64_t generated = 0;
    double prompt_seconds = 0;
    double seconds = 0;
    for (const Generation& each : generations) {
        read += each.prompt_tokens - each.reused_tokens;
        generated += std::ssize(each.ids);
        prompt_seconds += each.prompt_seconds;
        seconds += each.seconds;
    }
    return fmt::format(
        "prompt: {} tokens, {:.2f} s, {:.1f} tokens/s; generated: {} tokens, {:.2f} s, {:.1f} tokens/s", read,
        prompt_seconds, rate(read, prompt_seconds), generated, seconds, rate(generated, seconds));
}

}  // namespace jlcm
