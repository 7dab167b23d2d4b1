// jlcm-report: finished runs as one HTML page.

#include "apps/command_line.hpp"
#include "core/base/files.hpp"
#include "core/experiment/program.hpp"
#include "core/report/report_page.hpp"
#include "core/report/run_figures.hpp"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-report runs/estimator_ablation -o report.html
  jlcm-report runs/a runs/b --title "Two runs" -o report.html
  jlcm-report runs/methods_2bit --where method=lnq,jlcm -o report.html

The page needs no network and no other file: tables that sort and filter, plots (drawn by gnuplot), every run's
spec, stages and environment.)";

int run(int argc, char** argv) {
    CLI::App app{"Shows finished runs on one HTML page."};
    app.footer(examples);
    std::vector<std::string> places;
    std::vector<std::string> where;
    std::string out = "report.html";
    std::string title = "Runs";
    std::string labels;
    app.add_option("runs", places, "Run directories, directories of them, or NAME.sweep.json files")
        ->required()
        ->type_name("RUNS");
    app.add_option("-o,--out", out, "The page")->type_name("FILE")->capture_default_str();
    app.add_option("--title", title, "Its heading")->capture_default_str();
    app.add_option("--where", where, "Only these runs; may be repeated, all have to hold")
        ->type_name("KEY=VALUES")
        ->allow_extra_args(false);
    app.add_option("--labels", labels, "Names for parts of the runs' paths")->type_name("PATTERN");
    if (const auto code = parse_arguments(app, argc, argv)) return *code;
    const auto runs = selected(read_runs({places.begin(), places.end()}, labels), parse_selection(where));
    write_file(out, report_page(title, runs));
    fmt::print("{}\n", out);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("jlcm-report", [&] { return run(argc, argv); });
}
