// The planned artifact against the one that is written, over groupings, orders and the embedding.

#include "core/codebook/artifact_model.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/compress/embedding.hpp"
#include "core/compress/reordering.hpp"
#include "core/estimate/artifact_plan.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tiny_llama.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

/// Bytes of the file that first codebooks alone make: solvers change values, not the layout.
std::uintmax_t written(const Model& model, const CompressOptions& options, const nlohmann::json& provenance) {
    auto plan = plan_compression(model.graph(), options);
    const auto reordered = options.reorder ? reorder_model(model, *options.reorder, plan) : nullptr;
    const WeightSource& source = reordered ? static_cast<const WeightSource&>(*reordered) : model;
    CompressedModel compressed(source);
    const auto init = options.codebook_init.make();
    for (const auto& [id, matrix] : plan) {
        const std::string& name = model.graph().parameter(id).name;
        const LayerProblem problem{.name = name, .weights = source.weight(id), .second_moments = {}};
        CompressedMatrix made = init->initialise(problem, matrix.group(problem));
        made.round_to_storage(name);
        compressed.matrices()[id] = std::move(made);
    }
    if (options.embedding) compress_embedding(*options.embedding, compressed);
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "artifact.safetensors";
    write_artifact(path, make_artifact(compressed, model.checkpoint(), reordered.get(), provenance));
    return std::filesystem::file_size(path);
}

}  // namespace

TEST_CASE("a planned artifact is as long as the one that is written, to the byte") {
    const Model model = test::tiny_llama();
    const auto embedding = [] {
        EmbeddingOptions options;
        options.codebook_init = Choice<CodebookInit>::parse("{type: kmeans, weights: none}");
        return options;
    };
    for (const char* grouping :
         {"per_row", "per_tensor", "{type: consecutive, groups: 3}",
          "{type: consecutive, groups: 3, parts: scales}", "{type: distribution, groups: 3}",
          "{type: distribution, groups: 2, parts: scales}", "{type: column_groups, size: 3}",
          "{type: column_groups, size: 4, parts: scales}", "{type: column_groups, size: 4, parts: codebooks}",
          "{type: vectors, dimension: 2, stages: 2}", "{type: vectors, dimension: 4, row_scales: false}"})
        for (const int bits : {1, 2, 3, 5, 8})
            for (const int variant : {0, 1, 2, 3}) {
                INFO(grouping << ", " << bits << " bits, variant " << variant);
                CompressOptions options;
                options.bits = bits;
                options.grouping = Choice<Grouping>::parse(grouping);
                options.codebook_init = Choice<CodebookInit>::parse("{type: kmeans, weights: none}");
                options.solver = Choice<Solver>("nearest_codeword");
                if (variant % 2 == 1) options.embedding = embedding();
                if (variant >= 2) options.reorder.emplace().residual = variant == 3;
                const nlohmann::json provenance{{"name", std::string(static_cast<std::size_t>(bits), 'x')}};
                ArtifactPlan plan = plan_artifact(model, options);
                plan.form.provenance = provenance;
                REQUIRE(artifact_footprint(plan.form).bytes.total() == written(model, options, provenance));
            }
}

TEST_CASE("weights that a solver keeps aside are counted, at most") {
    const Model model = test::tiny_llama();
    CompressOptions options;
    options.solver = Choice<Solver>::parse("{type: squeezellm, sensitive: 0.01, outliers: 0.02}");
    const auto with = artifact_footprint(plan_artifact(model, options).form);
    CHECK(with.bytes.outliers > 0);
    options.solver = Choice<Solver>::parse("squeezellm");
    CHECK(artifact_footprint(plan_artifact(model, options).form).bytes.outliers == 0);
}
