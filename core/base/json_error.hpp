#pragma once
// JSON in messages: values, and what the library says is wrong.

#include "core/base/json.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace jlcm {

/// The reason alone: without the library's own "[json.exception.type_error.302] " before it.
[[nodiscard]] inline std::string json_error(const nlohmann::json::exception& error) {
    const std::string_view text = error.what();
    const auto end = text.starts_with("[json.exception.") ? text.find("] ") : std::string_view::npos;
    return std::string(end == std::string_view::npos ? text : text.substr(end + 2));
}

/// A value as messages show it: shortened JSON.
[[nodiscard]] inline std::string shown(const nlohmann::json& value) {
    constexpr std::size_t longest = 60;
    std::string text = value.dump(-1, ' ', true);
    if (text.size() > longest) text = text.substr(0, longest) + " ...";
    return text;
}

}  // namespace jlcm
