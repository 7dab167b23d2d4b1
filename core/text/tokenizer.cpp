#include "core/text/tokenizer.hpp"

#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/json.hpp"
#include "core/base/json_error.hpp"
#include "core/text/tokenizer_readers.hpp"

namespace jlcm {

std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerSource& source) {
    const auto& [format, data] = source;
    require(!format.empty(), "the model brings no tokenizer");
    std::string hash = Sha256().update(format).update("\n").update(data).hex();
    try {
        if (format == "tokenizer.json") return tokenizer_from_json(data, std::move(hash));
        if (format == "gguf") return tokenizer_from_gguf(data, std::move(hash));
        if (format == "sentencepiece") return tokenizer_from_sentencepiece(data, std::move(hash));
    } catch (const nlohmann::json::exception& error) {
        fail("the tokenizer ({}) is damaged: {}", format, json_error(error));
    } catch (const Error& error) {
        throw error.within(fmt::format("the tokenizer ({})", format));
    }
    fail("tokenizer format \"{}\" is unknown; expected tokenizer.json, sentencepiece or gguf", format);
}

}  // namespace jlcm
