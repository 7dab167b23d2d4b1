// jlcm-sweep: many runs that differ in a few settings.

#include "apps/cache_arguments.hpp"
#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/parallel.hpp"
#include "core/plugin/load.hpp"
#include "core/sweep/sweep.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-sweep experiments/methods_2bit.yaml --dry-run
  jlcm-sweep experiments/methods_2bit.yaml --out runs/methods
  jlcm-sweep experiments/estimator_ablation.yaml --only objective=block --only estimator=nearest,curvature
  jlcm-sweep experiments/methods_2bit_fast.yaml --set launcher.processes=2

Each run is a jlcm-run of its own, in a directory NAME-HASH under --out; NAME.sweep.json there says which run is
where and how it stands. What is finished is not repeated, and a run that was stopped goes on: give the same
command again. jlcm-table makes a table of it. jlcm-run --describe sweep tells all keys.

Exit codes: 0 all runs finished, 2 bad input, 3 the machine refused, 4 a run failed (the others went on), 5 all
finished, but some diverged or have figures that are not finite, 130 interrupted, with the state saved.)";

constexpr int some_failed = 4;

struct Arguments {
    std::string spec;
    std::vector<std::string> sets;
    std::vector<std::string> only;
    std::string out;
    bool dry_run = false;
    int threads = 0;
    CacheArguments cache;
};

int run(int argc, char** argv) {
    CLI::App app{"Runs every combination of settings that a sweep (YAML) describes."};
    app.footer(examples);
    Arguments given;
    app.add_option("sweep", given.spec, "The sweep, e.g. experiments/methods_2bit.yaml")
        ->required()
        ->type_name("SWEEP");
    app.add_option("--set", given.sets, "Set a value of the sweep: a.b=value; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    app.add_option("--only", given.only, "Only these runs; may be repeated, all have to hold")
        ->type_name("AXIS=VALUES")
        ->allow_extra_args(false);
    app.add_option("--out", given.out, "Where run directories are made; runs/NAME if it is not given")
        ->type_name("DIR");
    app.add_flag("--dry-run", given.dry_run, "List the runs with bits, bytes, memory and time, and stop");
    app.add_option("--threads", given.threads, "Threads of all runs together; all cores if it is not given")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    given.cache.add_to(app);
    if (const auto code = parse_arguments(app, argc, argv)) return *code;

    if (given.threads > 0) set_thread_count(given.threads);
    const SweepSpec sweep = load_spec<SweepSpec>(given.spec, given.sets).value;
    const std::filesystem::path out = given.out.empty() ? "runs/" + sweep.name : given.out;
    Backend& backend = default_backend();
    const auto runs = plan_sweep(sweep, out, backend, parse_selection(given.only));
    if (given.dry_run) {
        fmt::print("{}", sweep_dry_run(sweep, runs, backend));
        return 0;
    }
    const auto programs = std::filesystem::canonical("/proc/self/exe").parent_path();
    std::vector<std::string> jlcm_run{(programs / "jlcm-run").string()};
    std::ranges::copy(given.cache.words(), std::back_inserter(jlcm_run));
    const SweepOutcome outcome = run_sweep(sweep, runs, out, backend, jlcm_run);
    fmt::print("{}", outcome.summary);
    if (outcome.was_interrupted) return static_cast<int>(ErrorKind::interrupted);
    if (outcome.failed > 0) return some_failed;
    return outcome.not_finite > 0 ? exit_not_finite : 0;
}

}  // namespace

int main(int argc, char** argv) {
    catch_interrupts();
    return run_program("jlcm-sweep", [&] { return run(argc, argv); });
}
