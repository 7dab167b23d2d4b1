#pragma once
// What all programs do with their arguments.

#include "core/base/error.hpp"

#include <optional>

#include <CLI/CLI.hpp>

namespace jlcm {

/// Parses the arguments. Returns an exit code where the program ends here: 0 after --help, 2 for wrong
/// arguments.
inline std::optional<int> parse_arguments(CLI::App& app, int argc, char** argv) {
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::input);
    }
    return std::nullopt;
}

}  // namespace jlcm
