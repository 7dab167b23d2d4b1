#include "core/experiment/labels.hpp"

#include <algorithm>

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

}  // namespace jlcm
