// McNemar's test on the predictions of two runs.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/report/paired_test.hpp"
#include "tests/support/temporary.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Contains;

/// A run whose models "compressed" and "original" predict these for the expected 0, 1, 2, ...
void write_run(const std::filesystem::path& directory, const std::vector<int>& compressed,
               const std::string& images = "some") {
    std::vector<int> expected(compressed.size());
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<int>(i);
    const nlohmann::json record{{"title", "top-1"},
                                {"protocol", {{"images", images}}},
                                {"expected", expected},
                                {"models", {{"compressed", compressed}, {"original", expected}}}};
    write_file(directory / "predictions.json", nlohmann::json::array({record}).dump());
}

}  // namespace

TEST_CASE("McNemar's exact test") {
    // Binomial tails by hand: 2 (C(12,0) + C(12,1) + C(12,2)) / 2^12, and so on.
    CHECK(PairedCounts{100, 10, 2, 5}.p_value() == Approx(158.0 / 4096));
    CHECK(PairedCounts{0, 2, 10, 0}.p_value() == Approx(158.0 / 4096));
    CHECK(PairedCounts{50, 0, 5, 0}.p_value() == Approx(2.0 / 32));
    CHECK(PairedCounts{50, 7, 7, 0}.p_value() == 1.0);
    CHECK(PairedCounts{50, 7, 6, 0}.p_value() == Approx(1.0));
    CHECK(PairedCounts{50, 0, 0, 3}.p_value() == 1.0);
    const double large = PairedCounts{0, 5300, 4700, 0}.p_value();  // z = 6 with a normal tail of 2e-9
    CHECK(large > 1e-9);
    CHECK(large < 3e-9);
}

TEST_CASE("runs are compared item by item where their protocols agree") {
    const test::TemporaryDirectory directory;
    const auto first = directory.path() / "a";
    const auto second = directory.path() / "b";
    write_run(first, {0, 1, 9, 3, 9});
    write_run(second, {0, 9, 2, 9, 9});
    const auto found = compare_runs(RunModel::parse(first.string()), RunModel::parse(second.string()));
    REQUIRE(found.size() == 1);
    CHECK(found[0].counts.both == 1);
    CHECK(found[0].counts.only_first == 2);
    CHECK(found[0].counts.only_second == 1);
    CHECK(found[0].counts.neither == 1);
    const auto original =
        compare_runs(RunModel::parse(first.string()), RunModel::parse(first.string() + ":original"));
    CHECK(original[0].counts.only_second == 2);
    CHECK_THAT(comparison_table(original), Contains("60.00") && Contains("100.00"));

    CHECK_THROWS_WITH(compare_runs({first, "solver_only"}, {second}), Contains("solver_only"));
    CHECK_THROWS_WITH(compare_runs({directory.path()}, {second}), Contains("no predictions.json"));
    write_run(second, {0, 9, 2, 9, 9}, "others");
    CHECK_THROWS_WITH(compare_runs({first}, {second}), Contains("in common"));
    write_file(second / "predictions.json", "[{\"protocol\": {\"images\": \"some\"}}]");
    CHECK_THROWS_WITH(compare_runs({first}, {second}), Contains("damaged"));
    write_file(second / "predictions.json", "nonsense");
    CHECK_THROWS_AS(compare_runs({first}, {second}), Error);
}

TEST_CASE("a model of a run is named behind a colon") {
    CHECK(RunModel::parse("runs/a").model == "compressed");
    CHECK(RunModel::parse("runs/a:original").model == "original");
    CHECK(RunModel::parse("runs/a:original").directory == "runs/a");
    CHECK(RunModel::parse("c:/runs/a").directory == "c:/runs/a");
    const test::TemporaryDirectory directory;
    const auto odd = directory.path() / "a:original";
    std::filesystem::create_directory(odd);
    CHECK(RunModel::parse(odd.string()).directory == odd);
    CHECK(RunModel::parse(odd.string() + ":original").directory == odd);
}

TEST_CASE("predictions that are missing since scores were not finite are not counted as wrong") {
    const test::TemporaryDirectory directory;
    const auto first = directory.path() / "a";
    const nlohmann::json record{{"title", "top-1"},
                                {"protocol", {{"images", "some"}}},
                                {"expected", {0, 1}},
                                {"models", {{"compressed", {0, nullptr}}, {"original", {0, 1}}}}};
    write_file(first / "predictions.json", nlohmann::json::array({record}).dump());
    CHECK_THROWS_WITH(compare_runs({first}, {first, "original"}), Contains("not finite"));
    CHECK(compare_runs({first, "original"}, {first, "original"}).front().counts.both == 2);
}
