#pragma once
// JSON from files that nobody vouches for.

#include "core/base/json.hpp"

#include <string_view>

namespace jlcm {

/// Parses one JSON value. Input errors: bad syntax (with the place), invalid UTF-8, a key twice in one
/// object, more than `max_depth` levels. Messages don't hold the file's name: see Error::within.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, int max_depth = 64);

}  // namespace jlcm
