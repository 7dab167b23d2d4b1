#include "core/formats/json.hpp"

#include "core/base/error.hpp"
#include "core/base/json_error.hpp"

#include <set>
#include <string>
#include <vector>

namespace jlcm {
namespace {

/// Python writes, and reads, numbers that JSON does not have. `place` counts from 1.
std::string hint(std::string_view text, std::size_t place) {
    if (place == 0 || place > text.size()) return "";
    for (const std::string_view word : {"NaN", "Infinity"})
        if (text.substr(place - 1).starts_with(word))
            return fmt::format(" ({} is Python's, not JSON's: write null or a number)", word);
    return "";
}

}  // namespace

nlohmann::json parse_json(std::string_view text, int max_depth) {
    using json = nlohmann::json;
    std::vector<std::set<std::string>> keys;  // of the objects that are open
    const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
        require(depth <= max_depth, "JSON nested deeper than {} levels", max_depth);
        if (event == json::parse_event_t::object_start) keys.emplace_back();
        if (event == json::parse_event_t::object_end) keys.pop_back();
        if (event == json::parse_event_t::key)
            require(keys.back().insert(parsed.get<std::string>()).second, "the JSON key '{}' appears twice",
                    parsed.get<std::string>());
        return true;
    };
    try {
        return json::parse(text, check);
    } catch (const json::parse_error& error) {
        fail("not valid JSON: {}{}", json_error(error), hint(text, error.byte));
    } catch (const json::exception& error) {
        fail("not valid JSON: {}", json_error(error));
    }
}

}  // namespace jlcm
