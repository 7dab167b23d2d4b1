// How fast k-means, LNQ and GPTQ are: on every linear weight of a model (GGUF file or Hugging Face folder),
// or on random weights of one shape. Second moments are synthetic: inputs with channels of very different
// size whose neighbours correlate. Prints seconds, weights per second, share of the layer energy that is
// left, and on random weights how near solvers come to the rate of a product of their size.

#include "core/backend/backend.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/codebook_init.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/plugin/choice.hpp"
#include "plugins/solver/gptq/gptq.hpp"
#include "plugins/solver/lnq/lnq.hpp"
#include "plugins/solver/lnq/lnq_kernels.hpp"

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
    bool seven_billion = false;
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

/// Operations a second of a float32 product rows x cols x cols.
double product_rate(std::int64_t rows, std::int64_t cols) {
    const Tensor a = random_weights(rows, cols);
    const Tensor b = random_weights(cols, cols);
    Tensor c = Tensor::empty({rows, cols});
    double least = 1e30;
    for (int i = 0; i < 3; ++i) {
        const double begin = now_seconds();
        cpu_backend().gemm(matrix(a), Transpose::no, matrix(b), Transpose::no, c, false);
        least = std::min(least, now_seconds() - begin);
    }
    return 2.0 * static_cast<double>(rows) * static_cast<double>(cols) * static_cast<double>(cols) / least;
}

/// One pass of LNQ's mapping step and of GPTQ, beside a product of the same size.
void print_shares(const LayerProblem& problem, const Options& options) {
    const std::int64_t rows = problem.weights.rows();
    const std::int64_t cols = problem.weights.cols();
    const double useful =
        2.0 * static_cast<double>(rows) * static_cast<double>(cols) * static_cast<double>(cols);
    const double rate = product_rate(rows, cols);
    fmt::print("a product of {} x {} x {}: {:.1f} GFLOP/s\n", rows, cols, cols, rate / 1e9);
    const auto print_share = [&](const std::string& what, double seconds) {
        fmt::print("{}: {:.3f} s, {:.1f} GFLOP/s of 2RC^2, {:.0f} % of the product's\n", what, seconds,
                   useful / seconds / 1e9, 100 * useful / seconds / rate);
    };
    const auto start = [&](const std::string& grouping) {
        const auto grouped = Choice<Grouping>::parse(grouping).make()->group(problem, options.bits);
        return Choice<CodebookInit>("uniform").make()->initialise(problem, grouped);
    };
    const auto lnq_seconds = [&](int rounds) {
        auto matrix = start("per_row");
        const double begin = now_seconds();
        (void)solve_lnq(problem, matrix, {.rounds = rounds});
        return now_seconds() - begin;
    };
    print_share("lnq, a pass more (mapping and codebook step)", lnq_seconds(3) - lnq_seconds(2));
    for (const auto order : {ColumnOrder::natural, ColumnOrder::activation}) {
        auto matrix = start("{type: column_groups, size: 64}");
        const double begin = now_seconds();
        (void)solve_gptq(problem, matrix, {.damping = 0.01, .order = order, .refit = {}}, default_backend());
        print_share(fmt::format("gptq, groups of 64, {} order, factor included",
                                order == ColumnOrder::natural ? "natural" : "activation"),
                    now_seconds() - begin);
    }
}

/// Exact k-means of the two shapes that a 7B Llama's blocks are made of, and what that makes for all of it.
void print_seven_billion() {
    constexpr double blocks = 32;
    for (const int bits : {2, 4}) {
        for (const char* grouping : {"per_row", "{type: distribution, groups: 128}"}) {
            double whole = 0;
            for (const auto& [rows, count] : {std::pair(4096, 4.0), std::pair(11008, 3.0)}) {
                const LayerProblem problem{"random", random_weights(rows, 4096), {}, 0};
                const auto grouped = Choice<Grouping>::parse(grouping).make()->group(problem, bits);
                const auto kmeans = Choice<CodebookInit>::parse("{type: kmeans, weights: none}").make();
                const double begin = now_seconds();
                (void)kmeans->initialise(problem, grouped);
                const double seconds = now_seconds() - begin;
                fmt::print("K = {}, {}, {} x 4096: {:.2f} s\n", 1 << bits, grouping, rows, seconds);
                whole += blocks * count * seconds;
            }
            fmt::print("K = {}, {}: {:.0f} s for the linear weights of a 7B model\n", 1 << bits, grouping,
                       whole);
        }
    }
}

/// One thread: the kernels by themselves.
void print_kernels(std::int64_t cols, int k) {
    cols = cols / solver_columns * solver_columns;
    const Tensor h = synthetic_moments(cols);
    const auto& kernels = lnq_kernels();
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
    app.add_flag("--7b", options.seven_billion, "Time k-means of a 7B model's shapes instead");
    app.add_option("--layers", options.layers, "Compress so many matrices at most");
    CLI11_PARSE(app, argc, argv);
    try {
        if (options.threads > 0) set_thread_count(options.threads);
        if (options.seven_billion) {
            print_seven_billion();
            return 0;
        }
        if (!options.model.empty()) {
            run_model(options);
            return 0;
        }
        Totals totals;
        const LayerProblem problem{"random", random_weights(options.shape[0], options.shape[1]),
                                   synthetic_moments(options.shape[1]), 0};
        (void)compress(problem, options, totals);
        print(totals, options);
        print_shares(problem, options);
        print_kernels(options.shape[1], 1 << options.bits);
    } catch (const Error& error) {
        fmt::print(stderr, "bench_solvers: {}\n", error.what());
        return error.exit_code();
    }
    return 0;
}
