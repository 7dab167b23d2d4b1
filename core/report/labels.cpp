#include "core/report/labels.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace jlcm {

std::string to_string(const Labels& labels) {
    std::string text;
    for (const auto& [axis, value] : labels) {
        if (!text.empty()) text += ' ';
        text.append(axis).append("=").append(value);
    }
    return text;
}

const std::string* find(const Labels& labels, const std::string& axis) {
    const auto found = std::ranges::find(labels, axis, &Labels::value_type::first);
    return found == labels.end() ? nullptr : &found->second;
}

std::optional<double> number_in(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    return text.empty() || *end != '\0' || !std::isfinite(value) ? std::nullopt : std::optional(value);
}

Selection parse_selection(const std::vector<std::string>& conditions) {
    Selection selection;
    for (const std::string& condition : conditions) {
        const std::size_t equals = condition.find('=');
        require(equals != std::string::npos && equals > 0, "{}: expected KEY=VALUE[,VALUE...]", condition);
        std::string rest = condition.substr(equals + 1) + ",";
        for (std::size_t comma = rest.find(','); comma != std::string::npos; comma = rest.find(',')) {
            selection[condition.substr(0, equals)].insert(rest.substr(0, comma));
            rest.erase(0, comma + 1);
        }
    }
    return selection;
}

}  // namespace jlcm
