// jlcm-compare: two runs or artifacts side by side.

#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/report/comparison.hpp"

#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

constexpr const char* examples = R"(Examples:
  jlcm-compare runs/A-0123456789ab runs/B-ba9876543210
  jlcm-compare a/artifact.safetensors b/artifact.safetensors --all
  jlcm-compare runs/A-0123456789ab runs/A-0123456789ab:original

Of runs: the settings that differ, the figures with the paired t-test over windows or images, and McNemar's test (exact
and two-sided) where predictions were kept. Of runs and artifacts: tensor by tensor the squared distance of the decoded
weights and the share of codes that agree. With :original, :solver_only or :learned_only behind a run, that model of it
is meant, and figures alone are compared.)";

/// Whether a model of a run is named behind its directory.
bool names_model(const std::string& text) {
    return jlcm::RunModel::parse(text).directory != text;
}

int run(int argc, char** argv) {
    CLI::App app{"Compares two runs or artifacts."};
    app.footer(examples);
    std::string first;
    std::string second;
    bool all = false;
    app.add_option("first", first, "A run's directory or an artifact")->required()->type_name("A");
    app.add_option("second", second, "Another")->required()->type_name("B");
    app.add_flag("--all", all, "Also list tensors that are identical");
    if (const auto code = jlcm::parse_arguments(app, argc, argv)) return *code;
    if (names_model(first) || names_model(second)) {
        fmt::print("{}", jlcm::compare_models(jlcm::RunModel::parse(first), jlcm::RunModel::parse(second)));
    } else {
        fmt::print("{}", jlcm::compare(first, second, all));
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return jlcm::run_program("jlcm-compare", [&] { return run(argc, argv); });
}
