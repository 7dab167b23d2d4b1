// jlcm-eval: figures of any model or artifact, with their protocol.

#include "apps/command_line.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/base/unchanged_files.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/formats/onnx.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/model/find_model.hpp"
#include "core/plugin/library.hpp"
#include "core/report/run_table.hpp"
#include "core/run/result.hpp"
#include "core/run/run.hpp"

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace jlcm;

constexpr const char* examples = R"(Examples:
  jlcm-eval smollm2-135m-instruct --dataset wikitext-2-raw-test --windows 20
  jlcm-eval runs/X/artifact.safetensors --original smollm2-135m-instruct --dataset wikitext-2-raw-test --windows 20
  jlcm-eval model.gguf --dataset my.txt --context 512 --positions second_half --json figures.json

MODEL is a GGUF file, a Hugging Face folder, an artifact (*.safetensors) or the name of a known model. With
--original, KL divergence and top-1 agreement to that model are measured in the same pass.
jlcm-run --describe evaluation.perplexity tells all options that --set takes.

Exit codes: 0 done, 2 bad input, 3 the machine refused, 5 a figure is not finite (the record is written).)";

const std::map<std::string, Compute> compute_names = {
    {"auto", Compute::automatic}, {"float32", Compute::float32}, {"bfloat16", Compute::bfloat16}};

/// `fast` for any number of rows: windows are read many tokens at a time.
const std::map<std::string, Products> product_names = {{"fast", Products::rounded},
                                                       {"exact", Products::exact}};

std::map<std::string, OutputMeaning> meaning_names() {
    std::map<std::string, OutputMeaning> names;
    for (const auto& each : enum_names(OutputMeaning{})) names.emplace(each.name, each.value);
    return names;
}

struct Arguments {
    std::string model;
    std::string original;
    std::string task = "perplexity";
    std::string dataset;
    std::vector<std::string> sets;
    std::vector<std::string> data_path;
    std::vector<std::string> libraries;
    std::string context;
    std::string windows;
    std::string positions;
    bool bos = false;
    std::string inputs;
    std::vector<std::string> outputs;
    std::string meaning;
    std::string compute = "auto";
    std::string products = "exact";
    std::string json_file;
    int threads = 0;
};

/// The evaluation that the arguments describe.
Choice<Evaluation> choice_of(const Arguments& given) {
    Problems problems;
    Config config = Config::map();
    const auto set = [&](const std::string& key, const std::string& value) {
        if (!value.empty()) apply_set(config, key + "=" + value, problems);
    };
    set("type", given.task);
    set("dataset", given.dataset);
    set("context", given.context);
    set("windows", given.windows);
    set("positions", given.positions);
    set("bos", given.bos ? "true" : "");
    for (const std::string& assignment : given.sets) apply_set(config, assignment, problems);
    config.origin = {"--task " + given.task, 0, 0};
    Choice<Evaluation> choice;
    choice.decode(config, problems);
    problems.throw_if_any();
    return choice;
}

/// Which outputs of an ONNX file, and what they mean.
ReadOptions read_options(const Arguments& given, Backend& backend) {
    ReadOptions options{.outputs = {}, .backend = backend};
    for (const std::string& name : given.outputs)
        options.outputs.push_back({.name = name, .meaning = {}, .axis = {}});
    if (given.meaning.empty()) return options;
    if (options.outputs.empty()) options.outputs.emplace_back();
    for (OutputChoice& choice : options.outputs) choice.meaning = meaning_names().at(given.meaning);
    return options;
}

/// Sizes of inputs are said of ONNX files; an artifact has them.
OpenedModel open(const std::string& source, const Arguments& given, Backend& backend) {
    if (given.inputs.empty() || is_artifact(source)) return open_model(source, read_options(given, backend));
    return open_model(read_onnx_checkpoint(
        find_model(source),
        {.read = read_options(given, backend), .inputs = parse_input_choices(given.inputs)}));
}

nlohmann::json evaluate(const Arguments& given) {
    const auto choice = choice_of(given);
    Backend& backend = default_backend();
    const DType compute = compute_type(compute_names.at(given.compute), backend);
    const OpenedModel model = open(given.model, given, backend);
    std::optional<OpenedModel> original;
    if (!given.original.empty()) original.emplace(open(given.original, given, backend));
    require(!original || original->input.is_like(model.input),
            "{} and {} do not read the same and cannot be compared", given.original, given.model);

    for (const GraphOutput& output : model.weights->graph().outputs())
        log_info("{}", describe(model.weights->graph(), output));
    std::vector<std::string> names;
    std::vector<BoundModel> bound;
    bound.reserve(2);
    if (original) {
        names.emplace_back("original");
        bound.emplace_back(*original->weights, compute, backend);
    }
    names.emplace_back("compressed");
    bound.emplace_back(*model.weights, compute, backend, nullptr, product_names.at(given.products));
    EvaluatedModels models{{}, model.input};
    for (const BoundModel& each : bound) models.models.push_back(&each);
    const auto result = choice.make()->evaluate(models, data_directories(given.data_path));
    require_unchanged_files();

    auto record = evaluation_record(choice.name(), result, names);
    record["compute"] = name_of(compute);
    if (given.products != "exact") record["products"] = given.products;
    record["model"] = {
        {"source", given.model}, {"description", model.description}, {"sha256", model.sha256()}};
    for (const GraphOutput& output : model.weights->graph().outputs())
        record["model"]["outputs"].push_back(output_record(model.weights->graph(), output));
    if (original)
        record["original_model"] = {{"source", given.original},
                                    {"description", original->description},
                                    {"sha256", original->sha256()}};
    return record;
}

int run(int argc, char** argv) {
    CLI::App app{"Evaluates a model or a compressed artifact."};
    app.footer(examples);
    Arguments given;
    app.add_option("model", given.model, "What is evaluated")->required()->type_name("MODEL");
    app.add_option("--original", given.original, "Compare with this model")->type_name("MODEL");
    app.add_option("--task", given.task, "The evaluation")->capture_default_str()->type_name("NAME");
    app.add_option("--dataset", given.dataset,
                   "The text or images: a dataset's name, YAML, or the path of a file or folder")
        ->type_name("DATASET");
    app.add_option("--context", given.context, "Tokens of a window")->type_name("N");
    app.add_option("--windows", given.windows, "How many windows; all if it is not given")->type_name("N");
    app.add_option("--positions", given.positions, "all or second_half")->type_name("WHICH");
    app.add_flag("--bos", given.bos, "Begin each window with the beginning-of-text token");
    app.add_option("--set", given.sets, "Any option of the task: key=value; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    app.add_option(
           "--inputs", given.inputs,
           "Sizes that an ONNX file leaves open, as model.inputs of a spec: '{x: {shape: [3, 224, 224]}}'")
        ->type_name("YAML");
    app.add_option("--output", given.outputs,
                   "Of a model with several outputs, one that is evaluated; may be repeated")
        ->allow_extra_args(false)
        ->type_name("NAME");
    app.add_option("--meaning", given.meaning,
                   "What the output is, where its graph does not say: logits, probabilities, "
                   "log_probabilities, multilabel_logits, multilabel_probabilities or values")
        ->check(CLI::IsMember(meaning_names()).description(""))
        ->type_name("MEANING");
    app.add_option("--compute", given.compute, "auto, float32 or bfloat16")
        ->check(CLI::IsMember(compute_names).description(""))
        ->type_name("TYPE");
    app.add_option(
           "--products", given.products,
           "exact: packed weights as they decode; fast: by kernels on codes, activations in 8 bits, as "
           "jlcm-generate does by default")
        ->check(CLI::IsMember(product_names).description(""))
        ->type_name("KIND")
        ->capture_default_str();
    app.add_option("--data", given.data_path, "A directory with texts, before JLCM_DATA and the cache")
        ->type_name("DIR")
        ->allow_extra_args(false);
    app.add_option("--plugin", given.libraries, "Load this shared plugin first (this runs its code)")
        ->type_name("FILE.so")
        ->allow_extra_args(false);
    app.add_option("--json", given.json_file, "Also write the record, as in result.json, to this file")
        ->type_name("FILE");
    app.add_option("--threads", given.threads, "Threads; all cores if it is not given")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    if (const auto code = parse_arguments(app, argc, argv)) return *code;
    if (given.threads > 0) set_thread_count(given.threads);
    for (const auto& library : given.libraries) load_plugin_library(library);
    const auto record = evaluate(given);
    if (!given.json_file.empty()) write_file(given.json_file, record.dump(2) + '\n');
    fmt::print("{}", evaluation_table(record));
    return exit_code_of(figures_not_finite(nlohmann::json::array({record})));
}

}  // namespace

int main(int argc, char** argv) {
    catch_interrupts();
    return run_program("jlcm-eval", [&] { return run(argc, argv); });
}
