// jlcm-export: a compressed model decoded to formats that any other program reads.

#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/codebook/artifact.hpp"
#include "core/formats/checkpoint_export.hpp"

#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-export runs/X/artifact.safetensors --format gguf --type f16 model.gguf
  jlcm-export runs/X/artifact.safetensors --format hf --type f32 model/)";

int run(int argc, char** argv) {
    CLI::App app{"Decodes a compressed model (artifact) to a Hugging Face folder or a GGUF file."};
    app.footer(examples);
    std::string source;
    std::string target;
    std::string format = "hf";
    std::string type = "f16";
    app.add_option("artifact", source, "The compressed model, *.safetensors")
        ->required()
        ->type_name("ARTIFACT");
    app.add_option("out", target, "The folder or file that is written")->required()->type_name("OUT");
    app.add_option("--format", format, "hf (a Hugging Face folder) or gguf")
        ->check(CLI::IsMember({"hf", "gguf"}))
        ->capture_default_str();
    app.add_option("--type", type,
                   "f16, bf16 or f32; decoded codewords are exact in f32, and in f16 without scales")
        ->check(CLI::IsMember({"f16", "bf16", "f32"}))
        ->capture_default_str();
    bool is_lossy = false;
    app.add_flag(
        "--lossy-tokenizer", is_lossy,
        "with gguf: write the file also if GGUF cannot say all of the tokenizer, so that ids of some texts "
        "are others; what is lost is named");
    if (const auto code = parse_arguments(app, argc, argv)) return *code;
    const Artifact artifact = read_artifact(source);
    Checkpoint model;
    model.config = artifact.config;
    model.tokenizer = artifact.tokenizer;
    model.files = artifact.files;
    model.extra = artifact.extra;
    const WeightValues values = [&](const TensorInfo& info) { return artifact.weights(info.name); };
    const Encoding encoding = parse_encoding(type);
    if (format == "hf") {
        write_huggingface_checkpoint(target, model, values, encoding);
    } else {
        write_gguf_checkpoint(target, model, values, encoding,
                              is_lossy ? TokenizerLoss::accepted : TokenizerLoss::refused);
    }
    log_info("{}", target);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("jlcm-export", [&] { return run(argc, argv); });
}
