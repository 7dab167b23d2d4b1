#include "core/data/choice_task.hpp"

#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/data/task_rows.hpp"
#include "core/formats/gzip.hpp"
#include "core/text/white_space.hpp"

#include <algorithm>
#include <array>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> scoring_names{"choices", "partial", "letters", "greedy"};
constexpr std::array<std::string_view, 4> metric_names{"acc", "acc_norm", "acc_bytes", "perplexity"};
/// A letter names a choice.
constexpr std::size_t most_letters = 26;

std::string letter(std::size_t choice) {
    return {static_cast<char>('A' + choice)};
}

std::vector<std::string> letters(std::size_t count) {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(letter(i));
    return result;
}

/// One line of a task file.
class ItemReader {
  public:
    explicit ItemReader(const JsonFields& fields) : fields_(fields) {}

    [[nodiscard]] std::optional<TaskScoring> scoring() const {
        if (fields_.has("scoring")) {
            const auto given = fields_.name("scoring", {scoring_names.begin(), scoring_names.end()});
            return given ? std::optional(static_cast<TaskScoring>(*given)) : std::nullopt;
        }
        if (fields_.has("contexts")) return TaskScoring::partial;
        if (fields_.has("choices"))
            return fields_.has("question") && !fields_.has("context") ? TaskScoring::letters
                                                                      : TaskScoring::choices;
        if (fields_.has("continuation")) return TaskScoring::greedy;
        fields_.wrong("choices",
                      "is missing, and so are \"contexts\" and \"continuation\": one of them says what is "
                      "scored behind \"context\" (docs/tasks.md)");
        return std::nullopt;
    }

    [[nodiscard]] ChoiceItem item(TaskScoring scoring) const {
        ChoiceItem item{.contexts = {}, .continuations = {}, .choices = {}, .place = fields_.where().str()};
        switch (scoring) {
            case TaskScoring::choices:
                item.contexts = {fields_.text("context")};
                item.choices = choices("choices");
                break;
            case TaskScoring::partial:
                item.contexts = choices("contexts");
                item.choices.assign(item.contexts.size(), continuation());
                break;
            case TaskScoring::letters:
                item.choices = choices("choices");
                item.contexts = {prompt(item.choices)};
                item.choices = letters(item.choices.size());
                break;
            case TaskScoring::greedy:
                item.contexts = {fields_.text("context")};
                item.choices = {continuation()};
                break;
        }
        const std::string delimiter = delimiter_of(scoring, item.choices);
        for (const std::string& choice : item.choices) item.continuations.push_back(delimiter + choice);
        if (scoring != TaskScoring::greedy) item.gold = gold(item.choices);
        return item;
    }

    [[nodiscard]] TaskMetric metric(TaskScoring scoring) const {
        const auto possible = metrics_of(scoring);
        if (!fields_.has("metric")) return possible.front();
        const auto given = fields_.name("metric", {metric_names.begin(), metric_names.end()});
        const auto metric = given ? static_cast<TaskMetric>(*given) : possible.front();
        if (std::ranges::find(possible, metric) != possible.end()) return metric;
        std::vector<std::string_view> names;
        for (const TaskMetric each : possible) names.push_back(name_of(each));
        fields_.wrong("metric", "an item that is scored as {} has {}, not {}", name_of(scoring),
                      fmt::join(names, ", "), name_of(metric));
        return possible.front();
    }

    [[nodiscard]] std::string version() const { return fields_.text_or("version", ""); }
    [[nodiscard]] const JsonFields& fields() const { return fields_; }

  private:
    /// A list of two texts or more, none empty.
    [[nodiscard]] std::vector<std::string> choices(std::string_view key) const {
        const std::size_t before = fields_.problems().count();
        auto texts = fields_.texts(key);
        if (fields_.problems().count() > before) return {};
        if (texts.size() < 2) fields_.wrong(key, "holds {}, and a choice is among two or more", texts.size());
        for (std::size_t i = 0; i < texts.size(); ++i)
            if (texts[i].empty()) fields_.wrong(key, "number {} (from 0) is empty", i);
        return texts;
    }

    [[nodiscard]] std::string continuation() const {
        std::string text = fields_.text("continuation");
        if (text.empty() && fields_.has("continuation") && fields_.at("continuation").is_string())
            fields_.wrong("continuation", "is empty");
        return text;
    }

    [[nodiscard]] std::string delimiter_of(TaskScoring scoring,
                                           const std::vector<std::string>& choices) const {
        // A continuation that brings its own space needs no other. A choice is scored as the harness does:
        // behind the delimiter whatever it begins with.
        const bool has_own = scoring == TaskScoring::greedy && !choices.front().empty() &&
                             python_strip(choices.front()).data() != choices.front().data();
        return fields_.text_or("delimiter", has_own ? "" : " ");
    }

    /// The context as it stands, or the question with the choices listed below it.
    [[nodiscard]] std::string prompt(const std::vector<std::string>& choices) const {
        if (choices.size() > most_letters)
            fields_.wrong("choices", "holds {}, more than there are letters", choices.size());
        if (!fields_.has("question") || fields_.has("context")) {
            std::string context = fields_.text("context");
            const bool lists_them = std::ranges::all_of(choices, [&](const std::string& choice) {
                return context.find(choice) != std::string::npos;
            });
            if (fields_.has("context") && !lists_them)
                fields_.wrong("context",
                              "does not list the choices whose letters are scored; list them, or give "
                              "\"question\" in place of \"context\" to have them listed");
            return context;
        }
        std::string prompt(python_strip(fields_.text("question")));
        for (std::size_t i = 0; i < std::min(choices.size(), most_letters); ++i)
            prompt += fmt::format("\n{}. {}", letter(i), choices[i]);
        return prompt + "\nAnswer:";
    }

    /// The right choice: its number from 0, or itself (of letters the letter).
    [[nodiscard]] std::int64_t gold(const std::vector<std::string>& choices) const {
        if (!fields_.has("gold")) {
            (void)fields_.text("gold");
            return 0;
        }
        const json& value = fields_.at("gold");
        if (choices.empty()) return 0;  // a problem already
        if (value.is_number_integer()) {
            const bool fits =
                value.is_number_unsigned()
                    ? value.get<std::uint64_t>() < choices.size()
                    : value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() < std::ssize(choices);
            if (fits) return value.get<std::int64_t>();
        } else if (value.is_string()) {
            const auto found = std::ranges::find(choices, value.get<std::string>());
            if (found != choices.end() && std::ranges::count(choices, *found) == 1)
                return found - choices.begin();
        }
        fields_.wrong("gold",
                      "{} names none of the {} choices: expected a number from 0 to {}, or the choice",
                      shown(value), choices.size(), choices.size() - 1);
        return 0;
    }

    const JsonFields& fields_;
};

/// Adds an item; what holds for the whole file must not change in it.
void add_item(ChoiceTask& task, const ItemReader& reader) {
    const auto scoring = reader.scoring();
    if (!scoring) return;
    const TaskMetric metric = reader.metric(*scoring);
    const std::string version = reader.version();
    ChoiceItem item = reader.item(*scoring);
    if (task.items.empty()) {
        task.scoring = *scoring;
        task.metric = metric;
        task.version = version;
    }
    const auto same = [&](std::string_view key, std::string_view own, std::string_view first) {
        if (own != first)
            reader.fields().wrong(key, "is {} here and {} in {}; put them into two files", own, first,
                                  task.items.front().place);
    };
    same("scoring", name_of(*scoring), name_of(task.scoring));
    if (*scoring == task.scoring) same("metric", name_of(metric), name_of(task.metric));
    if (version != task.version)
        reader.fields().wrong("version", "is \"{}\" here and \"{}\" in {}", version, task.version,
                              task.items.front().place);
    task.items.push_back(std::move(item));
}

}  // namespace

std::string_view name_of(TaskScoring scoring) {
    return scoring_names.at(static_cast<std::size_t>(scoring));
}

std::string_view name_of(TaskMetric metric) {
    return metric_names.at(static_cast<std::size_t>(metric));
}

std::vector<TaskMetric> metrics_of(TaskScoring scoring) {
    switch (scoring) {
        case TaskScoring::choices:
            return {TaskMetric::acc_norm, TaskMetric::acc, TaskMetric::acc_bytes};
        case TaskScoring::greedy:
            return {TaskMetric::acc, TaskMetric::perplexity};
        default:
            return {TaskMetric::acc};
    }
}

ChoiceTask parse_choice_task(std::string_view text, const std::string& name, std::int64_t limit) {
    ChoiceTask task{.items = {}, .version = {}, .sha256 = sha256(text)};
    Problems problems;
    for_each_json_line(text, name, problems, [&](const json& line, const Origin& where) {
        if (!line.is_object()) {
            problems.add(where, fmt::format("expected an object, not {}", shown(line)));
            return true;
        }
        const json item = task_item_of_row(line, JsonFields(line, where, problems));
        add_item(task, ItemReader(JsonFields(item, where, problems)));
        return limit == 0 || std::ssize(task.items) < limit;
    });
    problems.throw_if_any();
    require(!task.items.empty(), "{} holds no item", name);
    return task;
}

ChoiceTask read_choice_task(const std::filesystem::path& path, std::int64_t limit) {
    return parse_choice_task(read_text(path), path.string(), limit);
}

}  // namespace jlcm
