// Zero-shot questions against lm-evaluation-harness (tests/golden/make_zero_shot.py), embeddings against a
// direct computation.
#include "core/base/files.hpp"
#include "core/data/choice_task.hpp"
#include "core/model/continuations.hpp"
#include "core/model/evaluation.hpp"
#include "core/plugin/choice.hpp"
#include "core/report/run_table.hpp"
#include "core/run/result.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tiny_llama.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

EvaluationResult evaluated(const std::string& yaml, const std::vector<const BoundModel*>& models,
                           const ModelInput& input) {
    return Choice<Evaluation>::parse(yaml).make()->evaluate({models, input}, {});
}

/// A model of whose weights every one is a little off.
class Disturbed final : public WeightSource {
  public:
    Disturbed(const WeightSource& base, double size) : base_(base), size_(size) {}
    [[nodiscard]] const Graph& graph() const override { return base_.graph(); }
    [[nodiscard]] Tensor weight(ParameterId id) const override {
        Tensor value = base_.weight(id).clone();
        const Tensor noise = test::random_tensor(value.shape(), std::to_string(id), DType::f32, size_);
        for (std::int64_t i = 0; i < value.size(); ++i) value.data<float>()[i] += noise.data<float>()[i];
        return value;
    }

  private:
    const WeightSource& base_;
    double size_;
};

Model tiny_bert() {
    return Model(read_checkpoint(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/transformers/bert"));
}

}  // namespace

TEST_CASE("zero-shot figures are those of the choices' likelihoods") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "items.jsonl";
    std::string lines;
    for (const char* line :
         {R"({"context": "AB", "choices": ["CDEFG", "H"], "gold": 0, "delimiter": ""})",
          R"({"context": "QZ", "choices": ["ABA", "CC", "XYZXYZ"], "gold": 2, "delimiter": ""})",
          R"({"context": "MNM", "choices": ["A", "B"], "gold": 1, "delimiter": ""})"})
        lines += std::string(line) + "\n";
    write_file(path, lines);
    const Model model = test::tiny_llama();
    const BoundModel bound(model, DType::f32, cpu_backend());
    const Disturbed disturbed(model, 0.2);
    const BoundModel other(disturbed, DType::f32, cpu_backend());
    const auto result = evaluated(fmt::format("{{type: zero_shot, task: piqa, file: {}}}", path.string()),
                                  {&bound, &other}, model.input());
    CHECK(result.expected == nlohmann::json{0, 2, 1});
    CHECK(result.protocol.at("items") == 3);
    CHECK(result.protocol.at("texts") == 7);

    const ChoiceTask task = read_choice_task(path, 0);
    for (std::size_t m = 0; m < 2; ++m) {
        double plain = 0;
        double normalised = 0;
        for (std::size_t i = 0; i < task.items.size(); ++i) {
            std::vector<double> scores;
            std::vector<double> shares;
            for (const std::string& choice : task.items[i].choices) {
                const auto tokens =
                    encode_continuation(*model.input().tokenizer, task.items[i].context(0), choice, {}, 64);
                scores.push_back(
                    log_likelihoods(m == 0 ? bound : other, {{tokens.ids, tokens.begin}}).front());
                shares.push_back(scores.back() / static_cast<double>(choice.size()));
            }
            plain += std::ranges::max_element(scores) - scores.begin() == task.items[i].gold ? 1 : 0;
            const auto chosen = std::ranges::max_element(shares) - shares.begin();
            CHECK(result.models[m].items.at(i) == chosen);
            normalised += chosen == task.items[i].gold ? 1 : 0;
        }
        CHECK(result.models[m].value == Approx(100 * normalised / 3));
        CHECK(result.models[m].more.at("acc").get<double>() == Approx(100 * plain / 3));
        const double share = normalised / 3;
        CHECK(*result.models[m].standard_error == Approx(100 * std::sqrt(share * (1 - share) / 2)));
    }
    CHECK_FALSE(result.models[0].agreement);
    CHECK(result.models[1].agreement);
    const std::string table =
        evaluation_table(evaluation_record("zero_shot", result, {"original", "compressed"}));
    CHECK_THAT(table, Catch::Contains("3 items") && Catch::Contains("acc_norm %"));

    const Model encoder = tiny_bert();
    const BoundModel features(encoder, DType::f32, cpu_backend());
    CHECK_THROWS_WITH(evaluated(fmt::format("{{type: zero_shot, task: piqa, file: {}}}", path.string()),
                                {&features}, encoder.input()),
                      Catch::Contains("encoder"));
}

TEST_CASE("the default model's likelihoods of choices are lm-evaluation-harness's") {
    const auto path = test::default_model();
    JLCM_SKIP_UNLESS(path, "the default model is not in the cache (scripts/fetch_model.sh)");
    const auto root = test::assets();
    JLCM_SKIP_UNLESS(root, "no test assets (JLCM_ASSETS)");
    const auto golden = nlohmann::json::parse(
        read_file(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/zero_shot.json"));
    // All 100 items of each task take minutes: JLCM_ZERO_SHOT_ITEMS=100.
    const char* given = std::getenv("JLCM_ZERO_SHOT_ITEMS");
    const std::int64_t items = given != nullptr ? std::atoll(given) : 2;
    const Model model(read_checkpoint(*path));
    const BoundModel bound(model, DType::f32, cpu_backend());
    double worst = 0;
    for (const auto& [name, expected] : golden.at("tasks").items()) {
        CAPTURE(name);
        const std::string file = name == "hellaswag" ? "hellaswag_val" : name;
        const ChoiceTask task = read_choice_task(*root / "data/tasks" / (file + ".jsonl"), items);
        REQUIRE(task.sha256 == expected.at("sha256"));
        std::vector<ContinuationTokens> tokens;
        std::vector<double> wanted;
        for (std::size_t i = 0; i < task.items.size(); ++i)
            for (std::size_t c = 0; c < task.items[i].choices.size(); ++c) {
                tokens.push_back(encode_continuation(*model.input().tokenizer, task.items[i].context(c),
                                                     task.items[i].continuations[c], {},
                                                     model.input().max_positions));
                wanted.push_back(expected.at("log_likelihoods").at(i).at(c));
            }
        std::vector<Continuation> continuations;
        for (const auto& each : tokens) continuations.push_back({each.ids, each.begin});
        const auto found = log_likelihoods(bound, continuations);
        for (std::size_t i = 0; i < found.size(); ++i)
            worst = std::max(worst, std::abs(found[i] - wanted[i]));
        if (items < 100) continue;
        const auto result = evaluated(fmt::format("{{type: zero_shot, task: {}, limit: 100, file: {}}}", name,
                                                  (*root / "data/tasks" / (file + ".jsonl")).string()),
                                      {&bound}, model.input());
        CHECK(result.models[0].more.at("acc").get<double>() ==
              Approx(100 * expected.at("acc").get<double>()));
        if (expected.contains("acc_norm") && result.models[0].more.contains("acc_norm")) {
            CHECK(result.models[0].more.at("acc_norm").get<double>() ==
                  Approx(100 * expected.at("acc_norm").get<double>()));
            CHECK(result.models[0].more.at("acc_bytes").get<double>() ==
                  Approx(100 * expected.at("acc_bytes").get<double>()));
        }
        CHECK(*result.models[0].standard_error ==
              Approx(100 *
                     expected.at(result.metric == "acc %" ? "acc_stderr" : "acc_norm_stderr").get<double>()));
    }
    CHECK(worst < 5e-3);
    if (given != nullptr) WARN("largest difference of a log-likelihood: " << worst);
}

TEST_CASE("embeddings are means over tokens, compared by their cosine") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "text.txt";
    std::string text;
    for (int i = 0; i < 40; ++i) text += fmt::format("the {}th window of text, and no other. ", i * i);
    write_file(path, text);
    const Model model = tiny_bert();
    const BoundModel bound(model, DType::f32, cpu_backend());
    const Disturbed disturbed(model, 0.1);
    const BoundModel other(disturbed, DType::f32, cpu_backend());
    const std::string yaml =
        fmt::format("{{type: embedding, dataset: {}, length: 20, windows: 6}}", path.string());
    const auto result = evaluated(yaml, {&bound, &other}, model.input());
    CHECK(result.models[0].value == Approx(1.0));
    CHECK(result.models[1].value < 0.9999);
    CHECK(result.models[1].more.at("minimum").get<double>() <= result.models[1].value);
    REQUIRE(result.models[1].items.size() == 6);

    const auto tokens = model.input().tokenizer->encode(text);
    for (std::size_t w = 0; w < 6; ++w) {
        std::vector<std::int32_t> ids{2};
        ids.insert(ids.end(), tokens.begin() + static_cast<std::ptrdiff_t>(18 * w),
                   tokens.begin() + static_cast<std::ptrdiff_t>(18 * w + 18));
        ids.push_back(3);
        const Tensor sample = Tensor::from<std::int32_t>({1, 20}, ids);
        const Tensor a = bound.features(sample);
        const Tensor b = other.features(sample);
        double ab = 0;
        double aa = 0;
        double bb = 0;
        for (std::int64_t j = 0; j < a.cols(); ++j) {
            double x = 0;
            double y = 0;
            for (std::int64_t row = 0; row < 20; ++row) {
                x += static_cast<double>(a.data<float>()[row * a.cols() + j]);
                y += static_cast<double>(b.data<float>()[row * a.cols() + j]);
            }
            ab += x * y;
            aa += x * x;
            bb += y * y;
        }
        CHECK(result.models[1].items.at(w).get<double>() == Approx(ab / std::sqrt(aa * bb)).epsilon(1e-6));
    }
    const std::string table =
        evaluation_table(evaluation_record("embedding", result, {"original", "compressed"}));
    CHECK_THAT(table, Catch::Contains("minimum") && Catch::Contains("6 windows"));

    const Model decoder = test::tiny_llama();
    const BoundModel predicting(decoder, DType::f32, cpu_backend());
    CHECK_THROWS_WITH(evaluated(yaml, {&predicting}, decoder.input()), Catch::Contains("no encoder"));
    CHECK_THROWS_WITH(evaluated(fmt::format("{{type: perplexity, dataset: {}, context: 16}}", path.string()),
                                {&bound}, model.input()),
                      Catch::Contains("encoder"));
}
