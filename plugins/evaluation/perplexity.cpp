#include "core/base/log.hpp"
#include "core/model/noise_floor.hpp"
#include "core/text/tokens.hpp"

#include <cmath>

namespace jlcm {

inline EnumNames<Positions> enum_names(Positions /*tag*/) {
    return {{Positions::all, "all", "every position of a window but its first"},
            {Positions::second_half, "second_half", "targets behind the middle, as llama.cpp does"}};
}

namespace {

struct PerplexityOptions {
    DatasetChoice dataset;
    std::int64_t context = 2048;
    std::int64_t windows = 0;
    Positions positions = Positions::all;
    bool bos = false;
    bool noise_floor = false;

    void fields(Fields& v) {
        v("dataset", dataset, Doc{"The text. Its documents are taken one after the other, as one text."},
          Required{});
        v("context", context,
          Doc{"Tokens of a window; windows do not overlap. Longer contexts give lower figures: "
              "never compare across them."},
          Range{2, 1 << 20});
        v("windows", windows,
          Doc{"How many windows, from the start of the text; 0: all. 20 windows of 2048 tell methods apart, "
              "the standard error says how well."},
          at_least(0));
        v("positions", positions, Doc{"Which positions of a window are scored."});
        v("bos", bos,
          Doc{"Put the tokenizer's beginning-of-text token in place of each window's first token."});
        noise_floor_field(v, noise_floor);
    }
};

/// exp of the mean negative log-likelihood. Standard error by the delta method over windows (each window is
/// one draw: tokens of one window are not independent).
Figures figures(const std::vector<WindowScore>& windows, bool has_reference) {
    WindowScore total;
    for (const WindowScore& window : windows) total += window;
    const auto tokens = static_cast<double>(total.tokens);
    const double mean = total.nll / tokens;
    Figures result{
        .value = std::exp(mean), .standard_error = {}, .kl = {}, .agreement = {}, .more = {}, .items = {}};
    for (const WindowScore& window : windows)
        result.items.push_back(window.nll / static_cast<double>(window.tokens));
    if (const auto n = static_cast<double>(windows.size()); n > 1) {
        double squares = 0;
        for (const WindowScore& window : windows) {
            const double difference = window.nll / static_cast<double>(window.tokens) - mean;
            squares += difference * difference;
        }
        result.standard_error = result.value * std::sqrt(squares / (n - 1) / n);
    }
    if (has_reference) {
        result.kl = total.kl / tokens;
        // Logits that are not finite have no most likely token.
        result.agreement =
            std::isfinite(*result.kl) ? static_cast<double>(total.agree) / tokens : not_a_number;
        result.more = kl_distribution(total.divergences);
    }
    return result;
}

class Perplexity final : public Evaluation {
  public:
    using Options = PerplexityOptions;
    explicit Perplexity(const Options& options) : options_(options), dataset_(options.dataset.make()) {}

    [[nodiscard]] nlohmann::json data(const Directories& directories) const override {
        return identity_of(load_text(*dataset_, directories));
    }

    [[nodiscard]] Workload workload(const ModelFacts& model, const Directories& directories) const override {
        check(model);
        const TokenizedText tokens = tokens_of(load_text(*dataset_, directories), model.input);
        const std::int64_t windows = std::ssize(tokens.ids) / options_.context;
        return {.samples = options_.windows > 0 ? std::min(windows, options_.windows) : windows,
                .length = options_.context};
    }

    [[nodiscard]] std::int64_t longest_sample() const override { return options_.context; }
    [[nodiscard]] bool has_noise_floor() const override { return options_.noise_floor; }

    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& directories) const override {
        check(models.facts());
        const Tokenizer& tokenizer = models.input.need_tokenizer("perplexity");
        const TextData text = load_text(*dataset_, directories);
        const TokenizedText tokens = tokens_of(text, models.input);
        const std::int32_t bos = options_.bos ? tokenizer.bos().value_or(-1) : -1;
        const ScoringOptions scoring{
            .context = options_.context, .positions = options_.positions, .bos = bos};
        std::optional<Progress> progress;
        const NoiseFloor floor(options_.noise_floor, models, "perplexity");
        const auto scores = score_windows(
            floor.models(), tokens.ids, scoring, options_.windows,
            [&](std::int64_t done, std::int64_t windows, const WindowScore& sum) {
                if (!progress) progress.emplace("perplexity", windows, "windows");
                progress->update(done,
                                 fmt::format("{:.2f}", std::exp(sum.nll / static_cast<double>(sum.tokens))));
            });

        EvaluationResult result{
            .title = fmt::format("perplexity, {}, context {}{}", text.name, options_.context,
                                 options_.positions == Positions::all ? "" : ", second half"),
            .metric = "perplexity",
            .higher_is_better = false,
            .protocol = {},
            .models = {},
            .expected = {}};
        for (std::size_t m = 0; m < scores.size(); ++m) result.models.push_back(figures(scores[m], m > 0));
        floor.fold(result.models);
        std::int64_t scored = 0;
        for (const WindowScore& window : scores.front()) scored += window.tokens;
        result.protocol = {{"text", text.name},
                           {"text_sha256", text.sha256},
                           {"text_source", text.source},
                           {"tokens_sha256", token_hash(tokens.ids)},
                           {"tokens_of_text", tokens.ids.size()},
                           {"tokenizer_sha256", tokenizer.hash()},
                           {"context", options_.context},
                           {"stride", options_.context},
                           {"positions", options_.positions == Positions::all ? "all" : "second_half"},
                           {"bos", options_.bos},
                           {"windows", scores.front().size()},
                           {"tokens_scored", scored},
                           {"standard_error", "delta method over windows"}};
        return result;
    }

  private:
    /// An input error where the model has no perplexity.
    void check(const ModelFacts& model) const {
        const Tokenizer& tokenizer = model.input.need_tokenizer("perplexity");
        require(model.graph.head() >= 0,
                "perplexity: the model is an encoder, it predicts no tokens; its evaluation is embedding");
        require(options_.context <= model.input.max_positions,
                "perplexity: a context of {} tokens is beyond the model's {}", options_.context,
                model.input.max_positions);
        require(!options_.bos || tokenizer.bos(),
                "perplexity: the model's tokenizer names no beginning-of-text token; set bos: false");
    }

    [[nodiscard]] TokenizedText tokens_of(const TextData& text, const ModelInput& input) const {
        TokenizedText tokens = tokenize(text, input.need_tokenizer("perplexity"));
        require(std::ssize(tokens.ids) >= options_.context,
                "perplexity: {} has {} tokens, fewer than one window of {}", text.name, tokens.ids.size(),
                options_.context);
        return tokens;
    }

    PerplexityOptions options_;
    std::unique_ptr<Dataset> dataset_;
};

const Registrar<Evaluation, Perplexity> registrar{
    "perplexity", "Perplexity of a text, with KL divergence and top-1 agreement to the original."};

}  // namespace
}  // namespace jlcm
