// jlcm-table: tables of finished runs.

#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/report/result_table.hpp"
#include "core/report/run_table.hpp"
#include "core/report/table_formats.hpp"
#include "core/spec/resolve.hpp"

#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-table runs
  jlcm-table --spec experiments/estimator_ablation.table.yaml runs/estimator_ablation
  jlcm-table runs/methods --rows method --columns bits,bytes,perplexity,kl --sort perplexity
  jlcm-table runs/a runs/b --models original,compressed --format latex --out table.tex
  jlcm-table runs/methods --set 'columns=[{value: perplexity, versus: difference}]' --set 'baseline={method: lnq}'
  jlcm-table runs/llama_2bit-0123456789ab --format run
  jlcm-table old/runs --labels '{objective}/{estimator}/{seed}/*' --rows objective,estimator

Runs that share all keys of a row are averaged: mean +- standard error over seeds. Figures of different protocols
or texts are refused in one column. Markdown and LaTeX name the runs of each row in comments, CSV in a column, HTML
in each cell's title. jlcm-run --describe table tells all keys.)";

const std::map<std::string, std::string (*)(const ResultTable&)> formats = {
    {"markdown", to_markdown}, {"latex", to_latex}, {"csv", to_csv}, {"html", to_html}, {"text", to_text}};

struct Arguments {
    std::vector<std::string> runs;
    std::string spec;
    std::string models;
    std::string rows;
    std::string columns;
    std::string pivot;
    std::string sort;
    std::string labels;
    std::vector<std::string> where;
    std::vector<std::string> sets;
    std::string format = "markdown";
    std::string out;
};

/// The given spec with what the command line says over it.
TableSpec spec_of(const Arguments& given) {
    Problems problems;
    Config config = given.spec.empty() ? Config::map() : read_config(given.spec, {}, problems);
    const auto list = [&](const char* key, const std::string& value) {
        if (!value.empty()) apply_set(config, fmt::format("{}=[{}]", key, value), problems);
    };
    list("models", given.models);
    list("rows", given.rows);
    list("columns", given.columns);
    list("sort", given.sort);
    if (!given.pivot.empty()) apply_set(config, "pivot=" + given.pivot, problems);
    if (!given.labels.empty()) apply_set(config, "labels='" + given.labels + "'", problems);
    for (const std::string& condition : given.where) {
        const std::size_t equals = condition.find('=');
        require(equals != std::string::npos && equals > 0, "--where {}: expected KEY=VALUE[,VALUE...]",
                condition);
        // Keys of where hold dots of their own.
        apply_set(
            config,
            fmt::format("where={{\"{}\": [{}]}}", condition.substr(0, equals), condition.substr(equals + 1)),
            problems);
    }
    for (const std::string& set : given.sets) apply_set(config, set, problems);
    TableSpec spec = resolve<TableSpec>(config, problems).value;
    problems.throw_if_any();
    if (!given.runs.empty()) spec.runs = given.runs;
    require(!spec.runs.empty(), "no runs given; jlcm-table --help shows examples");
    return spec;
}

/// What jlcm-run shows at the end of each run, and its stages.
std::string tables_of_runs(const std::vector<RunRecord>& runs) {
    std::string text;
    for (const RunRecord& run : runs)
        text +=
            fmt::format("{}{}\n{}", text.empty() ? "" : "\n", run_table(run.result), stage_table(run.result));
    return text;
}

int run(int argc, char** argv) {
    CLI::App app{"Makes a table of finished runs."};
    app.footer(examples);
    Arguments given;
    app.add_option("runs", given.runs, "Run directories, directories of them, or NAME.sweep.json files")
        ->type_name("RUNS");
    app.add_option("--spec", given.spec, "The table as YAML")->type_name("FILE");
    app.add_option("--models", given.models, "original, solver_only, learned_only, compressed")
        ->type_name("LIST");
    app.add_option("--rows", given.rows, "Keys that make a row")->type_name("LIST");
    app.add_option("--columns", given.columns, "Values that make the columns")->type_name("LIST");
    app.add_option("--pivot", given.pivot, "A key whose values stand side by side")->type_name("KEY");
    app.add_option("--sort", given.sort, "Keys or values, - in front for descending")->type_name("LIST");
    app.add_option("--where", given.where, "Only these runs; may be repeated, all have to hold")
        ->type_name("KEY=VALUES")
        ->allow_extra_args(false);
    app.add_option("--labels", given.labels, "Names for parts of the runs' paths")->type_name("PATTERN");
    app.add_option("--set", given.sets, "Set a value of the table: a.b=value; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    app.add_option("--format", given.format,
                   "markdown, latex, csv, html or text; run: what jlcm-run shows of each run, and its stages")
        ->check(CLI::IsMember({"markdown", "latex", "csv", "html", "text", "run"}).description(""))
        ->capture_default_str();
    app.add_option("--out", given.out, "Write to this file")->type_name("FILE");
    if (const auto code = parse_arguments(app, argc, argv)) return *code;

    const TableSpec spec = spec_of(given);
    const auto runs = read_runs({spec.runs.begin(), spec.runs.end()}, spec.labels);
    const std::string text =
        given.format == "run" ? tables_of_runs(runs) : formats.at(given.format)(make_table(spec, runs));
    if (given.out.empty()) {
        fmt::print("{}", text);
    } else {
        write_file(given.out, text);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("jlcm-table", [&] { return run(argc, argv); });
}
