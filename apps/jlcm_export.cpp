// jlcm-export: a compressed model decoded to formats that any other program reads.

#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/exact_tensors.hpp"
#include "core/codebook/onnx_export.hpp"
#include "core/formats/checkpoint_export.hpp"
#include "core/model/find_model.hpp"
#include "core/run/spec.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-export runs/X/artifact.safetensors --format gguf --type f16 model.gguf
  jlcm-export runs/X/artifact.safetensors --format gguf --type exact model.gguf
  jlcm-export runs/X/artifact.safetensors --format hf --type f32 model/
  jlcm-export runs/X/artifact.safetensors --format onnx --type f32 model.onnx
  jlcm-export runs/X/artifact.safetensors --format onnx --compact model.onnx --source original.onnx
  jlcm-export runs/X/artifact.safetensors --format coreml model.mlpackage)";

/// Writes a Core ML package, by the Python package jlcm and coremltools; takes the arguments of jlcm.coreml.
constexpr const char* coreml_program = R"(import sys
try:
    from jlcm.coreml import main
except ImportError as missing:
    print(f"jlcm-export: --format coreml needs the Python packages jlcm and coremltools: {missing} ({sys.executable}). "
          "Install them in the sources of jlcm (pip install .[coreml]), or name another Python in JLCM_PYTHON", file=sys.stderr)
    sys.exit(2)
sys.exit(main()))";

/// How the run of an artifact read its model, from the artifact's provenance.
ModelOptions model_options(const Artifact& artifact) {
    ModelOptions options;
    const auto identity = artifact.provenance.find("identity");
    if (identity == artifact.provenance.end() || !identity->contains("spec")) return options;
    Problems problems;
    const auto spec =
        parse_config(identity->at("spec").get<std::string>(), {"the artifact's spec", 0, 0}, problems);
    if (const Config* model = spec ? spec->find("model") : nullptr) decode_options(options, *model, problems);
    problems.throw_if_any();
    return options;
}

void export_onnx(const Artifact& artifact, const std::string& source, const std::string& target,
                 OnnxForm form) {
    const ModelOptions options = model_options(artifact);
    require(!source.empty() || !options.source.empty(),
            "the artifact does not say which file it was made of; name it: --source FILE.onnx");
    const std::filesystem::path file =
        source.empty() ? find_model(options.source) : std::filesystem::path(source);
    OnnxOptions read{
        .fold_batch_norm = false, .read = {.outputs = options.outputs}, .inputs = options.inputs};
    if (options.loader.name() == "onnx") {
        // The loader's own options, which the spec may give in place of the model's.
        const Config loader = options.loader.encode();
        Problems problems;
        if (const Config* fold = loader.find("fold_batch_norm")) read.fold_batch_norm = fold->text == "true";
        if (const Config* inputs = loader.find("inputs"); inputs != nullptr && read.inputs.all.empty())
            InputChoicesSlot(read.inputs).decode(*inputs, {}, problems);
        problems.throw_if_any();
    }
    const OnnxExport done = write_onnx_model(target, artifact, file, read, form);
    log_info("{}: {} compressed matrices{} in place, {} bytes ({:.1f} % of the original's {})", target,
             done.matrices, done.others > 0 ? fmt::format(" and {} other constants", done.others) : "",
             done.bytes, 100.0 * static_cast<double>(done.bytes) / static_cast<double>(done.source_bytes),
             done.source_bytes);
}

/// Becomes the Python program that writes a Core ML package.
[[noreturn]] void become_coreml_export(const std::vector<std::string>& arguments) {
    const char* named = std::getenv("JLCM_PYTHON");
    std::vector<std::string> words{named != nullptr && *named != '\0' ? named : "python3", "-c",
                                   coreml_program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    ::execvp(pointers.front(), pointers.data());
    fail("--format coreml: {} cannot be started: {}; name a Python in JLCM_PYTHON", words.front(),
         std::strerror(errno));
}

int run(int argc, char** argv) {
    CLI::App app{
        "Makes a compressed model (artifact) a Hugging Face folder, a GGUF file, an ONNX file or a Core ML package."};
    app.footer(examples);
    std::string source;
    std::string target;
    std::string format = "hf";
    std::string type = "f16";
    std::string original;
    bool is_compact = false;
    app.add_option("artifact", source, "The compressed model, *.safetensors")
        ->required()
        ->type_name("ARTIFACT");
    app.add_option("out", target, "The folder or file that is written")->required()->type_name("OUT");
    app.add_option(
           "--format", format,
           "hf (a Hugging Face folder), gguf, onnx: the file that an ONNX model was made of, with the weights in "
           "place, or coreml: a package of an ONNX or language model, by Python's coremltools")
        ->check(CLI::IsMember({"hf", "gguf", "onnx", "coreml"}))
        ->capture_default_str();
    app.add_option(
           "--type", type,
           "f16, bf16 or f32; decoded codewords are exact in f32, and in f16 without scales. With gguf also "
           "q8_0 (half of f16, rounded to 8 bits) and exact: each matrix in the smallest of q4_0, q4_1, q5_0, "
           "q5_1, q8_0, f16 and f32 that holds it without loss, which integers do if its codebooks are even grids")
        ->check(CLI::IsMember({"f16", "bf16", "f32", "q8_0", "exact"}))
        ->capture_default_str();
    app.add_flag(
        "--compact", is_compact,
        "with onnx: codes and codebooks stay what they are, and standard operators in the graph decode them");
    app.add_option("--source", original,
                   "with onnx: the original file, where it is no longer where the run found it")
        ->type_name("FILE.onnx");
    std::int64_t context = 0;
    auto* const context_option =
        app.add_option(
               "--context", context,
               "with coreml: tokens that a language model takes; 512, or all it can, if it is not given")
            ->check(CLI::PositiveNumber)
            ->type_name("N");
    bool is_lossy = false;
    app.add_flag(
        "--lossy-tokenizer", is_lossy,
        "with gguf: write the file also if GGUF cannot say all of the tokenizer, so that ids of some texts "
        "are others; what is lost is named");
    if (const auto code = parse_arguments(app, argc, argv)) return *code;
    require(format == "onnx" || (!is_compact && original.empty()),
            "--compact and --source go with --format onnx");
    require((type != "q8_0" && type != "exact") || format == "gguf", "--type {} goes with --format gguf",
            type);
    require(type != "bf16" || format == "hf" || format == "gguf", "--format {} takes --type f16 or f32",
            format);
    require(format == "coreml" || context_option->count() == 0, "--context goes with --format coreml");
    if (format == "coreml")
        become_coreml_export({source, target, "--compute", type == "f16" ? "float16" : "float32", "--context",
                              fmt::format("{}", context)});
    const Artifact artifact = read_artifact(source);
    if (format == "onnx") {
        const OnnxForm decoded = type == "f16" ? OnnxForm::float16 : OnnxForm::float32;
        export_onnx(artifact, original, target, is_compact ? OnnxForm::compact : decoded);
        return 0;
    }
    Checkpoint model;
    model.config = artifact.config;
    model.tokenizer = artifact.tokenizer;
    model.files = artifact.files;
    model.extra = artifact.extra;
    const WeightValues values = [&](const TensorInfo& info) { return artifact.weights(info.name); };
    if (format == "hf") {
        write_huggingface_checkpoint(target, model, values, parse_encoding(type));
    } else {
        write_gguf_checkpoint(
            target, model,
            type == "exact" ? exact_tensors(artifact) : encoded_tensors(values, parse_encoding(type)),
            is_lossy ? TokenizerLoss::accepted : TokenizerLoss::refused);
    }
    log_info("{}", target);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("jlcm-export", [&] { return run(argc, argv); });
}
