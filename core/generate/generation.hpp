#pragma once
// The loop: read the prompt, then token after token until something ends the text.

#include "core/generate/decoder.hpp"
#include "core/generate/sampler.hpp"
#include "core/text/tokenizer.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

enum class StopReason : std::uint8_t {
    end_token,    ///< the model ended its text or turn
    stop_text,    ///< one of the stop texts came
    max_tokens,   ///< as many tokens as were asked for
    context,      ///< the decoder can hold no more
    interrupted,  ///< interrupt_requested()
};
/// "end_token", ...
[[nodiscard]] std::string_view name_of(StopReason reason);

struct GenerationOptions {
    SamplingOptions sampling = {};
    std::int64_t max_tokens = 0;         ///< 0: as the context allows
    std::vector<std::string> stop = {};  ///< the text ends in front of the first of these
    bool ignore_ends = false;            ///< end tokens do not end it, for measurements
};

struct Generation {
    std::string text;  ///< what the tokens add to the prompt, without a stop text and an end token
    std::vector<std::int32_t> ids;  ///< all that were generated, an end token included
    StopReason reason = StopReason::end_token;
    std::int64_t prompt_tokens = 0;
    std::int64_t reused_tokens = 0;  ///< of the prompt: the decoder had read them already
    double prompt_seconds = 0;       ///< from the start to the first logits
    double seconds = 0;              ///< from there to the end
};

/// Called with text as it becomes certain: whole characters, never empty.
using TextCallback = std::function<void(std::string_view)>;

/// An input error if a prompt has no tokens, or more than the context.
void require_prompt(std::span<const std::int32_t> prompt, std::int64_t context);

class Generator {
  public:
    /// The decoder and the tokenizer must outlive it. `ends`: tokens that end a text.
    Generator(Decoder& decoder, const Tokenizer& tokenizer, std::vector<std::int32_t> ends);

    /// What follows `prompt`, whose beginning is not read again if it is that of the last prompt and its answer.
    /// `stream`: of random draws. Input errors: a prompt without tokens or longer than the context, options out of
    /// range, logits that are not finite. A system error if a mapped file was written to (require_unchanged_files).
    [[nodiscard]] Generation generate(std::span<const std::int32_t> prompt, const GenerationOptions& options,
                                      std::uint64_t stream = 0, const TextCallback& callback = {});

  private:
    /// Reads the prompt; undefined where that was interrupted.
    [[nodiscard]] Tensor read_prompt(std::span<const std::int32_t> prompt, Generation& result);
    [[nodiscard]] Tensor read(std::span<const std::int32_t> tokens);

    Decoder* decoder_;
    const Tokenizer* tokenizer_;
    std::vector<std::int32_t> ends_;
    std::vector<std::int32_t>
        read_;  ///< what the decoder holds, and perhaps more after an error or an interrupt
};

/// "prompt: 5 tokens, 0.01 s, 500 tokens/s; generated: ..." of one or several generations.
[[nodiscard]] std::string describe_speed(std::span<const Generation> generations);

}  // namespace jlcm
