#pragma once
// What all programs do with their arguments.

#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/log.hpp"
#include "core/run/run.hpp"

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace jlcm {

/// Parses the arguments. Returns an exit code where the program ends here: 0 after --help, 2 for wrong
/// arguments.
inline std::optional<int> parse_arguments(CLI::App& app, int argc, char** argv) {
    catch_bus_errors();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::input);
    }
    return std::nullopt;
}

/// Warns of each line of what is not finite; the exit code of a program whose work is done otherwise.
inline int exit_code_of(const std::vector<std::string>& not_finite) {
    for (const std::string& line : not_finite) log_warning("not finite: {}", line);
    return not_finite.empty() ? 0 : exit_not_finite;
}

}  // namespace jlcm
