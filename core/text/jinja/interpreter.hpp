#pragma once
// Running a template.

#include "core/text/jinja/syntax.hpp"

#include <cstdint>
#include <ctime>
#include <string>

namespace jlcm::jinja {

struct RunLimits {
    std::int64_t work = 0;   ///< bytes that all steps together may make; a step counts as some
    std::size_t output = 0;  ///< bytes of the text
};

/// The text that the template makes of `variables`. `now` is what strftime_now tells. Throws Problem.
[[nodiscard]] std::string render(const Body& body, const nlohmann::ordered_json& variables, std::time_t now,
                                 const RunLimits& limits);

}  // namespace jlcm::jinja
