// What share of the matrix products' peak learning reaches: a step of block learning and one of distillation
// on a Llama-family model, beside the rate of a product of its shapes in the same run. Recomputed forwards
// are not counted.
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/codebook/compressed_model.hpp"
#include "core/learn/block_learner.hpp"
#include "core/learn/distiller.hpp"
#include "core/model/scoring.hpp"

#include <algorithm>
#include <ctime>

#include <CLI/CLI.hpp>

namespace {

using namespace jlcm;

struct Settings {
    std::string model;
    std::int64_t batch = 8;
    std::int64_t length = 256;
    std::int64_t steps = 40;
    std::string estimator = "nearest";
    int threads = thread_count();
    DType compute = cpu_backend().has_bfloat16() ? DType::bf16 : DType::f32;
};

/// GFLOP/s of tokens x width times (4 width)^T, best of many.
double peak(std::int64_t tokens, std::int64_t width, DType compute) {
    Backend& backend = cpu_backend();
    const auto make = [&](std::int64_t rows) {
        Tensor ones = Tensor::empty({rows, width});
        backend.fill(ones, 1.0);
        return backend.convert(ones, compute);
    };
    const Tensor a = make(tokens);
    const Tensor b = make(4 * width);
    Tensor c = Tensor::empty({tokens, 4 * width});
    double best = 1e9;
    for (int i = 0; i < 100; ++i) {
        const double begin = now_seconds();
        backend.gemm(matrix(a), Transpose::no, matrix(b), Transpose::yes, c, false);
        best = std::min(best, now_seconds() - begin);
    }
    return 8e-9 * static_cast<double>(tokens * width * width) / best;
}

/// Compresses every weight of the first `count` blocks by plain k-means, 2 bits a row.
void compress(std::size_t count, CompressedModel& compressed) {
    const WeightSource& model = compressed.base();
    const auto init = Choice<CodebookInit>::parse("{type: kmeans, weights: none}").make();
    for (std::size_t b = 0; b < count; ++b)
        for (const auto& use : model.graph().linears(model.graph().blocks()[b].nodes)) {
            const Tensor weight = model.weight(use.parameter);
            const LayerProblem problem{
                .name = "bench", .weights = weight, .second_moments = {}, .samples = 0};
            compressed.matrices()[use.parameter] =
                init->initialise(problem, {Layout::per_row(weight.rows(), weight.cols(), 2), {}});
        }
}

Tensor random_tokens(const Shape& shape, std::int64_t vocabulary) {
    Tensor ids = Tensor::empty(shape, DType::i32);
    const Rng rng(0, "bench");
    for (std::int64_t i = 0; i < ids.size(); ++i)
        ids.data<std::int32_t>()[i] = static_cast<std::int32_t>(rng.bits(static_cast<std::uint64_t>(i)) %
                                                                static_cast<std::uint64_t>(vocabulary));
    return ids;
}

/// Wall time, and processor time shared out over the threads: what a machine with nothing else to do needs.
void report(const char* what, Trainable& learner, double gflop, double products, int threads) {
    constexpr std::int64_t warm_up = 3;
    std::vector<double> wall;
    std::vector<double> processor;
    while (learner.steps_done() < learner.total_steps()) {
        const double begin = now_seconds();
        const std::clock_t clock = std::clock();
        (void)learner.step();
        if (learner.steps_done() <= warm_up) continue;
        wall.push_back(now_seconds() - begin);
        processor.push_back(static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC / threads);
    }
    std::ranges::sort(wall);
    std::ranges::sort(processor);
    for (const auto& [name, time] :
         {std::pair("fastest", wall.front()), std::pair("median", wall[wall.size() / 2]),
          std::pair("processor", processor[processor.size() / 2])})
        fmt::print("{:<16} {:<10} {:8.1f} ms {:8.1f} GFLOP {:8.0f} GFLOP/s {:6.0f} %\n", what, name,
                   1e3 * time, gflop, gflop / time, 100 * gflop / time / products);
}

void measure(const Settings& settings) {
    const Model model(read_checkpoint(settings.model));
    const Graph& graph = model.graph();
    const Block& block = graph.blocks().front();
    const Tensor ids =
        random_tokens({settings.batch, settings.length}, graph.parameter(graph.head()).shape[0]);
    const double products = peak(ids.size(), graph.parameter(graph.head()).shape[1], settings.compute);
    fmt::print("{}; {} thread(s), {} sequences of {}; {} products {:.0f} GFLOP/s\n", cpu_backend().describe(),
               settings.threads, settings.batch, settings.length, name_of(settings.compute), products);
    {
        CompressedModel compressed(model);
        compress(1, compressed);
        const Executor executor(graph, cpu_backend(), settings.compute);
        Weights weights(graph);
        bind_weights(weights, model, {0, block.nodes.end}, settings.compute, cpu_backend());
        const Tensor inputs = executor.forward(graph.prologue(), weights, ids);
        const Tensor targets = executor.forward(block, weights, inputs);
        BlockLearningOptions options;
        options.steps = settings.steps;
        options.batch = settings.batch;
        options.estimator = Choice<Estimator>::parse(settings.estimator);
        const auto learner = make_block_learner(executor, block, compressed, inputs, targets, options, 0);
        report("block learning", *learner, 3e-9 * graph.flops(block.nodes, ids.shape()), products,
               settings.threads);
    }
    CompressedModel compressed(model);
    compress(graph.blocks().size(), compressed);
    DistillationOptions options;
    options.steps = std::max<std::int64_t>(settings.steps / 4, 5);
    options.batch = settings.batch;
    const auto learner = make_distiller(compressed, ids, options, settings.compute, cpu_backend());
    const Shape& head = graph.parameter(graph.head()).shape;
    const double blocks = graph.flops({0, graph.node_count()}, ids.shape());
    const double logits = 2.0 * static_cast<double>(ids.size() * head[0] * head[1]);
    // Teacher: a forward; student: forward and two products backward, the head's weights being fixed.
    report("distillation", *learner, 1e-9 * (4 * blocks + 3 * logits), products, settings.threads);
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    CLI::App app("Speed of learning");
    app.add_option("model", settings.model, "GGUF file or Hugging Face folder")->required();
    app.add_option("--batch", settings.batch, "sequences of a step")->capture_default_str();
    app.add_option("--length", settings.length, "tokens of a sequence")->capture_default_str();
    app.add_option("--steps", settings.steps, "steps of block learning; a quarter of distillation")
        ->check(CLI::Range(8, 10000))
        ->capture_default_str();
    app.add_option("--estimator", settings.estimator,
                   "of block learning, e.g. \"{type: proximal, form: inverse}\"")
        ->capture_default_str();
    app.add_option("--threads", settings.threads, "threads")->capture_default_str();
    app.add_flag_callback(
        "--float32", [&] { settings.compute = DType::f32; },
        "products of float32 even where bfloat16 is faster");
    CLI11_PARSE(app, argc, argv);
    set_thread_count(settings.threads);
    measure(settings);
    return 0;
}
