// jlcm-inspect: where every byte of a compressed model went, and which neurons of a model can be re-ordered.

#include "apps/command_line.hpp"
#include "core/base/error.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/codebook/entropy.hpp"
#include "core/graph/permutation_report.hpp"

#include <iostream>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

void print_kinds(const ArtifactFootprint& footprint) {
    fmt::print("{:<14}{:>14}{:>9}\n", "bytes of", "bytes", "share");
    const auto total = static_cast<double>(footprint.bytes.total());
    const auto line = [&](const char* what, std::uint64_t bytes) {
        fmt::print("{:<14}{:>14}{:>8.2f}%\n", what, bytes, 100.0 * static_cast<double>(bytes) / total);
    };
    const Footprint& b = footprint.bytes;
    line("mapping", b.mapping);
    line("codebooks", b.codebooks);
    line("scales", b.scales);
    line("runs", b.runs);
    line("permutation", b.permutation);
    line("outliers", b.outliers);
    line("padding", b.padding);
    line("uncompressed", b.uncompressed);
    line("tokenizer", b.tokenizer);
    line("metadata", b.metadata);
    line("file", b.total());
}

void print_tensors(const ArtifactFootprint& footprint) {
    std::size_t width = 6;
    for (const auto& tensor : footprint.tensors) width = std::max(width, tensor.name.size());
    fmt::print("{:<{}}  {:<10}{:>12}{:>12}{:>10}\n", "tensor", width, "kind", "weights", "bytes", "bits");
    for (const auto& tensor : footprint.tensors)
        fmt::print("{:<{}}  {:<10}{:>12}{:>12}{:>10.4f}\n", tensor.name, width, tensor.kind, tensor.weights,
                   tensor.bytes.total(), tensor.bits_per_weight());
}

void print_entropies(const std::string& path) {
    const Artifact artifact = read_artifact(path);
    std::size_t width = 6;
    for (const auto& [name, matrix] : artifact.matrices) width = std::max(width, name.size());
    fmt::print("{:<{}}{:>12}{:>10}{:>10}{:>9}\n", "tensor", width, "codes", "bits", "entropy", "spared");
    double stored = 0;
    double told = 0;
    const auto line = [&](const std::string& name, double codes, double bits, double entropy) {
        fmt::print("{:<{}}{:>12.0f}{:>10.4f}{:>10.4f}{:>8.2f}%\n", name, width, codes, bits, entropy,
                   bits > 0 ? 100 * (1 - entropy / bits) : 0.0);
    };
    double all = 0;
    for (const auto& [name, matrix] : artifact.matrices) {
        const auto codes = static_cast<double>(matrix.mapping.size());
        const double entropy = mapping_entropy(matrix);
        line(name, codes, matrix.layout.bits, entropy);
        all += codes;
        stored += codes * matrix.layout.bits;
        told += codes * entropy;
    }
    if (all > 0) line("all", all, stored / all, told / all);
}

void print_kernels(const WeightSource& model) {
    const auto uses = weight_uses(model);
    std::size_t name = 6;
    std::size_t held = 4;
    for (const WeightUse& use : uses) {
        name = std::max(name, use.name.size());
        held = std::max(held, use.held.size());
    }
    fmt::print("{:<{}}  {:<16}{:<{}}  {}\n", "tensor", name, "shape", "held", held, "few rows by");
    for (const WeightUse& use : uses)
        fmt::print("{:<{}}  {:<16}{:<{}}  {}\n", use.name, name, to_string(use.shape), use.held, held,
                   use.kernel);
}

void exclude_each_other(const std::vector<CLI::Option*>& options) {
    for (CLI::Option* option : options)
        for (CLI::Option* other : options)
            if (other != option) option->excludes(other);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "Where every byte of a compressed model went, by kind and by tensor; or which neurons of a "
        "model can be re-ordered."};
    std::string path;
    bool as_json = false;
    bool permutations = false;
    bool kernels = false;
    bool entropy = false;
    app.add_option("model", path,
                   "A compressed model (safetensors), as jlcm-run writes it; with --permutations also any "
                   "model that jlcm-run takes")
        ->required();
    exclude_each_other(
        {app.add_flag("--json", as_json, "Print one JSON object instead of tables"),
         app.add_flag("--permutations", permutations,
                      "For every linear weight: how its rows may be ordered without changing what the model "
                      "computes, what absorbs that, or why they have to stay"),
         app.add_flag("--kernels", kernels,
                      "For every matrix of any model: how it is held while it runs, and which kernel "
                      "multiplies it with a few tokens"),
         app.add_flag("--entropy", entropy,
                      "For the mapping of every matrix: bits of a code, its entropy given its group, and the "
                      "share of the bytes that a coder which knows the groups' frequencies would spare at "
                      "most")});
    if (const auto code = parse_arguments(app, argc, argv)) return *code;
    try {
        if (kernels) {
            print_kernels(*open_model(path).weights);
            return 0;
        }
        if (entropy) {
            print_entropies(path);
            return 0;
        }
        if (permutations) {
            const OpenedModel model = open_model(path);
            const Graph& graph = model.weights->graph();
            fmt::print("{}", permutation_report(graph, PermutationAnalysis(graph)));
            return 0;
        }
        const ArtifactFootprint footprint = artifact_footprint(path);
        if (as_json) {
            std::cout << footprint.to_json().dump(2) << '\n';
            return 0;
        }
        print_tensors(footprint);
        fmt::print("\n");
        print_kinds(footprint);
        fmt::print(
            "\n{:.4f} bits per compressed weight ({} weights), {:.4f} bits per weight of the file ({} "
            "weights)\n",
            footprint.linear_bits_per_weight(), footprint.compressed_weights,
            footprint.file_bits_per_weight(), footprint.weights);
    } catch (const Error& error) {
        fmt::print(stderr, "jlcm-inspect: {}\n", error.what());
        return error.exit_code();
    } catch (const std::exception& error) {
        fmt::print(stderr, "jlcm-inspect: {}\n", error.what());
        return 3;
    }
    return 0;
}
