// What a sweep expands to, and what is wrong with one.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/plugin/load.hpp"
#include "core/sweep/sweep_spec.hpp"
#include "tests/support/temporary.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// One line a run, its labels; or what is wrong.
std::vector<std::string> runs(const std::string& yaml) {
    const test::TemporaryDirectory folder;
    write_file(folder.path() / "base.yaml", "compress: {bits: 4, learn: {steps: 7}}\n");
    write_file(folder.path() / "s.yaml", yaml);
    std::vector<std::string> lines;
    try {
        for (const Variant& variant : expand(load_spec<SweepSpec>(folder.path() / "s.yaml").value))
            lines.push_back(to_string(variant.labels) + " | " + to_flow_yaml(*variant.spec.find("compress")));
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        lines = {error.what()};
    }
    return lines;
}

std::string problem(const std::string& yaml) {
    const auto lines = runs(yaml);
    REQUIRE(lines.size() == 1);
    return lines.front();
}

using Catch::Matchers::Contains;
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a sweep without axes is one run of its base") {
    CHECK(runs("base: base.yaml") == Lines{" | {bits: 4, learn: {steps: 7}}"});
    CHECK(runs("set: {compress: {bits: 3}, compress.learn: null}") == Lines{" | {bits: 3, learn: null}"});
}

TEST_CASE("a grid runs every combination, the last axis and then seeds changing fastest") {
    CHECK(runs("grid: {compress.bits: [2, 3], compress.solver: [lnq, gptq]}") ==
          Lines{"bits=2 solver=lnq | {bits: 2, solver: lnq}", "bits=2 solver=gptq | {bits: 2, solver: gptq}",
                "bits=3 solver=lnq | {bits: 3, solver: lnq}",
                "bits=3 solver=gptq | {bits: 3, solver: gptq}"});
    CHECK(runs("{grid: {compress.bits: 2}, seeds: [5, 6]}") ==
          Lines{"bits=2 seed=5 | {bits: 2}", "bits=2 seed=6 | {bits: 2}"});
}

TEST_CASE("values may have names, and what is set goes over the base as --set does") {
    CHECK(runs("{base: base.yaml, grid: {compress.learn.estimator: {near: {type: nearest, rate: 0.1}, none: "
               "frozen}}}") ==
          Lines{"estimator=near | {bits: 4, learn: {steps: 7, estimator: {type: nearest, rate: 0.1}}}",
                "estimator=none | {bits: 4, learn: {steps: 7, estimator: frozen}}"});
}

TEST_CASE("zipped axes go side by side") {
    CHECK(runs("{zip: {compress.bits: [2, 3], compress.solver: [a, b]}, grid: {compress.x: [1, 2]}}") ==
          Lines{"bits=2 solver=a x=1 | {bits: 2, solver: a, x: 1}",
                "bits=2 solver=a x=2 | {bits: 2, solver: a, x: 2}",
                "bits=3 solver=b x=1 | {bits: 3, solver: b, x: 1}",
                "bits=3 solver=b x=2 | {bits: 3, solver: b, x: 2}"});
    CHECK_THAT(problem("zip: {compress.bits: [2, 3], compress.solver: [a]}"),
               Contains("s.yaml:1:6") && Contains("different numbers of values"));
}

TEST_CASE("a named value brings settings and axes of its own") {
    CHECK(runs(R"(
grid:
  objective:
    plain:
    learned:
      set: {compress.learn.steps: 3}
      grid: {compress.learn.estimator: [nearest, frozen]}
  compress.bits: [2]
)") == Lines{"objective=plain bits=2 | {bits: 2}",
             "objective=learned estimator=nearest bits=2 | {learn: {steps: 3, estimator: nearest}, bits: 2}",
             "objective=learned estimator=frozen bits=2 | {learn: {steps: 3, estimator: frozen}, bits: 2}"});
}

TEST_CASE("axes that end in the same word keep their whole key") {
    CHECK(runs("grid: {compress.bits: [2], compress.embedding.bits: [4]}") ==
          Lines{"compress.bits=2 compress.embedding.bits=4 | {bits: 2, embedding: {bits: 4}}"});
}

TEST_CASE("combinations are excluded where all of a condition holds") {
    CHECK(runs("{grid: {compress.bits: [2, 3], compress.x: [1, 2]}, exclude: [{bits: 2, x: [1, 2]}, {bits: "
               "3, x: 1}]}") == Lines{"bits=3 x=2 | {bits: 3, x: 2}"});
    CHECK_THAT(problem("{grid: {compress.bits: [2, 3]}, exclude: {bits: 4}}"), Contains("matches no run"));
    CHECK_THAT(problem("{grid: {compress.bits: [2, 3]}, exclude: {bit: 2}}"), Contains("matches no run"));
    CHECK_THAT(problem("{grid: {compress.bits: [2, 3]}, exclude: {bits: [2, 3]}}"),
               Contains("every run is excluded"));
}

TEST_CASE("mistakes are named with their place") {
    CHECK_THAT(problem("grids: {compress.bits: [2]}"),
               Contains("unknown key \"grids\", did you mean \"grid\"?"));
    CHECK_THAT(problem("grid: {method: [a, b]}"), Contains("is no key of a run's spec"));
    CHECK_THAT(problem("grid: {method: {a: {sets: {}}}}"),
               Contains("grid.method.a: unknown key \"sets\"") || Contains("method.a: unknown key \"sets\""));
    CHECK_THAT(problem("grid: {compress.bits: []}"), Contains("no values"));
    CHECK_THAT(problem("grid: [compress.bits]"), Contains("expected a map"));
    CHECK_THAT(problem("grid: {compress..bits: [1]}"), Contains("a.b"));
    CHECK_THAT(problem("base: nowhere.yaml"), Contains("nowhere.yaml"));
    CHECK_THAT(problem("base: {a: b}"), Contains("the path of a spec"));
    CHECK_THAT(problem("grid: {compress.a: [1,2,3,4,5,6,7,8,9,10], compress.b: [1,2,3,4,5,6,7,8,9,10], "
                       "compress.c: [1,2,3,4,5,6,7,8,9,10], compress.d: [1,2,3,4,5,6,7,8,9,10], "
                       "compress.e: [1,2,3,4,5,6,7,8,9,10], compress.f: [1, 2]}"),
               Contains("more than 100000 runs"));
}
