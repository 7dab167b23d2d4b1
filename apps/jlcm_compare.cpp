// jlcm-compare: whether two runs differ, item by item.

#include "apps/command_line.hpp"
#include "core/experiment/program.hpp"
#include "core/report/paired_test.hpp"

#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

constexpr const char* examples = R"(Examples:
  jlcm-compare runs/A-0123456789ab runs/B-ba9876543210
  jlcm-compare runs/A-0123456789ab runs/A-0123456789ab:original

RUN is a run's directory: its compressed model, or with :original, :solver_only or :learned_only another one of its
models. Evaluations that keep their items (classification) are compared where both have the same protocol.)";

int run(int argc, char** argv) {
    CLI::App app{"Tests by items whether one of two models is better (McNemar's test, exact and two-sided)."};
    app.footer(examples);
    std::string first;
    std::string second;
    app.add_option("first", first, "The first model")->required()->type_name("RUN");
    app.add_option("second", second, "The second model")->required()->type_name("RUN");
    if (const auto code = jlcm::parse_arguments(app, argc, argv)) return *code;
    fmt::print("{}", jlcm::comparison_table(
                         jlcm::compare_runs(jlcm::RunModel::parse(first), jlcm::RunModel::parse(second))));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return jlcm::run_program("jlcm-compare", [&] { return run(argc, argv); });
}
