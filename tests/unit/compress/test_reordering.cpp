// The stage that re-orders neurons: groups become runs in place, and the model stays what it was.
#include "core/codebook/artifact_model.hpp"
#include "core/compress/reordering.hpp"
#include "core/model/scoring.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tiny_llama.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

Tensor logits(const WeightSource& model) {
    Backend& backend = cpu_backend();
    const BoundModel bound(model, DType::f32, backend);
    return backend.product(bound.features(test::random_ids({1, 12}, 32, "ids")), bound.head());
}

double largest_difference(const Tensor& a, const Tensor& b) {
    double worst = 0;
    for (std::int64_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a.data<float>()[i] - b.data<float>()[i])));
    return worst;
}

bool identical(const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() && std::memcmp(a.bytes().data(), b.bytes().data(), a.byte_count()) == 0;
}

struct Problem {
    Model model = test::tiny_llama();
    std::map<ParameterId, MatrixPlan> plan;
    std::unique_ptr<ReorderedModel> reordered;

    explicit Problem(const ReorderOptions& options,
                     const char* grouping = "{type: distribution, groups: 3}") {
        CompressOptions compress;
        compress.grouping = Choice<Grouping>::parse(grouping);
        plan = plan_compression(model.graph(), compress);
        reorder(options);
    }
    void reorder(const ReorderOptions& options) { reordered = reorder_model(model, options, plan); }
    ParameterId id(const std::string& name) const {
        return model.graph().find_parameter("model.layers.1." + name + ".weight").value();
    }
    GroupedRows group(ParameterId parameter) const {
        return plan.at(parameter).group({.name = model.graph().parameter(parameter).name,
                                         .weights = reordered->weight(parameter),
                                         .second_moments = {}});
    }
    GroupedRows group(const std::string& name) const { return group(id(name)); }
    /// Everything compressed by k-means.
    std::unique_ptr<CompressedModel> compressed() const {
        auto result = std::make_unique<CompressedModel>(*reordered);
        const auto init = Choice<CodebookInit>::parse("{type: kmeans, weights: none}").make();
        for (const auto& [parameter, matrix] : plan) {
            const LayerProblem problem{.name = model.graph().parameter(parameter).name,
                                       .weights = reordered->weight(parameter),
                                       .second_moments = {}};
            result->matrices()[parameter] = init->initialise(problem, matrix.group(problem));
        }
        return result;
    }
};

}  // namespace

TEST_CASE("re-ordering keeps the function and makes groups runs without a stored order") {
    for (const bool residual : {false, true}) {
        for (const char* grouping :
             {"{type: distribution, groups: 3}", "{type: distribution, groups: 3, balanced: true}"}) {
            const Problem problem({.residual = residual}, grouping);
            CHECK(largest_difference(logits(problem.model), logits(*problem.reordered)) < 1e-4);
            for (const auto& [id, matrix] : problem.plan) {
                const GroupedRows rows = problem.group(id);
                INFO(problem.model.graph().parameter(id).name);
                rows.layout.validate("w");
                CHECK(rows.row_order.empty());
                CHECK(rows.layout.row_groups == 3);
            }
            // Gate and up: the same runs, one a group. Values: at most one a head and group.
            CHECK(problem.group("mlp.gate_proj").layout.runs.size() == 3);
            CHECK(problem.group("mlp.gate_proj").layout == problem.group("mlp.up_proj").layout);
            CHECK(problem.group("self_attn.v_proj").layout.runs.size() <= 2 * 3);
            const bool stays = problem.reordered->rows(problem.id("mlp.down_proj")).empty();
            CHECK(stays != residual);
            // Queries: whole heads of 4 rows within their group, so that no run cuts one. Keys: fewer heads
            // than groups.
            for (const Run& run : problem.group("self_attn.q_proj").layout.runs) CHECK(run.start % 4 == 0);
            CHECK(problem.reordered->rows(problem.id("self_attn.k_proj")).empty());
            CHECK_FALSE(problem.reordered->rows(problem.id("mlp.up_proj")).empty());
            CHECK(problem.reordered->rows(problem.id("mlp.up_proj")) ==
                  problem.reordered->columns(problem.id("mlp.down_proj")));
        }
    }
}

TEST_CASE("groups after re-ordering hold the rows that clustering put together") {
    const Problem problem({});
    // The joint descriptor's clusters, found again from the original rows of gate and up.
    const auto grouping = problem.plan.at(problem.id("mlp.gate_proj")).grouping.make();
    std::vector<TiedRows> tied;
    for (const char* name : {"mlp.gate_proj", "mlp.up_proj"})
        tied.emplace_back([&problem, name] {
            return LayerProblem{
                .name = name, .weights = problem.model.weight(problem.id(name)), .second_moments = {}};
        });
    const auto cluster = grouping->cluster(24, tied);
    const auto& order = problem.reordered->rows(problem.id("mlp.gate_proj"));
    const auto group_of_row = problem.group("mlp.gate_proj").layout.row_group_of_rows();
    for (std::size_t row = 0; row < 24; ++row)
        CHECK(group_of_row[row] == cluster[static_cast<std::size_t>(order[row])]);
}

TEST_CASE("whole heads of similar distribution share a group") {
    Problem problem({}, "{type: distribution, groups: 2}");
    const auto& order = problem.reordered->rows(problem.id("self_attn.q_proj"));
    const auto group_of_row = problem.group("self_attn.q_proj").layout.row_group_of_rows();
    REQUIRE(group_of_row.size() == 16);
    for (std::size_t row = 0; row < 16; ++row) CHECK(group_of_row[row] == group_of_row[row / 4 * 4]);
    if (!order.empty())
        for (std::size_t row = 0; row < 16; ++row) {
            CHECK(order[row] % 4 == static_cast<std::int32_t>(row % 4));  // rows keep their place in the head
            CHECK(order[row] / 8 == static_cast<std::int32_t>(row / 8));  // heads stay in their group
        }
}

TEST_CASE("unabsorbed rows stay in consecutive groups, or store their order") {
    const Problem left({.residual = false, .unabsorbed = Unabsorbed::leave});
    const GroupedRows keys = left.group("self_attn.k_proj");
    CHECK(keys.row_order.empty());
    CHECK(keys.layout.runs == std::vector<Run>{{0, 0}, {3, 1}, {6, 2}});
    const Problem stored({.residual = false, .unabsorbed = Unabsorbed::store});
    CHECK_FALSE(stored.group("self_attn.q_proj").row_order.empty());
    CHECK_FALSE(stored.group("mlp.down_proj").row_order.empty());
    CHECK(stored.group("self_attn.v_proj").row_order.empty());
}

TEST_CASE("where tied weights are grouped differently the first one decides") {
    Problem problem({});
    Problem mixed({});
    mixed.plan.at(mixed.id("mlp.up_proj")).grouping =
        Choice<Grouping>::parse("{type: distribution, groups: 5, balanced: true}");
    for (auto& [id, matrix] : mixed.plan) matrix.group_of_row.reset();
    mixed.reorder({});
    CHECK(largest_difference(logits(mixed.model), logits(*mixed.reordered)) < 1e-4);
    CHECK(mixed.group("mlp.gate_proj").layout.runs.size() == 3);
    CHECK(mixed.group("mlp.up_proj").layout.runs.size() == 5);
    // A grouping that wants no order is left alone, and does not hinder the other.
    mixed.plan.at(mixed.id("mlp.up_proj")).grouping = Choice<Grouping>("per_row");
    for (auto& [id, matrix] : mixed.plan) matrix.group_of_row.reset();
    mixed.reorder({});
    CHECK(mixed.group("mlp.up_proj").layout == Layout::per_row(24, 16, 2));
    CHECK(mixed.group("mlp.gate_proj").layout.runs.size() == 3);
}

TEST_CASE("from one group to one a row nothing breaks") {
    for (const char* grouping : {"{type: distribution, groups: 1}", "{type: distribution, groups: 8}",
                                 "{type: distribution, groups: 1000, parts: scales}", "per_row"}) {
        const Problem problem({.residual = true}, grouping);
        CHECK(largest_difference(logits(problem.model), logits(*problem.reordered)) < 1e-4);
        const auto compressed = problem.compressed();
        for (const auto& [id, matrix] : compressed->matrices()) matrix.validate("w");
    }
}

TEST_CASE("an artifact of a re-ordered model is complete, and holds no order") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "model.safetensors";
    for (const bool residual : {false, true}) {
        const Problem problem({.residual = residual});
        const auto compressed = problem.compressed();
        CompressedModel& model = *compressed;
        model.matrices().erase(problem.id("mlp.down_proj"));  // stays as it is, in the new order
        write_artifact(path, make_artifact(model, problem.model.checkpoint(), problem.reordered.get(),
                                           nlohmann::json::object()));
        const CompressedModel read(read_artifact(path));
        for (ParameterId id = 0; id < static_cast<ParameterId>(model.graph().parameters().size()); ++id) {
            INFO(model.graph().parameter(id).name);
            CHECK(identical(read.weight(id), model.weight(id)));
        }
        const ArtifactFootprint footprint = artifact_footprint(path);
        CHECK(footprint.bytes.permutation == 0);
        CHECK(footprint.bytes.runs > 0);
    }
}
