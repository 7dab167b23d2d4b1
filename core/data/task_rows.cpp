#include "core/data/task_rows.hpp"

#include "core/text/white_space.hpp"

#include <algorithm>

namespace jlcm {
namespace {

using nlohmann::json;

/// lm_eval/tasks/lambada: the last word behind all others, words being what single spaces separate.
json lambada_item(const JsonFields& row) {
    const std::string text = row.text("text");
    const std::size_t space = text.rfind(' ');
    const bool is_one_word = space == std::string::npos;
    const std::string word = is_one_word ? text : text.substr(space + 1);
    if (row.has("text") && word.empty()) row.wrong("text", "has no last word, since it ends in a space");
    return {{"scoring", "greedy"},
            {"context", is_one_word ? "" : text.substr(0, space)},
            {"continuation", word.empty() ? "?" : word},
            {"delimiter", " "}};
}

/// str[0].lower() of what begins with an ASCII letter, as COPA's choices do.
std::string uncapitalised(std::string text) {
    if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

/// str[:-1]
std::string_view without_last_character(std::string_view text) {
    while (!text.empty()) {
        const bool begins = (static_cast<unsigned char>(text.back()) & 0xC0U) != 0x80U;
        text.remove_suffix(1);
        if (begins) break;
    }
    return text;
}

/// lm_eval/tasks/super_glue/copa. The choices begin with a space of their own behind the delimiter.
json copa_item(const JsonFields& row) {
    static const std::vector<std::string> questions{"cause", "effect"};
    static const std::vector<std::string> labels{"0", "1"};
    const auto question = row.name("question", questions);
    const std::string premise = row.text("premise");
    const char* connector = question.value_or(0) == 0 ? "because" : "therefore";
    return {{"context", fmt::format("{} {}", without_last_character(python_strip(premise)), connector)},
            {"choices", {" " + uncapitalised(row.text("choice1")), " " + uncapitalised(row.text("choice2"))}},
            {"gold", row.name("label", labels).value_or(0)},
            {"metric", "acc"}};
}

/// lm_eval/tasks/siqa. Labels count from 1.
json social_iqa_item(const JsonFields& row) {
    static const std::vector<std::string> labels{"1", "2", "3"};
    return {{"context", fmt::format("Q: {} {}\nA:", row.text("context"), row.text("question"))},
            {"choices", {row.text("answerA"), row.text("answerB"), row.text("answerC")}},
            {"gold", row.name("label", labels).value_or(0)},
            {"metric", "acc"}};
}

/// lm_eval/tasks/commonsense_qa. `choices` is {"label": [...], "text": [...]}.
json commonsense_qa_item(const JsonFields& row) {
    const JsonFields choices(row.at("choices"), row.where(), row.problems());
    return {{"scoring", "letters"},
            {"question", "Question: " + std::string(python_strip(row.text("question")))},
            {"choices", choices.texts("text")},
            {"gold", row.name("answerKey", choices.texts("label")).value_or(0)}};
}

/// lm_eval/tasks/mmlu. `answer` counts from 0.
json mmlu_item(const JsonFields& row) {
    std::string subject = row.text("subject");
    std::ranges::replace(subject, '_', ' ');
    std::vector<std::string> answers;
    for (std::size_t i = 0; i < row.at("choices").size(); ++i) answers.push_back(std::to_string(i));
    return {
        {"scoring", "letters"},
        {"question", fmt::format("The following are multiple choice questions (with answers) about {}.\n\n{}",
                                 subject, python_strip(row.text("question")))},
        {"choices", row.at("choices")},
        {"gold", row.name("answer", answers).value_or(0)}};
}

}  // namespace

json task_item_of_row(const json& row, const JsonFields& fields) {
    if (fields.has("gold") || fields.has("scoring") || fields.has("continuation")) return row;
    if (fields.has_all({"premise", "choice1", "choice2", "question", "label"})) return copa_item(fields);
    if (fields.has_all({"context", "question", "answerA", "answerB", "answerC", "label"}))
        return social_iqa_item(fields);
    if (fields.has_all({"question", "question_concept", "choices", "answerKey"}) &&
        fields.at("choices").is_object())
        return commonsense_qa_item(fields);
    if (fields.has_all({"question", "subject", "choices", "answer"})) return mmlu_item(fields);
    if (fields.has("text") && !fields.has("choices") && !fields.has("context")) return lambada_item(fields);
    return row;
}

}  // namespace jlcm
