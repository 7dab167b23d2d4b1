#include "core/run/spec.hpp"

#include "core/model/find_model.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace jlcm {
namespace {

bool can_do_without_data(const EmbeddingOptions& embedding) {
    const DataNeeds needs = embedding.codebook_init.make()->needs();
    return !needs.any() || needs.can_do_without;
}

/// A loader of ONNX files that has them among its options.
Choice<ModelLoader> with_inputs(const Choice<ModelLoader>& loader, InputChoices inputs) {
    require(loader.name() == "onnx" || loader.name() == "auto",
            "model.inputs are of ONNX files, and the loader is {}; leave the key out", loader.name());
    Config options = loader.name() == "onnx" ? loader.encode() : Config::map();
    options.entry("type").value = Config::string("onnx");
    options.entry("inputs").value = InputChoicesSlot(inputs).encode();
    Problems problems;
    Choice<ModelLoader> choice;
    choice.decode(options, problems);
    problems.throw_if_any();
    return choice;
}

}  // namespace

void ModelOptions::fields(Fields& v) {
    v("loader", loader, Doc{"How its files are read."});
    v("source", source,
      Doc{"A path, or the name of a model in the cache's models/ (smollm2-135m-instruct; "
          "scripts/fetch_model.sh), in JLCM_ASSETS/lm or beside a directory of JLCM_DATA."},
      Required{});
    v("outputs", outputs,
      Doc{"Which of an ONNX file's outputs are compared and learned from, unless all are, and what they mean, if "
          "the graph does not say. Nodes that only other outputs need are left out and recorded."});
    v("inputs", inputs,
      Doc{"By the name of an input of an ONNX file: {shape: [3, 640, 640]}, the sizes of one sample where the "
          "file leaves them open; or {value: 1}, which makes the input a constant."});
}

void ModelOptions::validate(Problems& problems) const {
    for (const OutputChoice& each : outputs)
        if (each.axis && !each.meaning)
            problems.field("outputs", "the axis of output '{}' goes with a meaning", each.name);
}

Checkpoint ModelOptions::load(Backend& backend) const {
    const ReadOptions read{.outputs = outputs, .backend = backend};
    if (inputs.all.empty()) return loader.make()->load(find_model(source), read);
    return with_inputs(loader, inputs).make()->load(find_model(source), read);
}

void RunSpec::fields(Fields& v) {
    v("version", version, Doc{"Version of this format: 1."}, Range{1, 1});
    v("name", name, Doc{"Begins the run directory's name; letters, digits, '_', '-', '.'."});
    v("seed", seed, Doc{"Seed of all random draws. Runs with several seeds show how much is luck."});
    v("compute", compute,
      Doc{"Input type of matrix products; sums and everything learned stay float32. bfloat16 is about twice "
          "as fast if the CPU has it."});
    v("checkpoint_minutes", checkpoint_minutes,
      Doc{"How often learning saves its state, so that a killed run resumes from there."}, Range{0.0, 1e6});
    v("data_path", data_path, Doc{"Directories with data, before those of JLCM_DATA and the cache."});
    v("plugins", plugins,
      Doc{"Shared objects (or directories of them) with more plugins. Loading one runs its code."});
    v("model", model, Doc{"The model that is compressed."});
    v("calibration", calibration,
      Doc{"The samples of calibration and learning. None: nothing, if no option of `compress` reads samples "
          "(e.g. `solver: rtn`)."});
    v("compress", compress, Doc{"How weights become codebooks and mappings."});
    v("evaluate", evaluate, Doc{"The evaluations at the end of the run."});
}

void RunSpec::validate(Problems& problems) const {
    const bool fits = std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-' || c == '.';
    });
    if (name.empty() || name.size() > 100 || !fits || name.front() == '.')
        problems.field("name", "\"{}\" cannot begin a directory's name; use letters, digits, '_', '-', '.'",
                       name);
    if (compress.embedding && !can_do_without_data(*compress.embedding))
        problems.field("compress",
                       "embedding.codebook_init wants calibration inputs, which the embedding does "
                       "not have; use {{type: kmeans, weights: none}}");
    if (!calibration && compress.needs_samples())
        problems.field("calibration", "is missing, and these options need samples: {}",
                       fmt::join(compress.why_samples(), ", "));
    const auto& learn = compress.learn;
    if (calibration && learn && compress.learns_blocks() && learn->batch > calibration->sequences)
        problems.field("compress", "learn.batch is {}, of {} calibration sequences", learn->batch,
                       calibration->sequences);
}

Config identity_of(Config resolved) {
    for (const char* key : {"name", "checkpoint_minutes", "data_path", "plugins"}) resolved.erase(key);
    return resolved;
}

namespace {
const SectionRegistrar<RunSpec> section{"run", "The spec of jlcm-run."};
}

}  // namespace jlcm
