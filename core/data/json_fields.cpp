#include "core/data/json_fields.hpp"

#include "core/base/error.hpp"
#include "core/formats/json.hpp"
#include "core/text/byte_order_mark.hpp"

#include <algorithm>

namespace jlcm {

using nlohmann::json;

bool JsonFields::has_all(std::initializer_list<std::string_view> keys) const {
    return std::ranges::all_of(keys, [&](std::string_view key) { return has(key); });
}

bool JsonFields::is_there(std::string_view key) const {
    if (has(key)) return true;
    std::vector<std::string> keys;
    for (const auto& [name, value] : object_.items()) keys.push_back(name);
    const std::string near = nearest_word(key, keys);
    wrong(key, "is missing; {}",
          near.empty() ? fmt::format("the object has {}", fmt::join(keys, ", "))
                       : fmt::format("is \"{}\" meant?", near));
    return false;
}

std::string JsonFields::text(std::string_view key) const {
    if (!is_there(key)) return {};
    const json& value = at(key);
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_integer()) return value.dump();
    wrong(key, "must be a text, not {}", shown(value));
    return {};
}

std::string JsonFields::text_or(std::string_view key, std::string_view otherwise) const {
    return has(key) ? text(key) : std::string(otherwise);
}

std::vector<std::string> JsonFields::texts(std::string_view key) const {
    if (!is_there(key)) return {};
    const json& value = at(key);
    if (!value.is_array() || !std::ranges::all_of(value, &json::is_string)) {
        wrong(key, "must be a list of texts, not {}", shown(value));
        return {};
    }
    return value.get<std::vector<std::string>>();
}

std::optional<std::size_t> JsonFields::name(std::string_view key,
                                            const std::vector<std::string>& names) const {
    const std::string given = text(key);
    const auto found = std::ranges::find(names, given);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    if (!given.empty() || (has(key) && at(key).is_string()))
        wrong(key, "unknown \"{}\"{}", given, suggestion(given, names));
    return std::nullopt;
}

void for_each_json_line(std::string_view text, const std::string& name, Problems& problems,
                        const std::function<bool(const json& value, const Origin& where)>& each) {
    text = without_byte_order_mark(text);
    Origin where{name, 1, 0};
    const auto parsed = [&](std::string_view part) -> std::optional<json> {
        try {
            return parse_json(part);
        } catch (const Error& error) {
            problems.add(where, error.what());
            return std::nullopt;
        }
    };
    constexpr std::string_view blank = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(blank);
    if (begin != std::string_view::npos && text[begin] == '[') {
        const auto array = parsed(text);
        if (!array) return;
        for (std::size_t i = 0; i < array->size(); ++i)
            if (!each((*array)[i], {fmt::format("{}, element {}", name, i + 1), 0, 0})) return;
        return;
    }
    for (; !text.empty(); ++where.line) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.find_first_not_of(blank) == std::string_view::npos) continue;
        if (const auto value = parsed(line); value && !each(*value, where)) return;
    }
}

}  // namespace jlcm
