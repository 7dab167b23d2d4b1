#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/formats/gguf_pre_tokenizer.hpp"
#include "core/formats/gguf_tokenizer.hpp"
#include "core/formats/json.hpp"
#include "core/formats/sentencepiece_model.hpp"
#include "core/text/added_tokens.hpp"
#include "core/text/bpe_tokenizer.hpp"
#include "core/text/tokenizer_readers.hpp"

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
    definition.overlap = Overlap::longest;
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

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(std::string_view data, std::string hash) {
    GgufTokenizer given = read_gguf_tokenizer(parse_json(data));
    if (given.model == "gpt2") return byte_level_from(std::move(given), std::move(hash));
    require(
        given.model == "llama" || given.model == "t5",
        "the tokenizer model \"{}\" (tokenizer.ggml.model) is not implemented; there are gpt2, llama and t5",
        given.model);
    const std::string model = serialized(sentencepiece_model(given));
    if (given.sentencepiece_rules) return tokenizer_from_sentencepiece(model, std::move(hash));
    // llama.cpp cuts the text at added tokens and puts a space before each part (llama_vocab::impl::tokenize).
    return tokenizer_from_sentencepiece(model, std::move(hash), added_tokens_of(given));
}

}  // namespace jlcm
