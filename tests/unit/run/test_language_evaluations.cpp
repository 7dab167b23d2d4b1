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
#include <limits>

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

/// Every choice of a task as a model reads it, and what the harness says of each.
struct EncodedTask {
    std::vector<ContinuationTokens> tokens;
    nlohmann::json said = nlohmann::json::array();

    EncodedTask(const ChoiceTask& task, const ModelInput& input, const nlohmann::json& harness) {
        for (std::size_t i = 0; i < task.items.size(); ++i)
            for (std::size_t c = 0; c < task.items[i].choices.size(); ++c) {
                tokens.push_back(encode_continuation(*input.tokenizer, task.items[i].context(c),
                                                     task.items[i].continuations[c], {},
                                                     input.max_positions));
                said.push_back(harness.at(i).at(c));
            }
    }
    [[nodiscard]] std::vector<Continuation> continuations() const {
        std::vector<Continuation> result;
        for (const auto& each : tokens) result.push_back({each.ids, each.begin});
        return result;
    }
};

Model tiny_bert() {
    return Model(read_checkpoint(std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/transformers/bert"));
}

}  // namespace

/// KL of the probabilities that log-likelihoods give the choices of an item.
double divergence_of(const std::vector<double>& original, const std::vector<double>& own) {
    const auto total = [](const std::vector<double>& scores) {
        double sum = 0;
        for (const double score : scores) sum += std::exp(score);
        return sum;
    };
    double kl = 0;
    for (std::size_t i = 0; i < original.size(); ++i)
        kl += std::exp(original[i]) / total(original) *
              (original[i] - std::log(total(original)) - own[i] + std::log(total(own)));
    return kl;
}

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
    std::vector<std::vector<double>> original;
    double divergence = 0;
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
            if (m == 0)
                original.push_back(scores);
            else
                divergence += divergence_of(original[i], scores) / 3;
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
    CHECK_FALSE(result.models[0].kl);
    CHECK(*result.models[1].kl == Approx(divergence).epsilon(1e-4));
    CHECK(result.models[1].more.at("kl_median") > 0);
    const std::string table =
        evaluation_table(evaluation_record("zero_shot", result, {"original", "compressed"}));
    CHECK_THAT(table, Catch::Contains("3 items") && Catch::Contains("acc_norm %"));

    const Model encoder = tiny_bert();
    const BoundModel features(encoder, DType::f32, cpu_backend());
    CHECK_THROWS_WITH(evaluated(fmt::format("{{type: zero_shot, task: piqa, file: {}}}", path.string()),
                                {&features}, encoder.input()),
                      Catch::Contains("encoder"));
}

TEST_CASE("tasks of every kind, and rows of data sets, have lm-evaluation-harness's figures") {
    const auto root = test::assets();
    JLCM_SKIP_UNLESS(root, "no test assets (JLCM_ASSETS)");
    const auto tasks = std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/tasks";
    const auto golden = nlohmann::json::parse(read_file(tasks / "harness.json"));
    const Model model(read_checkpoint(*root / "lm/stories260k"));
    const BoundModel bound(model, DType::f32, cpu_backend());
    CHECK(golden.size() == 9);
    for (const auto& [name, expected] : golden.items()) {
        CAPTURE(name);
        const auto path = tasks / (name + ".jsonl");
        const ChoiceTask task = read_choice_task(path, 0);
        REQUIRE(task.items.size() == expected.at("log_likelihoods").size());
        const EncodedTask encoded(task, model.input(), expected.at("log_likelihoods"));
        const EncodedTask written(task, model.input(), expected.at("greedy"));
        std::vector<std::vector<std::int32_t>> greedy;
        const auto found = log_likelihoods(bound, encoded.continuations(), {}, &greedy);
        for (std::size_t i = 0; i < found.size(); ++i) {
            CAPTURE(i);
            CHECK(found[i] == Approx(encoded.said[i].get<double>()).margin(2e-3));
            const auto& [ids, begin] = encoded.tokens[i];
            CHECK(std::ranges::equal(greedy[i], std::span(ids).subspan(begin)) ==
                  written.said[i].get<bool>());
        }
        const auto result =
            evaluated(fmt::format("{{type: zero_shot, task: {}}}", path.string()), {&bound}, model.input());
        for (const char* figure : {"acc", "acc_norm", "acc_bytes"}) {
            if (!expected.contains(figure)) continue;
            CHECK(result.models[0].more.at(figure).get<double>() ==
                  Approx(100 * expected.at(figure).get<double>()));
            const std::string error = fmt::format("{}_stderr", figure);
            CHECK(result.models[0].more.at(error).get<double>() ==
                  Approx(100 * expected.at(error).get<double>()));
        }
        if (expected.contains("perplexity"))
            CHECK(result.models[0].more.at("perplexity").get<double>() ==
                  Approx(expected.at("perplexity").get<double>()).epsilon(1e-3));
    }
}

TEST_CASE("greedy scoring says whether a model would write the continuation") {
    const test::TemporaryDirectory directory;
    const Model model = test::tiny_llama();
    const BoundModel bound(model, DType::f32, cpu_backend());
    const Disturbed disturbed(model, 0.2);
    const BoundModel other(disturbed, DType::f32, cpu_backend());
    const Tokenizer& tokenizer = *model.input().tokenizer;
    // What the model writes, token by token, and one item that it does not.
    std::string written;
    const std::string context = "ABC";
    const auto most_likely = [&](const BoundModel& of, const std::vector<std::int32_t>& ids) {
        const Tensor sample = Tensor::from<std::int32_t>({1, std::ssize(ids)}, ids);
        const Tensor scores = of.scores(sample);
        const auto width = static_cast<std::size_t>(scores.cols());
        const auto last = scores.values<float>().last(width);
        return static_cast<std::int32_t>(std::ranges::max_element(last) - last.begin());
    };
    auto ids = tokenizer.encode(context);
    for (int i = 0; i < 2; ++i) {
        const std::int32_t next = most_likely(bound, ids);
        ids.push_back(next);
        written += tokenizer.decode(std::vector{next});
    }
    CAPTURE(written);
    const bool splits = tokenizer.encode(context + written) == ids;
    const auto line = [&](const std::string& continuation) {
        return nlohmann::json{{"context", context}, {"continuation", continuation}, {"delimiter", ""}}
                   .dump() +
               "\n";
    };
    write_file(directory.path() / "own.jsonl", line(splits ? written : "X") + line("Q") + line("XYZ"));
    const auto of = [&](const std::string& metric) {
        return evaluated(fmt::format("{{type: zero_shot, task: {}, metric: {}}}",
                                     (directory.path() / "own.jsonl").string(), metric),
                         {&bound, &other}, model.input());
    };
    const EvaluationResult accuracy = of("automatic");
    const EvaluationResult perplexity = of("perplexity");
    CHECK(accuracy.title == "own, zero-shot, acc");
    CHECK(accuracy.metric == "acc %");
    CHECK(accuracy.expected == nlohmann::json{0, 0, 0});
    CHECK(perplexity.metric == "perplexity");
    CHECK_FALSE(perplexity.higher_is_better);
    CHECK(perplexity.expected.is_null());
    CHECK(perplexity.protocol.at("scoring") == "greedy");
    for (std::size_t m = 0; m < 2; ++m) {
        const BoundModel& each = m == 0 ? bound : other;
        std::vector<double> nll;
        double right = 0;
        for (const std::string& continuation :
             {splits ? written : "X", std::string("Q"), std::string("XYZ")}) {
            const auto tokens = encode_continuation(tokenizer, context, continuation, {}, 64);
            nll.push_back(-log_likelihoods(each, {{tokens.ids, tokens.begin}}).front());
            bool greedy = true;
            for (std::size_t at = tokens.begin; at < tokens.ids.size(); ++at)
                greedy =
                    greedy && most_likely(each, {tokens.ids.begin(),
                                                 tokens.ids.begin() + static_cast<std::ptrdiff_t>(at)}) ==
                                  tokens.ids[at];
            right += greedy ? 1 : 0;
            CHECK(accuracy.models[m].items.at(nll.size() - 1) == (greedy ? 0 : -1));
        }
        if (m == 0 && splits) CHECK(right >= 1);
        const double mean = (nll[0] + nll[1] + nll[2]) / 3;
        double squares = 0;
        for (const double value : nll) squares += (value - mean) * (value - mean);
        CHECK(accuracy.models[m].value == Approx(100 * right / 3));
        CHECK(perplexity.models[m].value == Approx(std::exp(mean)));
        CHECK(*perplexity.models[m].standard_error == Approx(std::exp(mean) * std::sqrt(squares / 2 / 3)));
        CHECK(accuracy.models[m].more.at("perplexity").get<double>() == Approx(std::exp(mean)));
    }
    CHECK(accuracy.models[1].agreement);
    CHECK_THROWS_WITH(of("acc_norm"), Catch::Contains("scored as greedy, which has acc, perplexity"));
    CHECK_THROWS_WITH(evaluated("{type: zero_shot, task: no_such_task}", {&bound}, model.input()),
                      Catch::Contains("tasks/no_such_task.jsonl"));
}

TEST_CASE("a model that is not finite has no finite figure") {
    const test::TemporaryDirectory directory;
    write_file(directory.path() / "own.jsonl",
               R"({"context": "AB", "choices": ["C", "DE"], "gold": 0, "delimiter": ""})");
    const Model model = test::tiny_llama();
    const BoundModel bound(model, DType::f32, cpu_backend());
    const Disturbed broken(model, std::numeric_limits<double>::quiet_NaN());
    const BoundModel other(broken, DType::f32, cpu_backend());
    const auto result =
        evaluated(fmt::format("{{type: zero_shot, task: {}}}", (directory.path() / "own.jsonl").string()),
                  {&bound, &other}, model.input());
    CHECK(std::isfinite(result.models[0].value));
    CHECK(std::isnan(result.models[1].value));
    CHECK(std::isnan(*result.models[1].agreement));
    CHECK(std::isnan(result.models[1].more.at("acc").get<double>()));
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
        const EncodedTask encoded(task, model.input(), expected.at("log_likelihoods"));
        const auto found = log_likelihoods(bound, encoded.continuations());
        for (std::size_t i = 0; i < found.size(); ++i)
            worst = std::max(worst, std::abs(found[i] - encoded.said[i].get<double>()));
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

TEST_CASE("a model whose scores are not finite has no finite figure, beside one that is well") {
    const test::TemporaryDirectory directory;
    const auto text = directory.path() / "text.txt";
    write_file(text, std::string(400, 'A') + std::string(400, 'B'));
    const auto words = directory.path() / "words.txt";
    std::string lines;
    for (int i = 0; i < 40; ++i) lines += fmt::format("the {}th window of text, and no other. ", i * i);
    write_file(words, lines);
    const auto items = directory.path() / "items.jsonl";
    write_file(items,
               "{\"context\": \"AB\", \"choices\": [\"C\", \"D\"], \"gold\": 0, \"delimiter\": \"\"}\n"
               "{\"context\": \"Q\", \"choices\": [\"A\", \"B\"], \"gold\": 0, \"delimiter\": \"\"}\n");
    const Model decoder = test::tiny_llama();
    const Model encoder = tiny_bert();
    const std::vector<std::pair<const Model*, std::string>> evaluations{
        {&decoder, fmt::format("{{type: perplexity, dataset: {}, context: 16}}", text.string())},
        {&decoder, fmt::format("{{type: zero_shot, task: piqa, file: {}}}", items.string())},
        {&encoder, fmt::format("{{type: embedding, dataset: {}, length: 20}}", words.string())}};
    for (const auto& [model, yaml] : evaluations) {
        CAPTURE(yaml);
        const BoundModel well(*model, DType::f32, cpu_backend());
        const Disturbed broken(*model, not_a_number);
        const BoundModel bad(broken, DType::f32, cpu_backend());
        for (const bool original_is_bad : {false, true}) {
            const auto result = original_is_bad ? evaluated(yaml, {&bad, &well}, model->input())
                                                : evaluated(yaml, {&well, &bad}, model->input());
            const auto record = evaluation_record("x", result, {"original", "compressed"});
            const auto& figures = record.at("models").at(original_is_bad ? "original" : "compressed");
            const auto& compressed = record.at("models").at("compressed");
            for (const auto* each : {&figures, &compressed})
                for (const auto& [key, value] : each->items()) {
                    const bool is_relative = key == "kl" || key == "agreement" || result.metric == "cosine";
                    if (each == &compressed && original_is_bad && !is_relative) continue;
                    CAPTURE(key);
                    CHECK((!value.is_number()));
                }
            CHECK(recorded_figure(compressed, "agreement").has_value());
            CHECK_FALSE(figures_not_finite(nlohmann::json::array({record})).empty());
            CHECK_THAT(evaluation_table(record), Catch::Contains("nan"));
            // As it is written and read.
            CHECK(nlohmann::json::parse(record.dump()) == record);
        }
        const auto fine = evaluation_record("x", evaluated(yaml, {&well, &well}, model->input()),
                                            {"original", "compressed"});
        CHECK(figures_not_finite(nlohmann::json::array({fine})).empty());
    }
}

TEST_CASE("what is not finite is null in a record, and named beside it") {
    EvaluationResult result{.title = "t", .metric = "m", .protocol = {}, .models = {}, .expected = {}};
    const double infinity = std::numeric_limits<double>::infinity();
    result.models.push_back({.value = infinity,
                             .standard_error = not_a_number,
                             .kl = -infinity,
                             .agreement = 0.5,
                             .more = {{"acc", not_a_number}, {"list", {1}}},
                             .items = {}});
    const auto record = evaluation_record("x", result, {"compressed"});
    const auto& figures = record.at("models").at("compressed");
    CHECK(figures.at("value").is_null());
    CHECK(*recorded_figure(figures, "value") == infinity);
    CHECK(*recorded_figure(figures, "kl") == -infinity);
    CHECK(std::isnan(*recorded_figure(figures, "stderr")));
    CHECK(std::isnan(*recorded_figure(figures, "acc")));
    CHECK(*recorded_figure(figures, "agreement") == 0.5);
    CHECK_FALSE(recorded_figure(figures, "list"));
    CHECK_FALSE(recorded_figure(figures, "top5"));
    CHECK(record.at("compressed").is_null());
    CHECK(std::isnan(*recorded_figure({{"value", nullptr}}, "value")));
    CHECK_FALSE(recorded_figure({{"value", 1}, {"stderr", nullptr}}, "stderr"));
}
