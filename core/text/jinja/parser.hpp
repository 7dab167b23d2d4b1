#pragma once
// Templates to trees.

#include "core/text/jinja/syntax.hpp"

#include <string_view>

namespace jlcm::jinja {

/// The tree of a normalised source. Throws Problem for what is wrong or not implemented, which includes
/// filters and tests that there aren't.
[[nodiscard]] Body parse_template(std::string_view source);

}  // namespace jlcm::jinja
