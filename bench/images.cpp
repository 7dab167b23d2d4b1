// Forwards of vision models against ONNX Runtime at float32, the same threads, in turns. Usage: bench_images
// PYTHON MODEL.onnx...; PYTHON has onnxruntime. Ratio: ONNX Runtime's time over ours; above 1 we are faster.
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/formats/onnx.hpp"
#include "core/model/model.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace {

using namespace jlcm;

constexpr int repetitions = 20;

/// Milliseconds that ONNX Runtime takes, best of several.
double reference(const std::string& python, const std::string& model, std::int64_t batch, int threads) {
    const std::string command = fmt::format("{} {}/bench/onnx_runtime_speed.py {} {} {} {}", python,
                                            JLCM_SOURCE_DIR, model, batch, threads, repetitions);
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    double milliseconds = 0;
    require(pipe != nullptr && std::fscanf(pipe.get(), "%lf", &milliseconds) == 1,  // NOLINT: one number
            "{} printed no time", command);
    return milliseconds;
}

double ours(const Model& model, std::int64_t batch) {
    Backend& backend = cpu_backend();
    const Graph& graph = model.graph();
    Weights weights(graph);
    bind_weights(weights, model, graph.body().nodes, DType::f32, backend);
    const Executor executor(graph, backend, DType::f32);
    Shape shape = graph.input_shape();
    shape[0] = batch;
    const Tensor images = Tensor::zeros(shape);
    double best = 1e9;
    for (int i = 0; i <= repetitions; ++i) {
        const double begin = now_seconds();
        (void)executor.forward(graph.body(), weights, images);
        if (i > 0) best = std::min(best, now_seconds() - begin);
    }
    return 1e3 * best;
}

}  // namespace

int main(int argc, char** argv) try {
    require(argc >= 3, "usage: bench_images PYTHON MODEL.onnx...");
    fmt::print("{}\n| model | batch | threads | ms | ONNX Runtime ms | ratio |\n|---|---|---|---|---|---|\n",
               cpu_backend().describe());
    for (int i = 2; i < argc; ++i) {
        const Model model(read_onnx_checkpoint(argv[i], {.fold_batch_norm = true}));
        for (const std::int64_t batch : {1, 16}) {
            for (const int threads : {1, 2}) {
                set_thread_count(threads);
                const double theirs = reference(argv[1], argv[i], batch, threads);
                const double mine = ours(model, batch);
                fmt::print("| {} | {} | {} | {:.2f} | {:.2f} | {:.2f} |\n", argv[i], batch, threads, mine,
                           theirs, theirs / mine);
            }
        }
    }
    return 0;
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return error.exit_code();
}
