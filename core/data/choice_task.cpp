#include "core/data/choice_task.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/json_error.hpp"
#include "core/formats/json.hpp"

#include <algorithm>

namespace jlcm {
namespace {

using nlohmann::json;

ChoiceItem item_from(const json& line) {
    ChoiceItem item;
    const std::string delimiter = line.value("delimiter", " ");
    if (line.value("scoring", "") == "partial") {
        item.contexts = line.at("contexts").get<std::vector<std::string>>();
        item.choices.assign(item.contexts.size(), line.at("continuation").get<std::string>());
    } else {
        item.contexts = {line.at("context").get<std::string>()};
        item.choices = line.at("choices").get<std::vector<std::string>>();
    }
    require(item.choices.size() >= 2, "an item of {} choices", item.choices.size());
    for (const std::string& choice : item.choices) {
        require(!choice.empty(), "a choice is empty");
        item.continuations.push_back(delimiter + choice);
    }
    item.gold = line.at("gold").get<std::int64_t>();
    require(item.gold >= 0 && item.gold < std::ssize(item.choices), "choice {} of {} is said to be right",
            item.gold, item.choices.size());
    return item;
}

}  // namespace

ChoiceTask read_choice_task(const std::filesystem::path& path, std::int64_t limit) {
    const std::string text = read_file(path);
    ChoiceTask task{.items = {}, .sha256 = sha256(text)};
    std::string_view rest = text;
    for (std::int64_t number = 1; !rest.empty() && (limit == 0 || std::ssize(task.items) < limit); ++number) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        const std::string place = fmt::format("{}:{}", path.string(), number);
        try {
            task.items.push_back(item_from(parse_json(line)));
        } catch (const json::exception& error) {
            fail("{}: {}", place, json_error(error));
        } catch (const Error& error) {
            throw error.within(place);
        }
    }
    require(!task.items.empty(), "{} holds no item", path.string());
    return task;
}

ContinuationTokens encode_continuation(const Tokenizer& tokenizer, const std::string& context,
                                       const std::string& continuation, std::optional<std::int32_t> first,
                                       std::int64_t longest) {
    const std::size_t kept = context.find_last_not_of(" \t\n\r\f\v") + 1;  // npos + 1 == 0
    ContinuationTokens result;
    if (first) result.ids.push_back(*first);
    result.begin = result.ids.size() + tokenizer.encode(context.substr(0, kept)).size();
    const auto whole = tokenizer.encode(context + continuation);
    result.ids.insert(result.ids.end(), whole.begin(), whole.end());
    require(result.begin > 0 && result.begin < result.ids.size(),
            "\"{}\" behind \"{}\" has no token that something stands before", continuation, context);
    if (const std::int64_t surplus = std::ssize(result.ids) - (longest + 1); surplus > 0) {
        const auto dropped = static_cast<std::size_t>(surplus);
        require(dropped < result.begin, "a continuation of {} tokens is beyond the model's {}",
                result.ids.size() - result.begin, longest);
        result.ids.erase(result.ids.begin(), result.ids.begin() + surplus);
        result.begin -= dropped;
    }
    return result;
}

}  // namespace jlcm
