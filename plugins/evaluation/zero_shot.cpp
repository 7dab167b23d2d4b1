#include "core/base/log.hpp"
#include "core/data/choice_task.hpp"
#include "core/model/continuations.hpp"
#include "core/model/evaluation.hpp"
#include "core/text/tokens.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace jlcm {
namespace {

enum class Task : std::uint8_t {
    hellaswag,
    piqa,
    arc_easy,
    arc_challenge,
    winogrande,
    boolq,
    openbookqa,
};

/// What the harness says of a task: tasks/TASK/*.yaml.
struct TaskFacts {
    Task task;
    std::string_view name;
    std::string_view file;
    const char* version;  ///< of the task in the harness
    bool has_normalised;  ///< whether it has acc_norm, which then is the figure
};

constexpr std::array tasks{
    TaskFacts{Task::hellaswag, "hellaswag", "tasks/hellaswag_val.jsonl", "1.0", true},
    TaskFacts{Task::piqa, "piqa", "tasks/piqa.jsonl", "1.0", true},
    TaskFacts{Task::arc_easy, "arc_easy", "tasks/arc_easy.jsonl", "1.0", true},
    TaskFacts{Task::arc_challenge, "arc_challenge", "tasks/arc_challenge.jsonl", "1.0", true},
    TaskFacts{Task::winogrande, "winogrande", "tasks/winogrande.jsonl", "1.0", false},
    TaskFacts{Task::boolq, "boolq", "tasks/boolq.jsonl", "2.0", false},
    TaskFacts{Task::openbookqa, "openbookqa", "tasks/openbookqa.jsonl", "1.0", true},
};

const TaskFacts& facts_of(Task task) {
    return *std::ranges::find(tasks, task, &TaskFacts::task);
}

EnumNames<Task> enum_names(Task /*tag*/) {
    return {{Task::hellaswag, "hellaswag", "the end of a scene, 4 choices (Zellers et al. 2019)"},
            {Task::piqa, "piqa", "physical common sense, 2 choices (Bisk et al. 2020)"},
            {Task::arc_easy, "arc_easy", "science questions, 4 choices (Clark et al. 2018)"},
            {Task::arc_challenge, "arc_challenge", "the harder ones of them"},
            {Task::winogrande, "winogrande", "whom a pronoun means, 2 choices (Sakaguchi et al. 2019)"},
            {Task::boolq, "boolq", "yes or no about a passage (Clark et al. 2019)"},
            {Task::openbookqa, "openbookqa", "elementary science, 4 choices (Mihaylov et al. 2018)"}};
}

struct ZeroShotOptions {
    Task task = Task::hellaswag;
    std::string file;
    std::int64_t limit = 0;
    bool bos = false;

    void fields(Fields& v) {
        v("task", task, Doc{"Which questions. A figure on one task says little; take several."}, Required{});
        v("file", file,
          Doc{"The items, one JSON object a line; looked for in the current directory and then where named "
              "datasets are. Empty: tasks/TASK.jsonl."});
        v("limit", limit,
          Doc{"How many items, from the file's start; 0: all. 100 items leave a standard error of 5 %: "
              "compare runs pairwise (jlcm-compare)."},
          at_least(0));
        v("bos", bos,
          Doc{"Put the tokenizer's beginning-of-text token in front; the harness does so where the tokenizer "
              "adds it by itself."});
    }
};

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

/// What a model chooses for each item, under each way of scoring.
struct Choices {
    std::vector<std::int64_t> plain;
    std::vector<std::int64_t> by_characters;
    std::vector<std::int64_t> by_bytes;
};

Choices choices_of(const ChoiceTask& task, const std::vector<double>& scores) {
    Choices result;
    std::span<const double> rest = scores;
    for (const ChoiceItem& item : task.items) {
        const auto own = rest.first(item.choices.size());
        rest = rest.subspan(item.choices.size());
        result.plain.push_back(choose(item, own, [](const std::string&) { return 1.0; }));
        result.by_characters.push_back(choose(item, own, characters));
        result.by_bytes.push_back(
            choose(item, own, [](const std::string& text) { return static_cast<double>(text.size()); }));
    }
    return result;
}

/// Per cent, with the standard error of a mean as the harness has it: with n - 1.
struct Accuracy {
    double value = 0;
    std::optional<double> standard_error;
    Accuracy(const ChoiceTask& task, const std::vector<std::int64_t>& chosen) {
        double right = 0;
        for (std::size_t i = 0; i < chosen.size(); ++i) right += chosen[i] == task.items[i].gold ? 1 : 0;
        const auto n = static_cast<double>(chosen.size());
        const double share = right / n;
        value = 100 * share;
        if (n > 1) standard_error = 100 * std::sqrt(share * (1 - share) / (n - 1));
    }
    void write(const char* name, nlohmann::json& json) const {
        json[name] = value;
        json[fmt::format("{}_stderr", name)] =
            standard_error ? nlohmann::json(*standard_error) : nlohmann::json();
    }
};

class ZeroShot final : public Evaluation {
  public:
    using Options = ZeroShotOptions;
    explicit ZeroShot(Options options) : options_(std::move(options)), facts_(facts_of(options_.task)) {}

    [[nodiscard]] nlohmann::json data(const Directories& directories) const override {
        return {{"task", facts_.name}, {"task_sha256", read(directories).sha256}};
    }

    [[nodiscard]] Workload workload(const ModelInput& input, const Directories& directories) const override {
        std::int64_t total = 0;
        const auto tokens = tokens_of(read(directories), input);
        for (const ContinuationTokens& each : tokens) total += std::ssize(each.ids);
        const auto texts = std::max<std::int64_t>(1, std::ssize(tokens));
        return {.samples = texts, .length = std::max<std::int64_t>(1, total / texts)};
    }

    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& directories) const override {
        const Tokenizer& tokenizer = models.input.need_tokenizer("zero_shot");
        require(models.models.front()->head().defined(),
                "zero_shot: the model is an encoder, it predicts no tokens; its evaluation is embedding");
        require(!options_.bos || tokenizer.bos(),
                "zero_shot: the model's tokenizer names no beginning-of-text token; set bos: false");
        const ChoiceTask task = read(directories);
        const auto tokens = tokens_of(task, models.input);
        std::vector<Continuation> continuations;
        for (const ContinuationTokens& each : tokens) continuations.push_back({each.ids, each.begin});

        std::vector<Choices> chosen;
        Progress progress(std::string(facts_.name), std::ssize(continuations) * std::ssize(models.models),
                          "texts");
        for (const BoundModel* model : models.models) {
            const std::int64_t before = std::ssize(continuations) * std::ssize(chosen);
            chosen.push_back(choices_of(task, log_likelihoods(*model, continuations, [&](std::int64_t done) {
                                            progress.update(before + done, "");
                                        })));
        }
        return result(task, chosen, tokenizer, tokens);
    }

  private:
    [[nodiscard]] ChoiceTask read(const Directories& directories) const {
        const std::string file = options_.file.empty() ? std::string(facts_.file) : options_.file;
        const auto path = place_data(file, directories);
        require(std::filesystem::is_regular_file(path),
                "the task {} needs the file {}, which is neither here nor in a directory of JLCM_DATA",
                facts_.name, file);
        return read_choice_task(path, options_.limit);
    }

    /// Every choice of every item behind its context.
    [[nodiscard]] std::vector<ContinuationTokens> tokens_of(const ChoiceTask& task,
                                                            const ModelInput& input) const {
        const Tokenizer& tokenizer = input.need_tokenizer("zero_shot");
        std::vector<ContinuationTokens> tokens;
        for (const ChoiceItem& item : task.items)
            for (std::size_t i = 0; i < item.choices.size(); ++i)
                tokens.push_back(encode_continuation(tokenizer, item.context(i), item.continuations[i],
                                                     options_.bos ? tokenizer.bos() : std::nullopt,
                                                     input.max_positions));
        return tokens;
    }

    [[nodiscard]] const std::vector<std::int64_t>& figure_of(const Choices& choices) const {
        return facts_.has_normalised ? choices.by_characters : choices.plain;
    }

    [[nodiscard]] EvaluationResult result(const ChoiceTask& task, const std::vector<Choices>& chosen,
                                          const Tokenizer& tokenizer,
                                          const std::vector<ContinuationTokens>& tokens) const {
        std::vector<std::int32_t> all;
        for (const ContinuationTokens& each : tokens) all.insert(all.end(), each.ids.begin(), each.ids.end());
        const char* metric = facts_.has_normalised ? "acc_norm" : "acc";
        EvaluationResult result{.title = fmt::format("{}, zero-shot, {}", facts_.name, metric),
                                .metric = fmt::format("{} %", metric),
                                .higher_is_better = true,
                                .protocol = {{"task", facts_.name},
                                             {"task_sha256", task.sha256},
                                             {"convention", "lm-evaluation-harness"},
                                             {"task_version", facts_.version},
                                             {"shots", 0},
                                             {"items", task.items.size()},
                                             {"texts", tokens.size()},
                                             {"tokens_sha256", token_hash(all)},
                                             {"tokenizer_sha256", tokenizer.hash()},
                                             {"bos", options_.bos},
                                             {"standard_error", "of a mean over items"}},
                                .models = {},
                                .expected = nlohmann::json::array()};
        for (const ChoiceItem& item : task.items) result.expected.push_back(item.gold);
        for (const Choices& each : chosen)
            result.models.push_back(figures(task, each, &each == chosen.data() ? nullptr : chosen.data()));
        return result;
    }

    /// `original`: its choices, null for the original itself.
    [[nodiscard]] Figures figures(const ChoiceTask& task, const Choices& own, const Choices* original) const {
        const Accuracy plain(task, own.plain);
        const Accuracy by_characters(task, own.by_characters);
        const Accuracy& figure = facts_.has_normalised ? by_characters : plain;
        Figures result{.value = figure.value,
                       .standard_error = figure.standard_error,
                       .kl = {},
                       .agreement = {},
                       .more = nlohmann::json::object(),
                       .items = figure_of(own)};
        plain.write("acc", result.more);
        if (facts_.has_normalised) {
            by_characters.write("acc_norm", result.more);
            Accuracy(task, own.by_bytes).write("acc_bytes", result.more);
        }
        if (original == nullptr) return result;
        std::int64_t same = 0;
        for (std::size_t i = 0; i < task.items.size(); ++i)
            same += figure_of(own)[i] == figure_of(*original)[i] ? 1 : 0;
        result.agreement = static_cast<double>(same) / static_cast<double>(task.items.size());
        return result;
    }

    ZeroShotOptions options_;
    const TaskFacts& facts_;
};

const Registrar<Evaluation, ZeroShot> registrar{
    "zero_shot", "Multiple-choice questions without examples, as lm-evaluation-harness asks and counts them.",
    "Gao et al., lm-evaluation-harness"};

}  // namespace
}  // namespace jlcm
