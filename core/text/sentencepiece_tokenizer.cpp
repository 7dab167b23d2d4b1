#include "core/base/error.hpp"
#include "core/text/tokenizer_readers.hpp"
#include "core/text/utf8.hpp"

#include <sentencepiece_processor.h>

namespace jlcm {

namespace {

using sentencepiece::SentencePieceProcessor;

class SentencePieceTokenizer final : public Tokenizer {
  public:
    SentencePieceTokenizer(std::unique_ptr<SentencePieceProcessor> processor, std::string hash,
                           const std::vector<AddedToken>& added)
        : Tokenizer(ends_of(*processor), std::move(hash)),
          processor_(std::move(processor)),
          added_(added, Overlap::longest) {}

    [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const override {
        std::vector<std::int32_t> all;
        const std::string valid = valid_utf8(text);
        added_.split(valid, [&](std::string_view section, std::optional<std::int32_t> id) {
            if (id) {
                all.push_back(*id);
                return;
            }
            std::vector<int> ids;
            const auto status = processor_->Encode(section, &ids);
            require(status.ok(), "SentencePiece can't encode a text: {}", status.ToString());
            all.insert(all.end(), ids.begin(), ids.end());
        });
        return all;
    }

    [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
        for (const std::int32_t id : ids)
            require(id >= 0 && id < vocabulary_size(), "token id {} is outside the vocabulary of {}", id,
                    vocabulary_size());
        std::string text;
        const auto status = processor_->Decode(std::vector<int>(ids.begin(), ids.end()), &text);
        require(status.ok(), "SentencePiece can't decode: {}", status.ToString());
        return text;
    }

    [[nodiscard]] std::int32_t vocabulary_size() const override { return processor_->GetPieceSize(); }

  private:
    static Ends ends_of(const SentencePieceProcessor& processor) {
        const auto optional_id = [](int id) {
            return id >= 0 ? std::optional<std::int32_t>(id) : std::nullopt;
        };
        return {optional_id(processor.bos_id()), optional_id(processor.eos_id())};
    }
    std::unique_ptr<SentencePieceProcessor> processor_;
    AddedTokens added_;
};

std::unique_ptr<SentencePieceProcessor> processor_of(std::string_view data) {
    auto processor = std::make_unique<SentencePieceProcessor>();
    try {
        const auto status = processor->LoadFromSerializedProto(data);
        require(status.ok(), "SentencePiece doesn't take the model: {}", status.ToString());
    } catch (const Error&) {
        throw;
    } catch (const std::exception& error) {  // of the tries inside it, for pieces that are empty
        fail("SentencePiece doesn't take the model: {}", error.what());
    }
    return processor;
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view data, std::string hash) {
    auto processor = processor_of(data);
    std::vector<AddedToken> added;
    for (int id = 0; id < processor->GetPieceSize(); ++id)
        if (processor->IsControl(id) || processor->IsUnknown(id))
            added.push_back({processor->IdToPiece(id), id});
    return std::make_unique<SentencePieceTokenizer>(std::move(processor), std::move(hash), added);
}

std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view data, std::string hash,
                                                        const std::vector<AddedToken>& added) {
    return std::make_unique<SentencePieceTokenizer>(processor_of(data), std::move(hash), added);
}

}  // namespace jlcm
