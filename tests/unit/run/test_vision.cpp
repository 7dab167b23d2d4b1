// The same stages on a convolutional network: moments of grouped convolutions, batch norms, classification.

#include "core/base/rng.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/codebook/grouping.hpp"
#include "core/compress/activations.hpp"
#include "core/compress/recalibration.hpp"
#include "core/compress/second_moments.hpp"
#include "core/learn/distiller.hpp"
#include "core/learn/layer_learner.hpp"
#include "core/model/evaluation.hpp"
#include "core/model/scoring.hpp"
#include "core/run/result.hpp"
#include "core/vision/image_sets.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tiny_vision.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

Tensor images(std::int64_t count) {
    return test::random_tensor({count, 1, 6, 6}, "images", DType::f32);
}

const Graph::LinearUse& use_of(const std::vector<Graph::LinearUse>& uses, const Graph& graph,
                               const std::string& name) {
    return *std::ranges::find_if(
        uses, [&](const auto& use) { return graph.parameter(use.parameter).name == name; });
}

/// `model` with every linear weight in 2-bit codebooks a row.
void compress(CompressedModel& model) {
    const Graph& graph = model.graph();
    const auto init = Choice<CodebookInit>::parse("{type: kmeans, weights: none}").make();
    const auto grouping = Choice<Grouping>::parse("per_row").make();
    for (const auto& use : graph.linears({0, graph.node_count()})) {
        const LayerProblem problem{.name = graph.parameter(use.parameter).name,
                                   .weights = model.base().weight(use.parameter),
                                   .second_moments = {}};
        CompressedMatrix matrix = init->initialise(problem, grouping->group(problem, 2));
        matrix.round_to_storage(problem.name);
        model.matrices()[use.parameter] = std::move(matrix);
    }
}

constexpr std::int64_t noise_images = 130;

ImageData noise() {
    const Rng rng(3, "noise");
    ImageData data;
    std::vector<std::byte> pixels;
    for (std::uint64_t i = 0; i < noise_images * 36; ++i)
        pixels.push_back(static_cast<std::byte>(rng.bits(i)));
    for (std::uint64_t i = 0; i < noise_images; ++i)
        data.labels.push_back(static_cast<std::int32_t>(rng.bits(i) % 5));
    data.name = "test-noise";
    data.images = std::make_shared<PixelSet>(std::move(pixels), Shape{6, 6, 1}, PixelSet::Order::interleaved);
    return data;
}

class Noise final : public Dataset {
  public:
    using Options = NoOptions;
    [[nodiscard]] bool is_available(const Directories& /*directories*/) const override { return true; }
    [[nodiscard]] Data load(const Directories& /*directories*/) const override { return noise(); }
};
const Registrar<Dataset, Noise> registrar{"test-noise", "Noise."};

class UnlabelledNoise final : public Dataset {
  public:
    using Options = NoOptions;
    [[nodiscard]] bool is_available(const Directories& /*directories*/) const override { return true; }
    [[nodiscard]] Data load(const Directories& /*directories*/) const override {
        ImageData data = noise();
        data.labels.clear();
        return data;
    }
};
const Registrar<Dataset, UnlabelledNoise> unlabelled_registrar{"test-unlabelled", "Noise without labels."};

}  // namespace

TEST_CASE("blocks of another shape are passed, and a grouped convolution has moments for each group") {
    const Model model = test::tiny_vision();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    const Tensor samples = images(70);  // more than one step
    Weights weights(graph);
    bind_weights(weights, model, {0, graph.node_count()}, DType::f32, cpu_backend());

    SecondMoments moments(executor);
    Tensor activations = first_activations(executor, model, samples);
    for (const Block& block : graph.blocks())
        activations = advance(executor, block, weights, activations, moments.observer(), 66);
    const Tensor whole = executor.forward(graph.body(), weights, samples);
    REQUIRE(activations.shape() == Shape({70, 5}));
    for (std::int64_t i = 0; i < whole.size(); ++i)
        REQUIRE(activations.data<float>()[i] == Approx(whole.data<float>()[i]).margin(1e-5));

    // The second convolution's moments, from its input by hand: group g reads channels 2 g and 2 g + 1.
    const auto uses = graph.linears({0, graph.node_count()});
    const auto& inner = use_of(uses, graph, "inner.weight");
    const Tensor x = executor.forward(
        {.nodes = {0, inner.node}, .input = graph.input(), .output = graph.node(inner.node).inputs[0]},
        weights, samples.slice(0, 66));
    REQUIRE(x.shape() == Shape({66, 6, 6, 4}));
    const auto pixel = [&](std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
        if (h < 0 || h >= 6 || w < 0 || w >= 6) return 0.0;
        return static_cast<double>(x.data<float>()[((n * 6 + h) * 6 + w) * 4 + c]);
    };
    const auto& groups = moments.matrices(inner.node);
    REQUIRE(groups.size() == 2);
    CHECK(moments.samples(inner.node) == 66 * 36);
    CHECK(moments.weighted(inner.node).size() == 2);
    for (const auto& [i, j] : {std::pair(0, 0), std::pair(3, 17), std::pair(8, 9)})
        for (std::int64_t g = 0; g < 2; ++g) {
            double sum = 0;
            const auto at = [&](std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t column) {
                return pixel(n, h + column % 9 / 3 - 1, w + column % 3 - 1, 2 * g + column / 9);
            };
            for (std::int64_t n = 0; n < 66; ++n)
                for (std::int64_t h = 0; h < 6; ++h)
                    for (std::int64_t w = 0; w < 6; ++w) sum += at(n, h, w, i) * at(n, h, w, j);
            CHECK(groups[static_cast<std::size_t>(g)].data<float>()[i * 18 + j] ==
                  Approx(sum).epsilon(1e-3).margin(1e-2));
        }
    const Tensor total = moments.matrix(inner.node);
    CHECK(total.data<float>()[5] ==
          Approx(groups[0].data<float>()[5] + groups[1].data<float>()[5]).epsilon(1e-4).margin(1e-3));
}

TEST_CASE("the layer objective of a grouped convolution is the sum over its groups") {
    const Model model = test::tiny_vision();
    const Graph& graph = model.graph();
    CompressedModel compressed(model);
    compress(compressed);
    const auto uses = graph.linears({0, graph.node_count()});
    const ParameterId id = use_of(uses, graph, "inner.weight").parameter;
    std::vector<Tensor> second_moments;
    for (const char* name : {"first", "second"}) {
        const Tensor x = test::random_tensor({40, 18}, name, DType::f32);
        second_moments.push_back(cpu_backend().product(x, Transpose::yes, x, Transpose::no));
    }
    const Tensor target = model.weight(id);
    const Tensor start = compressed.weight(id);
    double error = 0;
    double energy = 0;
    for (std::int64_t row = 0; row < 4; ++row)
        for (std::int64_t i = 0; i < 18; ++i)
            for (std::int64_t j = 0; j < 18; ++j) {
                const double h = static_cast<double>(
                    second_moments[static_cast<std::size_t>(row / 2)].data<float>()[i * 18 + j]);
                const auto of = [&](std::int64_t k) {
                    return static_cast<double>(target.data<float>()[row * 18 + k]);
                };
                const auto off = [&](std::int64_t k) {
                    return static_cast<double>(start.data<float>()[row * 18 + k]) - of(k);
                };
                error += off(i) * h * off(j);
                energy += of(i) * h * of(j);
            }
    BlockLearningOptions options;
    options.steps = 30;
    options.estimator = Choice<Estimator>::parse("curvature");
    const auto learner = make_layer_learner({{id, second_moments}}, compressed, options, cpu_backend());
    const double first = learner->step().at("loss");
    CHECK(first == Approx(error / energy).epsilon(1e-4));
    double last = first;
    while (learner->steps_done() < learner->total_steps()) last = learner->step().at("loss");
    CHECK(last < first);
}

struct Moments {
    std::vector<double> mean;
    std::vector<double> variance;
};

/// Of each channel of [..., channels], over all else.
Moments channel_moments(const Tensor& x) {
    const auto channels = static_cast<std::size_t>(x.shape().back());
    const auto rows = static_cast<std::size_t>(x.size()) / channels;
    Moments moments{std::vector<double>(channels), std::vector<double>(channels)};
    const auto values = x.values<float>();
    for (std::size_t i = 0; i < values.size(); ++i)
        moments.mean[i % channels] += static_cast<double>(values[i]) / static_cast<double>(rows);
    for (std::size_t i = 0; i < values.size(); ++i)
        moments.variance[i % channels] +=
            std::pow(static_cast<double>(values[i]) - moments.mean[i % channels], 2) /
            static_cast<double>(rows);
    return moments;
}

TEST_CASE("batch norms take on what compression changed in their inputs") {
    const Model model = test::tiny_vision();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    CompressedModel compressed(model);
    const bool changed = GENERATE(true, false);
    if (changed) compress(compressed);
    Tensor original = first_activations(executor, model, images(100));
    Tensor x = original.clone();
    for (const Block& block : graph.blocks()) {
        recalibrate_norms(executor, block, model, original, x, compressed);
        Weights before(graph);
        Weights after(graph);
        bind_weights(before, model, block.nodes, DType::f32, cpu_backend());
        bind_weights(after, compressed, block.nodes, DType::f32, cpu_backend());
        for (NodeId id = block.nodes.first; id < block.nodes.end; ++id) {
            const Node& node = graph.node(id);
            if (node.op->kind() != "batch_norm") continue;
            const auto fed = [&](const Weights& weights, const Tensor& inputs) {
                const Block until{
                    .nodes = {block.nodes.first, id}, .input = block.input, .output = node.inputs[0]};
                return channel_moments(executor.forward(until, weights, inputs));
            };
            const Moments was = fed(before, original);
            const Moments is = fed(after, x);
            for (std::size_t c = 0; c < is.mean.size(); ++c) {
                const auto statistic = [&](const Weights& weights, std::size_t which) {
                    return static_cast<double>(weights[node.parameters[which]].values<float>()[c]);
                };
                CHECK(statistic(after, 2) ==
                      Approx(statistic(before, 2) + is.mean[c] - was.mean[c]).margin(1e-5));
                CHECK(statistic(after, 3) ==
                      Approx(statistic(before, 3) * is.variance[c] / was.variance[c]).epsilon(1e-4));
                if (!changed) CHECK(statistic(after, 2) == statistic(before, 2));
            }
        }
        original = advance(executor, block, before, original);
        x = advance(executor, block, after, x);
    }
}

TEST_CASE("a channel that the original's samples leave alone moves by differences") {
    const Model model = test::tiny_vision();
    const Executor executor(model.graph(), cpu_backend(), DType::f32);
    CompressedModel compressed(model);
    compress(compressed);
    const Block& block = model.graph().blocks().front();
    const Tensor varied = first_activations(executor, model, images(20));
    const Tensor blank = Tensor::zeros(varied.shape());
    recalibrate_norms(executor, block, model, blank, varied, compressed);
    for (const auto& [id, value] : compressed.dense())
        for (const float v : value.values<float>()) CHECK(std::isfinite(v));
}

TEST_CASE("distillation on images lowers the divergence of the predictions") {
    const Model model = test::tiny_vision();
    CompressedModel compressed(model);
    compress(compressed);
    DistillationOptions options;
    options.steps = 60;
    options.batch = 16;
    options.rate = 0.02;
    options.norm_rate = 0.02;
    const auto distiller = make_distiller(compressed, images(16), options, DType::f32, cpu_backend());
    const double first = distiller->step().at("loss");
    double last = first;
    while (distiller->steps_done() < distiller->total_steps()) last = distiller->step().at("loss");
    CHECK(first > 0);
    CHECK(last < 0.7 * first);
}

TEST_CASE("gradients on images are those of the model's own predictions") {
    const Model model = test::tiny_vision();
    const Graph& graph = model.graph();
    const Executor executor(graph, cpu_backend(), DType::f32);
    std::set<ParameterId> wanted;
    for (const auto& use : graph.linears({0, graph.node_count()})) wanted.insert(use.parameter);
    const auto statistics =
        gradient_statistics(executor, model, images(12), {.row_sets = 2, .fisher = true}, wanted);
    CHECK(statistics.loss > 0);
    CHECK(statistics.fisher.size() == 3);
    for (const auto& [id, fisher] : statistics.fisher)
        for (const float value : fisher.values<float>()) CHECK(std::isfinite(value));
    CHECK(statistics.token_weights.size() == 2);  // the grouped convolution has none
    for (const auto& [node, weights] : statistics.token_weights)
        CHECK(weights.shape() == Shape({graph.node(node).name == "classes" ? 12 : 12 * 36, 2}));
}

TEST_CASE("an artifact brings its graph and its preprocessing along") {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "model.safetensors";
    const Model model = test::tiny_vision();
    CompressedModel compressed(model);
    compress(compressed);
    write_artifact(path, make_artifact(compressed, model.checkpoint(), nullptr, {}));
    const OpenedModel opened = open_model(path.string());
    CHECK(opened.input.is_like(model.input()));
    const BoundModel bound(compressed, DType::f32, cpu_backend());
    const BoundModel again(*opened.weights, DType::f32, cpu_backend());
    const Tensor scores = bound.scores(images(9));
    REQUIRE(scores.shape() == Shape({9, 5}));
    CHECK(std::ranges::equal(scores.bytes(), again.scores(images(9)).bytes()));
    const Predictions predictions = bound.predict(images(9));
    CHECK(predictions.head.shape() == Shape({5, 5}));
    CHECK(std::ranges::equal(predictions.features.bytes(), scores.bytes()));
}

TEST_CASE("classification counts as a direct computation does") {
    const Model model = test::tiny_vision();
    CompressedModel compressed(model);
    compress(compressed);
    const BoundModel original(model, DType::f32, cpu_backend());
    const BoundModel smaller(compressed, DType::f32, cpu_backend());
    const auto evaluation = Choice<Evaluation>::parse("{type: classification, dataset: test-noise}").make();
    const EvaluationResult result = evaluation->evaluate({{&original, &smaller}, model.input()}, {});
    CHECK(result.higher_is_better);

    const ImageData data = noise();
    std::vector<ImageChoice> chosen;
    for (std::int64_t i = 0; i < noise_images; ++i) chosen.push_back({data.images.get(), i});
    const Tensor samples = preprocessed(chosen, *model.input().preprocess);
    const Tensor reference = original.scores(samples);
    const Tensor scores = smaller.scores(samples);
    std::int64_t right = 0;
    std::int64_t agree = 0;
    double kl = 0;
    for (std::int64_t i = 0; i < noise_images; ++i) {
        const auto row = [&](const Tensor& all) {
            return all.values<float>().subspan(static_cast<std::size_t>(i * 5), 5);
        };
        const auto best = [&](const Tensor& all) {
            return std::ranges::max_element(row(all)) - row(all).begin();
        };
        right += best(scores) == data.labels[static_cast<std::size_t>(i)] ? 1 : 0;
        agree += best(scores) == best(reference) ? 1 : 0;
        const auto probability = [&](const Tensor& all, std::size_t c) {
            double sum = 0;
            for (const float each : row(all)) sum += std::exp(static_cast<double>(each));
            return std::exp(static_cast<double>(row(all)[c])) / sum;
        };
        for (std::size_t c = 0; c < 5; ++c)
            kl += probability(reference, c) * std::log(probability(reference, c) / probability(scores, c));
    }
    const Figures& figures = result.models.at(1);
    const double share = static_cast<double>(right) / noise_images;
    CHECK(figures.value == Approx(100 * share));
    CHECK(*figures.standard_error == Approx(100 * std::sqrt(share * (1 - share) / noise_images)));
    CHECK(*figures.agreement == Approx(static_cast<double>(agree) / noise_images));
    CHECK(*figures.kl == Approx(kl / noise_images).epsilon(1e-4));
    CHECK(figures.more.at("top5") == 100.0);  // of five classes
    CHECK(figures.items.size() == noise_images);
    CHECK_FALSE(result.models.at(0).kl);
    std::int64_t items = 0;
    std::int64_t correct = 0;
    for (const auto& each : figures.more.at("per_class")) {
        items += each.at("items").get<std::int64_t>();
        correct += each.at("correct").get<std::int64_t>();
    }
    CHECK(items == noise_images);
    CHECK(correct == right);
    const auto record = predictions_record(result, {"original", "compressed"});
    CHECK(record.at("expected").size() == noise_images);
    CHECK(record.at("models").at("compressed") == figures.items);

    // The same images without labels: agreement and KL alone, and of one model nothing.
    const auto without = Choice<Evaluation>::parse("{type: classification, dataset: test-unlabelled}").make();
    const EvaluationResult unlabelled = without->evaluate({{&original, &smaller}, model.input()}, {});
    CHECK(unlabelled.metric == "agreement %");
    CHECK(unlabelled.models.at(0).value == 100.0);
    CHECK(unlabelled.models.at(1).value == Approx(100.0 * static_cast<double>(agree) / noise_images));
    CHECK(*unlabelled.models.at(1).kl == *figures.kl);
    for (const char* of_labels : {"top5", "per_class"})
        CHECK_FALSE(unlabelled.models.at(1).more.contains(of_labels));
    CHECK(unlabelled.models.at(1).more.at("kl_median") == figures.more.at("kl_median"));
    CHECK(unlabelled.expected == result.models.at(0).items);
    CHECK(unlabelled.protocol.at("items") == noise_images);
    CHECK_THROWS_WITH(without->evaluate({{&original}, model.input()}, {}),
                      Catch::Contains("no labels") && Catch::Contains("labels.csv"));
}

TEST_CASE("classification of scores that are not finite has no finite figure") {
    const Model model = test::tiny_vision();
    CompressedModel broken(model);
    for (ParameterId id = 0; id < static_cast<ParameterId>(model.graph().parameters().size()); ++id) {
        Tensor value = model.weight(id).clone();
        for (float& each : value.values<float>()) each = std::numeric_limits<float>::quiet_NaN();
        if (value.shape().size() == 1) broken.dense()[id] = value;
    }
    const BoundModel original(model, DType::f32, cpu_backend());
    const BoundModel bad(broken, DType::f32, cpu_backend());
    const auto evaluation = Choice<Evaluation>::parse("{type: classification, dataset: test-noise}").make();
    for (const bool original_is_bad : {false, true}) {
        const auto result = original_is_bad ? evaluation->evaluate({{&bad, &original}, model.input()}, {})
                                            : evaluation->evaluate({{&original, &bad}, model.input()}, {});
        const Figures& figures = result.models.at(original_is_bad ? 0 : 1);
        CHECK(std::isnan(figures.value));
        CHECK(std::isnan(*figures.standard_error));
        CHECK(std::isnan(figures.more.at("top5").get<double>()));
        CHECK(std::ranges::all_of(figures.items, [](const auto& item) { return item.is_null(); }));
        CHECK(std::isfinite(result.models.at(original_is_bad ? 1 : 0).value));
        CHECK(std::isnan(*result.models.at(1).kl));
        CHECK(std::isnan(*result.models.at(1).agreement));
    }
}
