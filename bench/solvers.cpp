// How fast k-means and LNQ are: on every linear weight of a model (GGUF file or Hugging Face folder), or on
// random weights of one shape. Second moments are synthetic: inputs with channels of very different size
// whose neighbours correlate. Prints seconds, weights per second and share of the layer energy that is left.

#include "core/backend/cpu/solver_kernels.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/codebook/lnq.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/plugin/choice.hpp"

#include <cmath>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

struct Options {
    std::string model;
    std::string artifact;
    std::string grouping = "per_row";
    std::vector<std::int64_t> shape{4096, 4096};
    int bits = 2;
    int rounds = 2;
    int cycles = 1;
    int threads = 0;
    int layers = 1 << 20;
};

Tensor random_weights(std::int64_t rows, std::int64_t cols) {
    const Rng rng(1, "bench.weights");
    Tensor w = Tensor::empty({rows, cols});
    parallel_for(w.size(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const double x = rng.normal(static_cast<std::uint64_t>(i));
            w.data<float>()[i] = static_cast<float>(x * (1 + 0.1 * x * x));  // heavy tails
        }
    });
    return w;
}

/// H_ij = size_i size_j 0.95^|i - j|, zero where that is below 1e-9 (denormal numbers would be timed
/// otherwise).
Tensor synthetic_moments(std::int64_t cols) {
    const Rng rng(2, "bench.moments");
    std::vector<double> size(static_cast<std::size_t>(cols));
    for (std::size_t j = 0; j < size.size(); ++j) size[j] = std::exp(rng.normal(j));
    Tensor h = Tensor::empty({cols, cols});
    for (std::int64_t i = 0; i < cols; ++i) {
        for (std::int64_t j = 0; j < cols; ++j)
            h.data<float>()[i * cols + j] = static_cast<float>(
                size[static_cast<std::size_t>(i)] * size[static_cast<std::size_t>(j)] *
                (std::abs(i - j) > 404 ? 0.0 : std::pow(0.95, static_cast<double>(std::abs(i - j)))));
    }
    return h;
}

struct Totals {
    double weights = 0;
    double kmeans_seconds = 0;
    double lnq_seconds = 0;
    double useful = 0;  ///< 2 R C^2 operations a cycle of coordinate descent
    double end = 0;  ///< objective at the end as a share of the start (weighted k-means), summed over layers
    int layers = 0;
};

CompressedMatrix compress(const LayerProblem& problem, const Options& options, Totals& totals) {
    const auto grouped = Choice<Grouping>::parse(options.grouping).make()->group(problem, options.bits);
    const double begin = now_seconds();
    auto matrix = Choice<CodebookInit>("kmeans").make()->initialise(problem, grouped);
    const double middle = now_seconds();
    LnqParameters parameters;
    parameters.rounds = options.rounds;
    parameters.cycles = options.cycles;
    const auto log = solve_lnq(problem, matrix, parameters);
    const double end = now_seconds();
    const auto rows = static_cast<double>(problem.weights.rows());
    const auto cols = static_cast<double>(problem.weights.cols());
    totals.weights += rows * cols;
    totals.useful += 2 * rows * cols * cols;
    totals.kmeans_seconds += middle - begin;
    totals.lnq_seconds += end - middle;
    totals.end += log.objective.back() / log.objective.front();
    ++totals.layers;
    return matrix;
}

void print(const Totals& t, const Options& options) {
    fmt::print("{} layers, {:.1f} M weights, {} bits, {}, {} threads\n", t.layers, t.weights / 1e6,
               options.bits, options.grouping, thread_count());
    fmt::print("k-means (exact, weighted): {:.3f} s, {:.1f} M weights/s\n", t.kmeans_seconds,
               t.weights / t.kmeans_seconds / 1e6);
    fmt::print(
        "lnq, {} rounds of {} cycles: {:.3f} s, {:.1f} GFLOP/s counting 2RC^2 a cycle only; objective {:.4f} "
        "of the start's\n",
        options.rounds, options.cycles, t.lnq_seconds,
        t.useful * options.rounds * options.cycles / t.lnq_seconds / 1e9, t.end / t.layers);
}

/// One thread: the kernels by themselves.
void print_kernels(std::int64_t cols, int k) {
    cols = cols / solver_columns * solver_columns;
    const Tensor h = synthetic_moments(cols);
    const auto& kernels = solver_kernels();
    Tensor x = random_weights(cols, solver_lanes);
    Tensor y = Tensor::zeros({cols, solver_lanes});
    Tensor inverse = Tensor::zeros({cols});
    Tensor codewords = Tensor::zeros({k, solver_lanes});
    Tensor codes = Tensor::zeros({2, cols, solver_lanes}, DType::u8);
    for (std::int64_t i = 0; i < codes.size(); ++i)
        codes.data<std::uint8_t>()[i] = static_cast<std::uint8_t>((i * 7919 / 13) % k);
    for (std::int64_t i = 0; i < codewords.size(); ++i)
        codewords.data<float>()[i] = static_cast<float>(i / solver_lanes) - static_cast<float>(k) / 2;
    for (std::int64_t j = 0; j < cols; ++j) inverse.data<float>()[j] = 1.0F / h.data<float>()[j * cols + j];
    const double operations = 2.0 * static_cast<double>(cols) * static_cast<double>(cols) * solver_lanes;
    const int repeats = std::max(1, static_cast<int>(2e10 / operations));
    const auto time = [&](const char* what, double factor, const auto& body) {
        body();
        const double begin = now_seconds();
        for (int i = 0; i < repeats; ++i) body();
        fmt::print("  {:<12} {:.1f} GFLOP/s of 2RC^2\n", what,
                   factor * operations * repeats / (now_seconds() - begin) / 1e9);
    };
    fmt::print("kernels, one thread, {} columns:\n", cols);
    time("multiply", 1, [&] { kernels.multiply(cols, h.data<float>(), x.data<float>(), y.data<float>()); });
    time("descend", 1, [&] {
        kernels.descend(cols, h.data<float>(), inverse.data<float>(), k, codewords.data<float>(),
                        codewords.data<float>(), y.data<float>(), x.data<float>(),
                        codes.data<std::uint8_t>());
    });
    Tensor scratch = Tensor::empty({gram_scratch_bytes(cols, 2, k)}, DType::u8);
    std::vector<double> a(static_cast<std::size_t>(2 * solver_lanes * k * k));
    time("code_gram", 2, [&] {
        kernels.code_gram(cols, 2, k, h.data<float>(), codes.data<std::uint8_t>(), a.data(),
                          scratch.data<std::uint8_t>());
    });
}

void run_model(const Options& options) {
    const Checkpoint checkpoint = read_checkpoint(options.model);
    Totals totals;
    Artifact artifact;
    std::map<std::int64_t, Tensor> moments;
    for (const auto& [name, stored] : checkpoint.tensors) {
        const bool linear = name.find("proj") != std::string::npos && stored.shape.size() == 2;
        if (!linear || totals.layers >= options.layers) {
            artifact.tensors[name] = stored;
            continue;
        }
        auto& h = moments[stored.cols()];
        if (!h.defined()) h = synthetic_moments(stored.cols());
        artifact.matrices[name] = compress({name, decode(stored), h, 0}, options, totals);
    }
    print(totals, options);
    if (options.artifact.empty()) return;
    artifact.config = checkpoint.config;
    artifact.extra = checkpoint.extra;
    artifact.tokenizer = checkpoint.tokenizer;
    const double begin = now_seconds();
    write_artifact(options.artifact, artifact);
    const double middle = now_seconds();
    const Artifact back = read_artifact(options.artifact);
    fmt::print("artifact written in {:.2f} s, read in {:.2f} s\n", middle - begin, now_seconds() - middle);
    for (const auto& [name, matrix] : artifact.matrices)
        ensure(back.matrices.at(name).identical(matrix), "{} did not read back to the same bits", name);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Speed of k-means and LNQ on a model's weights or on random ones."};
    app.add_option("--model", options.model, "GGUF file or Hugging Face folder; without it, random weights");
    app.add_option("--artifact", options.artifact,
                   "Write the compressed model here and check that it reads back");
    app.add_option("--shape", options.shape, "Rows and columns of random weights")->expected(2);
    app.add_option("--bits", options.bits, "Bits a code")->check(CLI::Range(1, 8));
    app.add_option("--grouping", options.grouping, "Grouping plugin, as in a spec");
    app.add_option("--rounds", options.rounds, "Rounds of LNQ");
    app.add_option("--cycles", options.cycles, "Cycles of coordinate descent a round");
    app.add_option("--threads", options.threads, "Threads (default: all)");
    app.add_option("--layers", options.layers, "Compress so many matrices at most");
    CLI11_PARSE(app, argc, argv);
    try {
        if (options.threads > 0) set_thread_count(options.threads);
        if (!options.model.empty()) {
            run_model(options);
            return 0;
        }
        Totals totals;
        (void)compress({"random", random_weights(options.shape[0], options.shape[1]),
                        synthetic_moments(options.shape[1]), 0},
                       options, totals);
        print(totals, options);
        print_kernels(options.shape[1], 1 << options.bits);
    } catch (const Error& error) {
        fmt::print(stderr, "bench_solvers: {}\n", error.what());
        return error.exit_code();
    }
    return 0;
}
