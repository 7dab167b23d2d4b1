#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/model/evaluation.hpp"
#include "core/text/tokens.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

struct EmbeddingOptions {
    DatasetChoice dataset;
    std::int64_t length = 128;
    std::int64_t windows = 0;

    void fields(Fields& v) {
        v("dataset", dataset,
          Doc{"The text. It is cut into windows, which are embedded one by one, between the tokenizer's "
              "tokens for the beginning and the end of a text."},
          Required{});
        v("length", length, Doc{"Tokens of a window, with those at its ends."}, Range{3, 1 << 20});
        v("windows", windows, Doc{"How many windows, from the start of the text; 0: all."}, at_least(0));
    }
};

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

/// The mean over a window's tokens (rows of `features`), of length one.
Vector embedding_of(const Tensor& features, std::int64_t first, std::int64_t length) {
    const std::int64_t width = features.cols();
    Vector mean(static_cast<std::size_t>(width), 0.0);
    for (std::int64_t row = first; row < first + length; ++row)
        for (std::int64_t j = 0; j < width; ++j)
            mean[static_cast<std::size_t>(j)] += static_cast<double>(features.data<float>()[row * width + j]);
    const double size = std::sqrt(dot(mean, mean));
    if (size > 0)
        for (double& value : mean) value /= size;
    return mean;
}

/// For each window which other one is nearest; the first of equals.
std::vector<std::size_t> neighbours(const std::vector<Vector>& embeddings) {
    std::vector<std::size_t> nearest(embeddings.size(), 0);
    std::vector<double> best(embeddings.size(), -2.0);
    for (std::size_t i = 0; i < embeddings.size(); ++i)
        for (std::size_t j = 0; j < embeddings.size(); ++j) {
            if (i == j) continue;
            const double cosine = dot(embeddings[i], embeddings[j]);
            if (cosine <= best[i]) continue;
            best[i] = cosine;
            nearest[i] = j;
        }
    return nearest;
}

Figures figures(const std::vector<Vector>& own, const std::vector<Vector>& original) {
    Vector cosines;
    for (std::size_t i = 0; i < own.size(); ++i) cosines.push_back(dot(own[i], original[i]));
    const auto n = static_cast<double>(cosines.size());
    double mean = 0;
    for (const double cosine : cosines) mean += cosine / n;
    double squares = 0;
    for (const double cosine : cosines) squares += (cosine - mean) * (cosine - mean);
    Figures result{
        .value = mean,
        .standard_error = {},
        .kl = {},
        .agreement = {},
        .more = {{"minimum", std::isfinite(mean) ? *std::ranges::min_element(cosines) : not_a_number}},
        .items = cosines};
    if (n > 1) result.standard_error = std::sqrt(squares / (n - 1) / n);
    if (&own == &original || own.size() < 3) return result;
    if (!std::isfinite(mean)) {
        result.agreement = not_a_number;
        return result;
    }
    const auto found = neighbours(own);
    const auto expected = neighbours(original);
    double same = 0;
    for (std::size_t i = 0; i < found.size(); ++i) same += found[i] == expected[i] ? 1 : 0;
    result.agreement = same / n;
    return result;
}

class Embedding final : public Evaluation {
  public:
    using Options = EmbeddingOptions;
    explicit Embedding(const Options& options) : options_(options), dataset_(options.dataset.make()) {}

    [[nodiscard]] nlohmann::json data(const Directories& directories) const override {
        return identity_of(load_text(*dataset_, directories));
    }

    [[nodiscard]] Workload workload(const ModelFacts& model, const Directories& directories) const override {
        check(model);
        const Tokenizer& tokenizer = model.input.need_tokenizer("embedding");
        const TokenizedText tokens = tokenize(load_text(*dataset_, directories), tokenizer);
        return {.samples = windows_of(tokens.ids, tokenizer).rows(), .length = options_.length};
    }

    [[nodiscard]] std::int64_t longest_sample() const override { return options_.length; }

    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& directories) const override {
        check(models.facts());
        const Tokenizer& tokenizer = models.input.need_tokenizer("embedding");
        const TextData text = load_text(*dataset_, directories);
        const TokenizedText tokens = tokenize(text, tokenizer);
        const Tensor ids = windows_of(tokens.ids, tokenizer);
        std::vector<std::vector<Vector>> embeddings(models.models.size());
        embed(models, ids, embeddings);

        EvaluationResult result{
            .title = fmt::format("cosine to the original, {}, {} tokens", text.name, options_.length),
            .metric = "cosine",
            .higher_is_better = true,
            .protocol = {{"text", text.name},
                         {"text_sha256", text.sha256},
                         {"text_source", text.source},
                         {"tokens_sha256", token_hash(ids.values<std::int32_t>())},
                         {"tokenizer_sha256", tokenizer.hash()},
                         {"length", options_.length},
                         {"windows", ids.rows()},
                         {"embedding", "mean over tokens, of length one"},
                         {"standard_error", "of a mean over windows"}},
            .models = {},
            .expected = {}};
        for (const auto& each : embeddings) result.models.push_back(figures(each, embeddings.front()));
        return result;
    }

  private:
    /// An input error where the model has no embeddings.
    void check(const ModelFacts& model) const {
        (void)model.input.need_tokenizer("embedding");
        require(model.graph.head() < 0,
                "embedding: the model predicts tokens, it is no encoder; its evaluation is perplexity");
        require(options_.length <= model.input.max_positions,
                "embedding: windows of {} tokens are beyond the model's {}", options_.length,
                model.input.max_positions);
    }

    /// [windows, length]
    [[nodiscard]] Tensor windows_of(std::span<const std::int32_t> tokens, const Tokenizer& tokenizer) const {
        const std::optional<std::int32_t> bos = tokenizer.bos();
        const std::optional<std::int32_t> eos = tokenizer.eos();
        const std::int64_t ends = (bos ? 1 : 0) + (eos ? 1 : 0);
        auto windows = cut_windows(tokens, options_.length - ends);
        if (options_.windows > 0 && std::ssize(windows) > options_.windows)
            windows.resize(static_cast<std::size_t>(options_.windows));
        require(!windows.empty(), "embedding: the text has {} tokens, fewer than one window of {}",
                tokens.size(), options_.length - ends);
        Tensor ids = Tensor::empty({std::ssize(windows), options_.length}, DType::i32);
        auto* out = ids.data<std::int32_t>();
        for (const auto& window : windows) {
            if (bos) *out++ = *bos;
            out = std::ranges::copy(window, out).out;
            if (eos) *out++ = *eos;
        }
        return ids;
    }

    void embed(const EvaluatedModels& models, const Tensor& ids,
               std::vector<std::vector<Vector>>& embeddings) const {
        const std::int64_t batch = std::max<std::int64_t>(1, 2048 / options_.length);
        Progress progress("embedding", ids.rows(), "windows");
        for (std::int64_t begin = 0; begin < ids.rows(); begin += batch) {
            throw_if_interrupted();
            const std::int64_t end = std::min(ids.rows(), begin + batch);
            const Tensor samples = ids.slice(begin, end);
            for (std::size_t m = 0; m < embeddings.size(); ++m) {
                const Tensor features = models.models[m]->features(samples);
                for (std::int64_t w = 0; w < end - begin; ++w)
                    embeddings[m].push_back(embedding_of(features, w * options_.length, options_.length));
            }
            progress.update(end, "");
        }
    }

    EmbeddingOptions options_;
    std::unique_ptr<Dataset> dataset_;
};

const Registrar<Evaluation, Embedding> registrar{
    "embedding", "How near an encoder's embeddings of a text's windows stay to the original's: their cosine.",
    "Reimers & Gurevych, Sentence-BERT, 2019, section 3 (mean pooling)"};

}  // namespace
}  // namespace jlcm
