#include "core/data/samples.hpp"

#include "core/base/refusals.hpp"
#include "core/text/embedded_tokenizer.hpp"
#include "core/text/tokens.hpp"

#include <algorithm>

namespace jlcm {
namespace {

class TokenSource final : public SampleSource {
  public:
    TokenSource(std::vector<TokenizedText> texts, const std::vector<double>& shares, std::int64_t length,
                std::uint64_t seed)
        : texts_(std::move(texts)), length_(length), sampler_(views(), shares, length, seed) {}

    [[nodiscard]] Tensor samples(std::int64_t first, std::int64_t count) const override {
        Tensor ids = Tensor::empty({count, length_}, DType::i32);
        auto* out = ids.data<std::int32_t>();
        for (const auto& window : sampler_.windows(first, count)) out = std::ranges::copy(window, out).out;
        return ids;
    }
    [[nodiscard]] std::string distinct(std::int64_t count) const override {
        return fmt::format("{} tokens", sampler_.distinct_tokens(count));
    }

  private:
    [[nodiscard]] std::vector<const TokenizedText*> views() const {
        std::vector<const TokenizedText*> views;
        for (const TokenizedText& text : texts_) views.push_back(&text);
        return views;
    }
    std::vector<TokenizedText> texts_;
    std::int64_t length_;
    WindowSampler sampler_;
};

class ImageSource final : public SampleSource {
  public:
    ImageSource(std::vector<const ImageData*> data, const std::vector<double>& shares, std::uint64_t seed,
                std::shared_ptr<const Preprocess> preprocess)
        : data_(std::move(data)), draws_(sizes(), shares, seed), preprocess_(std::move(preprocess)) {}

    [[nodiscard]] Tensor samples(std::int64_t first, std::int64_t count) const override {
        std::vector<ImageChoice> chosen;
        for (const auto& draw : draws_.take(first, count))
            chosen.push_back({data_[draw.pool]->images.get(), static_cast<std::int64_t>(draw.index)});
        return preprocessed(chosen, *preprocess_);
    }
    [[nodiscard]] std::string distinct(std::int64_t count) const override {
        const bool are_tensors = dynamic_cast<const TensorSet*>(data_.front()->images.get()) != nullptr;
        return fmt::format("{} {}", draws_.distinct(count), are_tensors ? "samples" : "images");
    }

  private:
    [[nodiscard]] std::vector<std::int64_t> sizes() const {
        std::vector<std::int64_t> sizes;
        for (const ImageData* each : data_) sizes.push_back(each->images->count());
        return sizes;
    }
    std::vector<const ImageData*> data_;
    Draws draws_;
    std::shared_ptr<const Preprocess> preprocess_;
};

/// Images want to be prepared; tensors have to have the network's shape.
void require_readable(const ModelInput& input, const ImageData& data) {
    const auto* tensors = dynamic_cast<const TensorSet*>(data.images.get());
    if (tensors == nullptr) {
        (void)input.need_preprocess(data.name);
        return;
    }
    require(input.preprocess != nullptr, "{} holds tensors, and the model reads text", data.name);
    try {
        input.preprocess->require_readable(*tensors);
    } catch (const Error& error) {
        throw error.within(data.name);
    }
}

}  // namespace

void require_readable(const ModelInput& input, const std::vector<Data>& data, std::int64_t length) {
    Refusals refusals;
    for (const Data& each : data)
        refusals.check([&] {
            if (const auto* images = std::get_if<ImageData>(&each)) {
                require_readable(input, *images);
            } else {
                const Tokenizer& tokenizer = input.need_tokenizer(name_of(each));
                if (refuses_some_texts(tokenizer)) (void)tokenize(std::get<TextData>(each), tokenizer);
                require(length <= input.max_positions, "windows of {} tokens are beyond the model's {}",
                        length, input.max_positions);
            }
        });
    refusals.throw_if_any();
}

std::unique_ptr<SampleSource> make_sample_source(const ModelInput& input, const std::vector<Data>& data,
                                                 const std::vector<double>& shares, std::int64_t length,
                                                 std::uint64_t seed) {
    if (input.tokenizer != nullptr) {
        std::vector<TokenizedText> texts;
        for (const Data& each : data) texts.push_back(tokenize(std::get<TextData>(each), *input.tokenizer));
        return std::make_unique<TokenSource>(std::move(texts), shares, length, seed);
    }
    std::vector<const ImageData*> sets;
    for (const Data& each : data) sets.push_back(&std::get<ImageData>(each));
    return std::make_unique<ImageSource>(std::move(sets), shares, seed, input.preprocess);
}

}  // namespace jlcm
