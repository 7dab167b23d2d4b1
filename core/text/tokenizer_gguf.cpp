#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/formats/gguf_pre_tokenizer.hpp"
#include "core/formats/gguf_tokenizer.hpp"
#include "core/formats/json.hpp"
#include "core/formats/sentencepiece_model.hpp"
#include "core/text/added_tokens.hpp"
#include "core/text/bpe_tokenizer.hpp"
#include "core/text/tokenizer_readers.hpp"
#include "core/text/utf8.hpp"

#include <utility>

namespace jlcm {

namespace {

/// What llama.cpp looks for in a text (with parse_special).
std::vector<AddedToken> added_tokens_of(const GgufTokenizer& given) {
    std::vector<AddedToken> added;
    for (std::size_t i = 0; i < given.types.size(); ++i)
        if (given.types[i] == TokenType::control || given.types[i] == TokenType::user_defined ||
            given.types[i] == TokenType::unknown)
            added.push_back({given.tokens[i], static_cast<std::int32_t>(i)});
    return added;
}

std::unique_ptr<Tokenizer> byte_level_from(GgufTokenizer given, std::string hash) {
    BpeDefinition definition;
    definition.byte_level = true;
    definition.added = added_tokens_of(given);
    definition.tokens = std::move(given.tokens);
    for (const std::string& merge : given.merges) definition.merges.push_back(split_merge(merge));

    if (!given.pre)
        log_warning(
            "the model names no pre-tokenizer (tokenizer.ggml.pre); using \"default\", which may be wrong");
    const GgufPreTokenizer& pre = gguf_pre_tokenizer(given.pre.value_or("default"));
    for (const std::string& pattern : pre.patterns)
        definition.split.push_back(split_step(pattern, SplitBehavior::isolated));
    definition.ignore_merges = pre.ignore_merges;
    definition.bos = given.special_id("bos");
    definition.eos = given.special_id("eos");
    return std::make_unique<BpeTokenizer>(std::move(definition), std::move(hash));
}

/// llama.cpp's reading of a SentencePiece model: the text is cut at added tokens, and every part of it is
/// encoded as if it stood alone, with a space before it (llama-vocab.cpp, llama_vocab::impl::tokenize).
class PartwiseTokenizer final : public Tokenizer {
  public:
    PartwiseTokenizer(std::unique_ptr<Tokenizer> parts, const std::vector<AddedToken>& added)
        : Tokenizer({parts->bos(), parts->eos()}, parts->hash()), parts_(std::move(parts)), added_(added) {}

    [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const override {
        std::vector<std::int32_t> ids;
        added_.split(valid_utf8(text), [&](std::string_view part, std::optional<std::int32_t> id) {
            if (id) {
                ids.push_back(*id);
                return;
            }
            const auto own = parts_->encode(part);
            ids.insert(ids.end(), own.begin(), own.end());
        });
        return ids;
    }
    [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
        return parts_->decode(ids);
    }
    [[nodiscard]] std::int32_t vocabulary_size() const override { return parts_->vocabulary_size(); }

  private:
    std::unique_ptr<Tokenizer> parts_;
    AddedTokens added_;
};

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(std::string_view data, std::string hash) {
    GgufTokenizer given = read_gguf_tokenizer(parse_json(data));
    if (given.model == "gpt2") return byte_level_from(std::move(given), std::move(hash));
    require(
        given.model == "llama" || given.model == "t5",
        "the tokenizer model \"{}\" (tokenizer.ggml.model) is not implemented; there are gpt2, llama and t5",
        given.model);
    auto pieces = tokenizer_from_sentencepiece(serialized(sentencepiece_model(given)), std::move(hash));
    if (given.sentencepiece_rules) return pieces;
    return std::make_unique<PartwiseTokenizer>(std::move(pieces), added_tokens_of(given));
}

}  // namespace jlcm
