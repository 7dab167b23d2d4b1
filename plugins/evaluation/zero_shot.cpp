#include "core/base/log.hpp"
#include "core/data/choice_task.hpp"
#include "core/model/continuations.hpp"
#include "core/model/divergence.hpp"
#include "core/model/divergence_distribution.hpp"
#include "core/model/noise_floor.hpp"
#include "core/text/tokens.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

namespace jlcm {
namespace {

/// What the figure is; the others are in the record.
enum class Figure : std::uint8_t { automatic, acc, acc_norm, acc_bytes, perplexity };
EnumNames<Figure> enum_names(Figure /*tag*/) {
    return {{Figure::automatic, "automatic",
             "what the file's \"metric\" says, else acc_norm of choices and acc of everything else"},
            {Figure::acc, "acc", "share of items that are right"},
            {Figure::acc_norm, "acc_norm", "the same by log-likelihood per character; of choices only"},
            {Figure::acc_bytes, "acc_bytes", "the same per byte; of choices only"},
            {Figure::perplexity, "perplexity", "of the only continuation; of greedy scoring only"}};
}

struct ZeroShotOptions {
    std::string task;
    std::string file;
    Figure metric = Figure::automatic;
    std::int64_t limit = 0;
    bool bos = false;
    bool noise_floor = false;

    void fields(Fields& v) {
        v("task", task,
          Doc{"Which questions: the path of a task file (docs/tasks.md), or the NAME of one that is in "
              "tasks/ below a data directory. A figure on one task says little; take several."},
          Required{});
        v("file", file,
          Doc{"The task's file if it lies elsewhere: looked for in the current directory and then where named "
              "datasets are. Empty: the task is the file, or tasks/TASK.jsonl."});
        v("metric", metric,
          Doc{"Which of the task's figures is the one that tables show and tests compare."});
        v("limit", limit,
          Doc{"How many items, from the file's start; 0: all. 100 items leave a standard error of 5 %: "
              "compare runs pairwise (jlcm-compare)."},
          at_least(0));
        v("bos", bos,
          Doc{"Put the tokenizer's beginning-of-text token in front; the harness does so if the tokenizer "
              "adds it by itself."});
        noise_floor_field(v, noise_floor);
    }
    void validate(Problems& problems) const {
        if (task.empty()) problems.field("task", "is empty: name a task, or the path of its file");
    }
};

constexpr std::array<std::string_view, 3> endings{".jsonl", ".jsonl.gz", ".json"};

/// "arc_easy" of "my/arc_easy.jsonl.gz".
std::string title_of(const std::string& task) {
    std::string name = std::filesystem::path(task).filename().string();
    for (const std::string_view ending : endings)
        if (name.ends_with(ending) && name.size() > ending.size())
            return name.substr(0, name.size() - ending.size());
    return name;
}

/// Data sets name the split that a file holds behind their own name.
std::filesystem::path find_task(const std::string& name, const Directories& directories) {
    for (const char* split : {"", "_val", "_validation", "_test"})
        for (const std::string_view ending : endings)
            if (auto path = find_data_file(fmt::format("tasks/{}{}{}", name, split, ending), directories);
                !path.empty())
                return path;
    return {};
}

/// The largest log-likelihood by the length that `length` gives each choice; the first of equals.
template <class Length>
std::int64_t choose(const ChoiceItem& item, std::span<const double> scores, Length length) {
    std::int64_t best = 0;
    const auto normalised = [&](std::int64_t i) {
        const auto at = static_cast<std::size_t>(i);
        return scores[at] / length(item.choices[at]);
    };
    for (std::int64_t i = 1; i < std::ssize(item.choices); ++i)
        if (normalised(i) > normalised(best)) best = i;
    return best;
}

/// Code points: Python's len(str).
double characters(const std::string& text) {
    return static_cast<double>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::int64_t choice_by(TaskMetric metric, const ChoiceItem& item, std::span<const double> scores) {
    switch (metric) {
        case TaskMetric::acc_norm:
            return choose(item, scores, characters);
        case TaskMetric::acc_bytes:
            return choose(item, scores,
                          [](const std::string& text) { return static_cast<double>(text.size()); });
        default:
            return choose(item, scores, [](const std::string&) { return 1.0; });
    }
}

struct ValueWithError {
    double value = 0;
    std::optional<double> standard_error;
};

/// Of values of items, with the standard error as the harness has it: with n - 1.
ValueWithError mean(const std::vector<double>& values) {
    const auto n = static_cast<double>(values.size());
    double sum = 0;
    for (const double value : values) sum += value;
    ValueWithError result{.value = sum / n, .standard_error = {}};
    double squares = 0;
    for (const double value : values) squares += (value - result.value) * (value - result.value);
    if (n > 1) result.standard_error = std::sqrt(squares / (n - 1) / n);
    return result;
}

/// What a model makes of the items.
struct Answers {
    /// By metric: the choice that it takes; of greedy scoring 0 where it would write the continuation, else
    /// -1.
    std::map<TaskMetric, std::vector<std::int64_t>> chosen;
    std::vector<double> nll;  ///< of greedy scoring: of each continuation, nats
    std::vector<std::vector<std::int32_t>> greedy;
    std::vector<std::vector<float>>
        logits;  ///< of each item's choices: log-likelihoods less the largest; none of greedy scoring
    bool is_finite = true;
};

Answers answers_of(const ChoiceTask& task, const std::vector<ContinuationTokens>& tokens,
                   const std::vector<double>& scores, std::vector<std::vector<std::int32_t>> greedy) {
    Answers answers{
        .chosen = {},
        .nll = {},
        .greedy = std::move(greedy),
        .logits = {},
        .is_finite = std::ranges::all_of(scores, [](double score) { return std::isfinite(score); })};
    if (task.scoring == TaskScoring::greedy) {
        for (std::size_t i = 0; i < scores.size(); ++i) {
            const auto wanted = std::span(tokens[i].ids).subspan(tokens[i].begin);
            answers.chosen[TaskMetric::acc].push_back(std::ranges::equal(answers.greedy[i], wanted) ? 0 : -1);
            answers.nll.push_back(-scores[i]);
        }
        return answers;
    }
    std::span<const double> rest = scores;
    for (const ChoiceItem& item : task.items) {
        const auto own = rest.first(item.choices.size());
        rest = rest.subspan(item.choices.size());
        for (const TaskMetric metric : metrics_of(task.scoring))
            answers.chosen[metric].push_back(choice_by(metric, item, own));
        std::vector<float>& logits = answers.logits.emplace_back();
        const double largest = *std::ranges::max_element(own);
        for (const double score : own) logits.push_back(static_cast<float>(score - largest));
    }
    return answers;
}

/// KL between what both make of each item's choices, as probabilities: its mean and its distribution.
void add_divergence(const Answers& own, const Answers& original, Figures& figures) {
    if (original.logits.empty()) return;
    std::vector<Divergence> divergences;
    double sum = 0;
    for (std::size_t i = 0; i < original.logits.size(); ++i) {
        if (!own.is_finite || !original.is_finite) {
            divergences.push_back({.kl = std::numeric_limits<float>::quiet_NaN()});
        } else {
            const Reference reference(OutputMeaning::logits, original.logits[i]);
            divergences.push_back({.kl = static_cast<float>(reference.divergence(own.logits[i])),
                                   .confidence = static_cast<float>(reference.confidence())});
        }
        sum += static_cast<double>(divergences.back().kl);
    }
    figures.kl = sum / static_cast<double>(divergences.size());
    figures.more.update(kl_distribution(divergences));
}

/// Accuracies in per cent; a perplexity with its standard error by the delta method.
ValueWithError figure_of(const ChoiceTask& task, const Answers& answers, TaskMetric metric) {
    if (!answers.is_finite) return {.value = not_a_number, .standard_error = not_a_number};
    if (metric == TaskMetric::perplexity) {
        ValueWithError figure = mean(answers.nll);
        figure.value = std::exp(figure.value);
        if (figure.standard_error) *figure.standard_error *= figure.value;
        return figure;
    }
    std::vector<double> right;
    const auto& chosen = answers.chosen.at(metric);
    for (std::size_t i = 0; i < chosen.size(); ++i)
        right.push_back(chosen[i] == task.items[i].gold ? 100.0 : 0.0);
    return mean(right);
}

/// Share of items on which both answer the same: of greedy scoring, write the same.
double agreement_of(const Answers& own, const Answers& original, TaskMetric metric) {
    if (!own.is_finite || !original.is_finite) return not_a_number;
    const auto share = [](const auto& a, const auto& b) {
        double same = 0;
        for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i] ? 1 : 0;
        return same / static_cast<double>(a.size());
    };
    return own.nll.empty() ? share(own.chosen.at(metric), original.chosen.at(metric))
                           : share(own.greedy, original.greedy);
}

class ZeroShot final : public Evaluation {
  public:
    using Options = ZeroShotOptions;
    explicit ZeroShot(Options options) : options_(std::move(options)), title_(title_of(options_.task)) {}

    [[nodiscard]] nlohmann::json data(const Directories& directories) const override {
        return {{"task", title_}, {"task_sha256", read(directories).sha256}};
    }

    [[nodiscard]] Workload workload(const ModelFacts& model, const Directories& directories) const override {
        check(model);
        std::int64_t total = 0;
        const auto tokens = tokens_of(read(directories), model.input);
        for (const ContinuationTokens& each : tokens) total += std::ssize(each.ids);
        const auto texts = std::max<std::int64_t>(1, std::ssize(tokens));
        return {.samples = texts, .length = std::max<std::int64_t>(1, total / texts)};
    }

    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& directories) const override {
        const Tokenizer& tokenizer = models.input.need_tokenizer("zero_shot");
        check(models.facts());
        const ChoiceTask task = read(directories);
        const auto tokens = tokens_of(task, models.input);
        std::vector<Continuation> continuations;
        for (const ContinuationTokens& each : tokens) continuations.push_back({each.ids, each.begin});

        const NoiseFloor floor(options_.noise_floor, models, "zero_shot");
        std::vector<Answers> answers;
        Progress progress(title_, std::ssize(continuations) * std::ssize(floor.models()), "texts");
        for (const BoundModel* model : floor.models()) {
            const std::int64_t before = std::ssize(continuations) * std::ssize(answers);
            std::vector<std::vector<std::int32_t>> greedy;
            const auto scores = log_likelihoods(
                *model, continuations, [&](std::int64_t done) { progress.update(before + done, ""); },
                task.scoring == TaskScoring::greedy ? &greedy : nullptr);
            answers.push_back(answers_of(task, tokens, scores, std::move(greedy)));
        }
        EvaluationResult measured = result(task, answers, tokenizer, tokens);
        floor.fold(measured.models);
        return measured;
    }

    [[nodiscard]] bool has_noise_floor() const override { return options_.noise_floor; }

  private:
    [[nodiscard]] std::filesystem::path find(const Directories& directories) const {
        const std::string& given = options_.file.empty() ? options_.task : options_.file;
        std::error_code ignored;
        if (auto path = place_data(given, directories); std::filesystem::is_regular_file(path, ignored))
            return path;
        auto path = options_.file.empty() ? find_task(options_.task, directories) : std::filesystem::path();
        const char* places = "neither here nor in a directory of data_path or JLCM_DATA";
        if (path.empty() && options_.file.empty())
            fail("zero_shot: there is no task {0}: no file {0} and no tasks/{0}.jsonl, {1}", given, places);
        require(!path.empty(), "zero_shot: there is no file {}, {}", given, places);
        return path;
    }

    /// An input error where the model cannot answer.
    void check(const ModelFacts& model) const {
        const Tokenizer& tokenizer = model.input.need_tokenizer("zero_shot");
        require(model.graph.head() >= 0,
                "zero_shot: the model is an encoder, it predicts no tokens; its evaluation is embedding");
        require(!options_.bos || tokenizer.bos(),
                "zero_shot: the model's tokenizer names no beginning-of-text token; set bos: false");
    }

    [[nodiscard]] ChoiceTask read(const Directories& directories) const {
        ChoiceTask task = read_choice_task(find(directories), options_.limit);
        if (options_.metric == Figure::automatic) return task;
        constexpr std::array wanted{TaskMetric::acc, TaskMetric::acc, TaskMetric::acc_norm,
                                    TaskMetric::acc_bytes, TaskMetric::perplexity};
        task.metric = wanted.at(static_cast<std::size_t>(options_.metric));
        const auto possible = metrics_of(task.scoring);
        std::vector<std::string_view> names;
        for (const TaskMetric each : possible) names.push_back(name_of(each));
        require(std::ranges::find(possible, task.metric) != possible.end(),
                "zero_shot: {} is scored as {}, which has {}, not {}", title_, name_of(task.scoring),
                fmt::join(names, ", "), name_of(task.metric));
        return task;
    }

    /// Every choice of every item behind its context.
    [[nodiscard]] std::vector<ContinuationTokens> tokens_of(const ChoiceTask& task,
                                                            const ModelInput& input) const {
        const Tokenizer& tokenizer = input.need_tokenizer("zero_shot");
        require(!options_.bos || tokenizer.bos(),
                "zero_shot: the model's tokenizer names no beginning-of-text token; set bos: false");
        std::vector<ContinuationTokens> tokens;
        Problems problems;
        for (const ChoiceItem& item : task.items) {
            try {
                for (std::size_t i = 0; i < item.choices.size(); ++i)
                    tokens.push_back(encode_continuation(tokenizer, item.context(i), item.continuations[i],
                                                         options_.bos ? tokenizer.bos() : std::nullopt,
                                                         input.max_positions));
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::input) throw;
                problems.add({item.place, 0, 0}, error.what());
            }
        }
        problems.throw_if_any();
        return tokens;
    }

    [[nodiscard]] EvaluationResult result(const ChoiceTask& task, const std::vector<Answers>& answers,
                                          const Tokenizer& tokenizer,
                                          const std::vector<ContinuationTokens>& tokens) const {
        std::vector<std::int32_t> all;
        for (const ContinuationTokens& each : tokens) all.insert(all.end(), each.ids.begin(), each.ids.end());
        const std::string metric(name_of(task.metric));
        const bool is_perplexity = task.metric == TaskMetric::perplexity;
        EvaluationResult result{.title = fmt::format("{}, zero-shot, {}", title_, metric),
                                .metric = is_perplexity ? metric : metric + " %",
                                .higher_is_better = !is_perplexity,
                                .protocol = {{"task", title_},
                                             {"task_sha256", task.sha256},
                                             {"convention", "lm-evaluation-harness"},
                                             {"task_version", task.version},
                                             {"scoring", name_of(task.scoring)},
                                             {"shots", 0},
                                             {"items", task.items.size()},
                                             {"texts", tokens.size()},
                                             {"tokens_sha256", token_hash(all)},
                                             {"tokenizer_sha256", tokenizer.hash()},
                                             {"bos", options_.bos},
                                             {"standard_error", is_perplexity ? "delta method over items"
                                                                              : "of a mean over items"}},
                                .models = {},
                                .expected = {}};
        if (!is_perplexity) {
            result.expected = nlohmann::json::array();
            for (const ChoiceItem& item : task.items) result.expected.push_back(item.gold);
        }
        for (const Answers& each : answers) {
            result.models.push_back(figures(task, each));
            if (&each == answers.data()) continue;
            result.models.back().agreement = agreement_of(each, answers.front(), task.metric);
            add_divergence(each, answers.front(), result.models.back());
        }
        return result;
    }

    [[nodiscard]] static Figures figures(const ChoiceTask& task, const Answers& answers) {
        const ValueWithError figure = figure_of(task, answers, task.metric);
        Figures result{.value = figure.value,
                       .standard_error = figure.standard_error,
                       .kl = {},
                       .agreement = {},
                       .more = nlohmann::json::object(),
                       .items = {}};
        if (answers.is_finite && task.metric == TaskMetric::perplexity)
            result.items = answers.nll;
        else if (answers.is_finite)
            result.items = answers.chosen.at(task.metric);
        for (const TaskMetric metric : metrics_of(task.scoring)) {
            const ValueWithError each = figure_of(task, answers, metric);
            result.more[name_of(metric)] = each.value;
            result.more[fmt::format("{}_stderr", name_of(metric))] =
                each.standard_error ? nlohmann::json(*each.standard_error) : nlohmann::json();
        }
        return result;
    }

    ZeroShotOptions options_;
    std::string title_;
};

const Registrar<Evaluation, ZeroShot> registrar{
    "zero_shot", "Questions without examples, as lm-evaluation-harness asks and counts them.",
    "Gao et al., lm-evaluation-harness"};

}  // namespace
}  // namespace jlcm
