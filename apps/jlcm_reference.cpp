// jlcm-reference: every key of a spec and every plugin, as docs/reference.md, in words, or as JSON Schema.

#include "apps/command_line.hpp"
#include "core/base/error.hpp"
#include "core/plugin/catalog.hpp"
#include "core/plugin/library.hpp"

#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

int run(int argc, char** argv) {
    CLI::App app{
        "Writes the reference of all keys and plugins (docs/reference.md) to the standard "
        "output, or one part of it."};
    std::vector<std::string> libraries;
    std::string kind;
    std::string what;
    std::string section;
    app.add_option("--plugin", libraries, "Load this shared plugin first, so that it is described too")
        ->type_name("FILE.so")
        ->allow_extra_args(false);
    auto* list = app.add_option("--list", kind, "List all plugins, or those of one kind")->expected(0, 1);
    list->type_name("KIND");
    app.add_option("--describe", what, "Describe a plugin (estimator.nearest), a kind or a section")
        ->type_name("WHAT");
    app.add_option("--schema", section, "Print a section's JSON Schema, for editors")->type_name("SECTION");
    app.set_version_flag("--version", "jlcm " + std::string(jlcm::build_id()));
    if (const auto code = jlcm::parse_arguments(app, argc, argv)) return *code;

    for (const auto& library : libraries) jlcm::load_plugin_library(library);
    if (list->count() > 0) {
        fmt::print("{}", jlcm::list_plugins(kind));
    } else if (!what.empty()) {
        fmt::print("{}", jlcm::describe(what));
    } else if (!section.empty()) {
        fmt::print("{}", jlcm::schema_json(section));
    } else {
        fmt::print("{}", jlcm::reference_markdown());
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const jlcm::Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return error.exit_code();
    }
}
