// jlcm-run: a model to codebooks, as a spec says, from loading to the table of results.

#include "apps/cache_arguments.hpp"
#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/estimate/memory_plan.hpp"
#include "core/plugin/catalog.hpp"
#include "core/plugin/load.hpp"
#include "core/report/run_table.hpp"
#include "core/run/dry_run.hpp"
#include "core/run/run.hpp"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-run configs/llama_2bit.yaml
  jlcm-run configs/llama_2bit.yaml --set compress.bits=3 --set compress.learn.steps=200
  jlcm-run configs/llama_2bit.yaml --print-config
  jlcm-run configs/llama_2bit.yaml --dry-run
  jlcm-run --list estimator
  jlcm-run --describe solver.lnq

A run has a directory NAME-HASH under --out: spec.yaml (all values), log.txt, metrics.jsonl (one line a step),
result.json, artifact.safetensors (the compressed model). A run that was stopped, by Ctrl-C or otherwise, goes on
with the same command and ends in the same bytes; a finished one only shows its table.

Exit codes: 0 done, 1 internal error, 2 bad input, 3 the machine refused (disk, memory), 5 the
result is written, but learning diverged or a figure is not finite, 130 interrupted.)";

struct Arguments {
    std::string spec;
    std::vector<std::string> sets;
    std::string out = "runs";
    bool print_config = false;
    bool dry_run = false;
    std::string kind;
    std::string what;
    int threads = 0;
    std::string memory_limit;
    std::string blocks;
    CacheArguments cache;
    std::string log_level = "info";
};

int run(int argc, char** argv) {
    CLI::App app{"Compresses a model with codebooks and mappings, as a spec (YAML) says."};
    app.footer(examples);
    Arguments given;
    app.add_option("spec", given.spec, "The spec, e.g. configs/llama_2bit.yaml")->type_name("SPEC");
    app.add_option("--set", given.sets, "Set a value of the spec: a.b=value; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    app.add_option("--out", given.out, "Where run directories are made")
        ->type_name("DIR")
        ->capture_default_str();
    app.add_flag("--print-config", given.print_config,
                 "Print the resolved spec with where each value came from, and stop");
    app.add_flag("--dry-run", given.dry_run,
                 "Print what would be done: weights, groups, bytes, memory and time, and stop");
    auto* list = app.add_option("--list", given.kind, "List all plugins, or those of one kind, and stop");
    list->expected(0, 1)->type_name("KIND");
    app.add_option("--describe", given.what,
                   "Describe a plugin (estimator.nearest), a kind or a section (run), and stop")
        ->type_name("WHAT");
    app.add_option("--threads", given.threads, "Threads; all cores if it is not given")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    app.add_option(
           "--memory-limit", given.memory_limit,
           "Refuse a run whose memory plan is above this, and stop it where it would take more: 8G, 512M")
        ->type_name("SIZE");
    app.add_option(
           "--blocks", given.blocks,
           "Compress only these blocks into the run's directory, beside other processes, where the run "
           "itself finds them: 3, 3-5, or 2/8 for the second of eight parts")
        ->type_name("BLOCKS");
    given.cache.add_to(app);
    app.add_option("--log-level", given.log_level, "How much is said: debug, info or warning")
        ->check(CLI::IsMember({"debug", "info", "warning"}))
        ->capture_default_str();
    if (const auto code = parse_arguments(app, argc, argv)) return *code;

    set_log_level(given.log_level == "debug"  ? LogLevel::debug
                  : given.log_level == "info" ? LogLevel::info
                                              : LogLevel::warning);
    if (given.threads > 0) set_thread_count(given.threads);
    if (list->count() > 0) {
        fmt::print("{}", list_plugins(given.kind));
        return 0;
    }
    if (!given.what.empty()) {
        fmt::print("{}", describe(given.what));
        return 0;
    }
    require(!given.spec.empty(), "no spec given; jlcm-run --help shows examples");
    const auto spec = load_spec<RunSpec>(given.spec, given.sets);
    if (given.print_config) {
        fmt::print("{}", to_yaml_with_origins(spec.config));
        return 0;
    }
    Backend& backend = default_backend();
    if (given.dry_run) {
        fmt::print("{}", dry_run(spec, backend));
        return 0;
    }
    StageCache cache = given.cache.open();
    RunResources resources{.memory_limit = {}, .cache = &cache, .blocks = given.blocks};
    if (!given.memory_limit.empty()) resources.memory_limit = parse_bytes(given.memory_limit);
    const RunOutcome outcome = run_experiment(spec, given.out, backend, resources);
    if (outcome.result.is_null()) {
        fmt::print("{}\n", outcome.directory.string());
        return 0;
    }
    if (outcome.was_finished) log_info("this run is finished already");
    fmt::print("{}\n{}\n", run_table(outcome.result), outcome.directory.string());
    return exit_code_of(not_finite(outcome.result));
}

}  // namespace

int main(int argc, char** argv) {
    catch_interrupts();
    return run_program("jlcm-run", [&] { return run(argc, argv); });
}
