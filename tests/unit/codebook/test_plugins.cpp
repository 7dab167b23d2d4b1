#include "core/backend/backend.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/plugin/choice.hpp"
#include "tests/support/squared_error.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

using namespace jlcm;
using test::squared_error;

namespace {

Tensor normal(Shape shape, std::uint64_t seed) {
    const Rng rng(seed, "plugin test");
    Tensor t = Tensor::empty(std::move(shape));
    for (std::int64_t i = 0; i < t.size(); ++i)
        t.data<float>()[i] = static_cast<float>(rng.normal(static_cast<std::uint64_t>(i)));
    return t;
}

Tensor diagonal(const std::vector<float>& values) {
    const auto n = static_cast<std::int64_t>(values.size());
    Tensor h = Tensor::zeros({n, n});
    for (std::int64_t j = 0; j < n; ++j) h.data<float>()[j * n + j] = values[static_cast<std::size_t>(j)];
    return h;
}

GroupedRows group(const std::string& yaml, const LayerProblem& problem, int bits) {
    return Choice<Grouping>::parse(yaml).make()->group(problem, bits);
}

CompressedMatrix initialise(const std::string& yaml, const LayerProblem& problem, const GroupedRows& rows) {
    auto matrix = Choice<CodebookInit>::parse(yaml).make()->initialise(problem, rows);
    matrix.validate(problem.name);
    return matrix;
}

}  // namespace

TEST_CASE("per_row and per_tensor groupings") {
    const LayerProblem problem{"w", normal({6, 16}, 1), {}, 0};
    CHECK(group("per_row", problem, 3).layout == Layout::per_row(6, 16, 3));
    CHECK(group("per_tensor", problem, 2).layout == Layout::per_tensor(6, 16, 2));
}

TEST_CASE("distribution grouping finds rows of one kind") {
    // Rows of three spreads, interleaved.
    Tensor w = normal({30, 200}, 2);
    for (std::int64_t i = 0; i < w.size(); ++i)
        w.data<float>()[i] *= std::pow(10.0F, static_cast<float>(i / 200 % 3));
    const LayerProblem problem{"w", w, {}, 0};
    for (const char* yaml :
         {"{type: distribution, groups: 3}", "{type: distribution, groups: 3, balanced: true}"}) {
        const auto rows = group(yaml, problem, 2);
        rows.layout.validate("w");
        REQUIRE(rows.layout.runs.size() == 3);
        REQUIRE(rows.row_order.size() == 30);
        for (std::size_t i = 0; i < 30; ++i) CHECK(rows.row_order[i] % 3 == rows.row_order[i / 10 * 10] % 3);
    }
    // The same shape at any scale: without the spread, rows of one distribution kind belong together.
    Tensor shapes = normal({20, 200}, 3);
    for (std::int64_t i = 0; i < shapes.size(); ++i) {
        float& v = shapes.data<float>()[i];
        if (i / 200 % 2 == 0) v = v * v * v;
        v *= static_cast<float>(1 + i / 200);
    }
    const auto by_shape =
        group("{type: distribution, groups: 2, spread: 0, parts: scales}", {"w", shapes, {}, 0}, 2);
    CHECK(by_shape.layout.shared_codebook);
    for (std::size_t i = 0; i < 20; ++i)
        CHECK(by_shape.row_order[i] % 2 == by_shape.row_order[i / 10 * 10] % 2);
}

TEST_CASE("distribution grouping of hard rows") {
    const LayerProblem equal{"w", Tensor::zeros({9, 8}), {}, 0};
    for (const char* yaml :
         {"{type: distribution, groups: 4}", "{type: distribution, groups: 4, balanced: true}",
          "{type: distribution, groups: 100}", "{type: distribution, groups: 1}"}) {
        const auto rows = group(yaml, equal, 2);
        rows.layout.validate("w");
        const auto matrix = initialise("{type: kmeans, weights: none}", equal, rows);
        CHECK(squared_error(decode(matrix), equal.weights) == 0);
    }
    Tensor bad = normal({3, 4}, 1);
    bad.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH(group("distribution", {"blk.1", bad, {}, 0}, 2), Catch::Contains("blk.1: row 1"));
}

TEST_CASE("initialisers: k-means beats Lloyd, Lloyd beats an even grid") {
    Tensor w = normal({20, 256}, 4);
    for (float& v : w.values<float>()) v = v * (1 + v * v);
    const LayerProblem problem{"w", w, {}, 0};
    for (const char* grouping : {"per_row", "per_tensor", "{type: distribution, groups: 4}",
                                 "{type: distribution, groups: 4, parts: scales}"}) {
        const auto rows = group(grouping, problem, 2);
        const double exact =
            squared_error(decode(initialise("{type: kmeans, weights: none}", problem, rows)), w);
        const double lloyd = squared_error(
            decode(initialise("{type: kmeans, weights: none, algorithm: lloyd}", problem, rows)), w);
        const double uniform = squared_error(decode(initialise("uniform", problem, rows)), w);
        CHECK(exact <= lloyd * 1.001);
        CHECK(lloyd < uniform);
    }
}

TEST_CASE("k-means weighted by input second moments lowers the weighted error") {
    const Tensor w = normal({10, 128}, 5);
    std::vector<float> moments(128);
    for (std::size_t j = 0; j < 128; ++j) moments[j] = j % 4 == 0 ? 100.0F : 0.1F;
    const LayerProblem problem{"w", w, diagonal(moments), 0};
    const auto rows = group("per_row", problem, 2);
    const auto weighted_error = [&](const char* yaml) {
        const Tensor d = decode(initialise(yaml, problem, rows));
        double total = 0;
        for (std::int64_t i = 0; i < w.size(); ++i)
            total +=
                static_cast<double>(moments[static_cast<std::size_t>(i % 128)]) *
                std::pow(static_cast<double>(w.data<float>()[i]) - static_cast<double>(d.data<float>()[i]),
                         2);
        return total;
    };
    CHECK(weighted_error("kmeans") < 0.9 * weighted_error("{type: kmeans, weights: none}"));
    CHECK_THROWS_WITH(initialise("kmeans", {"w", w, {}, 0}, rows), Catch::Contains("calibration"));
}

TEST_CASE("groups of 64 columns with scale and zero point cost half a bit per weight") {
    const Tensor w = normal({64, 2048}, 7);
    const LayerProblem problem{"w", w, {}, 0};
    const auto rows = group("{type: column_groups, size: 64}", problem, 2);
    auto matrix = initialise("uniform", problem, rows);
    Choice<Solver>("rtn").make()->solve(problem, matrix, cpu_backend());
    matrix.validate("w");
    Artifact artifact;
    artifact.matrices.emplace("w", matrix);
    const auto path = std::filesystem::temp_directory_path() / "jlcm_column_groups.jlcm";
    write_artifact(path, artifact);
    const auto footprint = artifact_footprint(path);
    const Artifact back = read_artifact(path);
    CHECK(back.matrices.at("w").identical(matrix));
    std::filesystem::remove(path);
    CHECK(footprint.linear_bits_per_weight() == Approx(2.5).margin(8.0 * 8 / (64 * 2048)));
    // Each group spans its weights: the error is at most half a step, and a step is a third of the range.
    const Tensor decoded = decode(matrix);
    for (std::int64_t g = 0; g < 64 * 32; ++g) {
        const auto values = w.values<float>().subspan(static_cast<std::size_t>(g) * 64, 64);
        const auto [low, high] = std::ranges::minmax(values);
        for (std::int64_t i = g * 64; i < (g + 1) * 64; ++i)
            REQUIRE(std::abs(decoded.data<float>()[i] - w.data<float>()[i]) <= 0.502F * (high - low) / 3);
    }
    // Fewer columns than a group, the other parts, and a last group that is narrower.
    const LayerProblem narrow{"w", normal({3, 40}, 8), {}, 0};
    for (const char* yaml :
         {"{type: column_groups, size: 64}", "{type: column_groups, size: 24, parts: scales}",
          "{type: column_groups, size: 24, parts: codebooks}"}) {
        const auto grouped = group(yaml, narrow, 3);
        for (const char* init :
             {"uniform", "{type: uniform, fit: least_squares}", "{type: kmeans, weights: none}"})
            CHECK(squared_error(decode(initialise(init, narrow, grouped)), narrow.weights) <
                  0.2 * squared_error(Tensor::zeros({3, 40}), narrow.weights));
    }
}

TEST_CASE("solvers keep layouts and names, and lnq is the best of them") {
    const Tensor w = normal({30, 96}, 6);
    Tensor h = Tensor::zeros({96, 96});
    for (std::int64_t i = 0; i < 96; ++i)
        for (std::int64_t j = 0; j < 96; ++j)
            h.data<float>()[i * 96 + j] = std::pow(0.7F, static_cast<float>(std::abs(i - j)));
    const LayerProblem problem{"w", w, h, 0};
    const auto rows = group("{type: distribution, groups: 5}", problem, 2);
    const auto error = [&](const char* solver) {
        auto matrix = initialise("kmeans", problem, rows);
        Choice<Solver>::parse(solver).make()->solve(problem, matrix, cpu_backend());
        matrix.validate("w");
        CHECK(matrix.layout == rows.layout);
        CHECK(matrix.row_order == rows.row_order);
        const Tensor d = decode(matrix);
        double total = 0;
        for (std::int64_t r = 0; r < 30; ++r)
            for (std::int64_t i = 0; i < 96; ++i)
                for (std::int64_t j = 0; j < 96; ++j)
                    total += static_cast<double>((d.data<float>()[r * 96 + i] - w.data<float>()[r * 96 + i]) *
                                                 (d.data<float>()[r * 96 + j] - w.data<float>()[r * 96 + j]) *
                                                 h.data<float>()[i * 96 + j]);
        return total;
    };
    const double nearest = error("nearest_codeword");
    CHECK(error("lnq") < 0.8 * nearest);
    CHECK(error("rtn") > nearest);
    CHECK(Choice<Solver>("lnq").make()->needs().second_moments);
}
