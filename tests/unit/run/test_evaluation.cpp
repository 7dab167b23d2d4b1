// Perplexity: its figures against a direct computation, and against themselves.

#include "core/base/files.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/codebook/compressed_model.hpp"
#include "core/model/evaluation.hpp"
#include "core/plugin/choice.hpp"
#include "core/report/run_table.hpp"
#include "core/run/result.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tiny_llama.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

std::string random_text(std::int64_t letters) {
    const Rng rng(1, "text");
    std::string text;
    for (std::int64_t i = 0; i < letters; ++i)
        text += static_cast<char>('A' + rng.bits(static_cast<std::uint64_t>(i)) % 26);
    return text;
}

EvaluationResult perplexity(const std::vector<const BoundModel*>& models, const Model& model,
                            const std::filesystem::path& text, const std::string& more) {
    const auto choice =
        Choice<Evaluation>::parse(fmt::format("{{type: perplexity, dataset: {}, {}}}", text.string(), more));
    return choice.make()->evaluate({models, model.input()}, {});
}

/// -log p of token `i` of `ids` given those before it, in double precision from the logits.
double negative_log_likelihood(const BoundModel& model, const Tensor& ids, std::int64_t i) {
    const Tensor features = model.features(ids);
    const std::int64_t width = features.cols();
    Tensor decoded;
    const Tensor head = model.head().tile(0, model.head().rows(), decoded);
    double sum = 0;
    double target = 0;
    for (std::int64_t token = 0; token < model.head().rows(); ++token) {
        double logit = 0;
        for (std::int64_t j = 0; j < width; ++j)
            logit += static_cast<double>(features.data<float>()[(i - 1) * width + j]) *
                     static_cast<double>(head.data<float>()[token * width + j]);
        sum += std::exp(logit);
        if (token == ids.data<std::int32_t>()[i]) target = logit;
    }
    return std::log(sum) - target;
}

}  // namespace

TEST_CASE("perplexity and its standard error are those of a direct computation") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "text.txt";
    const std::string text = random_text(75);
    write_file(path, text);
    const Model model = test::tiny_llama();
    const BoundModel bound(model, DType::f32, cpu_backend());
    const auto ids = model.input().tokenizer->encode(text);

    for (const bool half : {false, true}) {
        std::vector<double> means;
        for (std::int64_t w = 0; w < 4; ++w) {
            const Tensor window = Tensor::from<std::int32_t>(
                {1, 16}, std::span(ids).subspan(static_cast<std::size_t>(w * 16), 16));
            double sum = 0;
            const std::int64_t first = half ? 9 : 1;
            for (std::int64_t i = first; i < 16; ++i) sum += negative_log_likelihood(bound, window, i);
            means.push_back(sum / static_cast<double>(16 - first));
        }
        const double mean = (means[0] + means[1] + means[2] + means[3]) / 4;
        double squares = 0;
        for (const double each : means) squares += (each - mean) * (each - mean);

        const auto result = perplexity(
            {&bound}, model, path, fmt::format("context: 16, positions: {}", half ? "second_half" : "all"));
        REQUIRE(result.models.size() == 1);
        CHECK(result.models[0].value == Approx(std::exp(mean)).epsilon(1e-5));
        CHECK(*result.models[0].standard_error ==
              Approx(std::exp(mean) * std::sqrt(squares / 12)).epsilon(1e-4));
        CHECK_FALSE(result.models[0].kl);
        CHECK(result.protocol.at("windows") == 4);
        CHECK(result.protocol.at("tokens_scored") == (half ? 28 : 60));
    }
}

TEST_CASE(
    "models in one pass have the figures that each has alone, and a model does not differ from itself") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "text.txt";
    write_file(path, random_text(75));
    const Model model = test::tiny_llama();
    CompressedModel compressed(model);
    const auto id = *model.graph().find_parameter("model.layers.0.mlp.up_proj.weight");
    const LayerProblem problem{.name = "up", .weights = model.weight(id), .second_moments = {}};
    compressed.matrices()[id] = Choice<CodebookInit>("uniform").make()->initialise(
        problem, Choice<Grouping>("per_row").make()->group(problem, 2));
    const BoundModel original(model, DType::f32, cpu_backend());
    const BoundModel other(compressed, DType::f32, cpu_backend());

    const auto together = perplexity({&original, &other, &original}, model, path, "context: 16");
    const auto alone = perplexity({&other}, model, path, "context: 16");
    CHECK(together.models[0].value == together.models[2].value);
    CHECK(together.models[1].value == alone.models[0].value);
    CHECK(*together.models[2].kl == Approx(0).margin(1e-6));
    CHECK(*together.models[2].agreement == 1);
    CHECK(*together.models[1].kl > 0);
    CHECK(*together.models[1].agreement < 1);

    const auto record = evaluation_record("perplexity", together, {"original", "solver_only", "compressed"});
    CHECK(record.at("original") == together.models[0].value);
    CHECK(record.at("compressed") == together.models[2].value);
    CHECK(record.at("models").at("solver_only").at("value") == together.models[1].value);
}

TEST_CASE("what perplexity cannot do is refused") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "text.txt";
    write_file(path, random_text(20));
    const Model model = test::tiny_llama();
    const BoundModel bound(model, DType::f32, cpu_backend());
    CHECK_THROWS_WITH(perplexity({&bound}, model, path, "context: 128"),
                      Catch::Contains("beyond the model's 64"));
    CHECK_THROWS_WITH(perplexity({&bound}, model, path, "context: 32"),
                      Catch::Contains("fewer than one window"));
    CHECK_THROWS_WITH(perplexity({&bound}, model, path, "context: 8, bos: true"),
                      Catch::Contains("set bos: false"));
    const auto single = perplexity({&bound}, model, path, "context: 16");
    CHECK_FALSE(single.models[0].standard_error);
}

TEST_CASE("tables are aligned, in characters") {
    const std::string table = markdown_table({"model", "p"}, {{"a ± b", "1.00 ± 0.1"}, {"c", "2"}});
    CHECK(table ==
          "| model |          p |\n"
          "|-------|-----------:|\n"
          "| a ± b | 1.00 ± 0.1 |\n"
          "| c     |          2 |\n");
}
