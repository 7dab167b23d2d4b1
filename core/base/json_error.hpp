#pragma once
// What the JSON library says is wrong, for a message of ours.

#include "core/base/json.hpp"

#include <string>
#include <string_view>

namespace jlcm {

/// The reason alone: without the library's own "[json.exception.type_error.302] " before it.
[[nodiscard]] inline std::string json_error(const nlohmann::json::exception& error) {
    const std::string_view text = error.what();
    const auto end = text.starts_with("[json.exception.") ? text.find("] ") : std::string_view::npos;
    return std::string(end == std::string_view::npos ? text : text.substr(end + 2));
}

}  // namespace jlcm
