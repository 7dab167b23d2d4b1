#include "core/text/embedded_tokenizer.hpp"

#include "core/base/error.hpp"

#include <array>
#include <map>
#include <utility>

namespace jlcm {
namespace {

class EmbeddedTokenizer final : public Tokenizer {
  public:
    EmbeddedTokenizer(std::unique_ptr<Tokenizer> tokenizer, std::int64_t rows)
        : Tokenizer(ends_of(*tokenizer, rows), tokenizer->hash()),
          tokenizer_(std::move(tokenizer)),
          rows_(rows) {}

    [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const override {
        auto ids = tokenizer_->encode(text);
        std::map<std::int32_t, std::int64_t> beyond;
        for (const std::int32_t id : ids)
            if (id >= rows_) ++beyond[id];
        if (!beyond.empty()) refuse(beyond);
        return ids;
    }

    [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
        return tokenizer_->decode(ids);
    }
    [[nodiscard]] std::int32_t vocabulary_size() const override { return tokenizer_->vocabulary_size(); }

  private:
    static Ends ends_of(const Tokenizer& tokenizer, std::int64_t rows) {
        const auto kept = [&](std::optional<std::int32_t> id) {
            return id && *id < rows ? id : std::nullopt;
        };
        return {kept(tokenizer.bos()), kept(tokenizer.eos())};
    }

    [[noreturn]] void refuse(const std::map<std::int32_t, std::int64_t>& beyond) const {
        constexpr std::size_t most = 5;
        std::string list;
        std::size_t told = 0;
        for (const auto& [id, count] : beyond) {
            if (++told > most) break;
            list += fmt::format("{}\"{}\" (id {}, {} times)", list.empty() ? "" : ", ",
                                tokenizer_->decode(std::array{id}), id, count);
        }
        if (beyond.size() > most) list += fmt::format(" and {} more", beyond.size() - most);
        fail(
            "the text has tokens that the model cannot read: {}. Its embedding has {} rows, for the ids below "
            "{}: take these tokens out of the text, or take the tokenizer that belongs to the model",
            list, rows_, rows_);
    }

    std::unique_ptr<Tokenizer> tokenizer_;
    std::int64_t rows_;
};

}  // namespace

std::unique_ptr<Tokenizer> with_embedding(std::unique_ptr<Tokenizer> tokenizer, std::int64_t rows) {
    if (tokenizer->vocabulary_size() <= rows) return tokenizer;
    return std::make_unique<EmbeddedTokenizer>(std::move(tokenizer), rows);
}

bool refuses_some_texts(const Tokenizer& tokenizer) {
    return dynamic_cast<const EmbeddedTokenizer*>(&tokenizer) != nullptr;
}

}  // namespace jlcm
