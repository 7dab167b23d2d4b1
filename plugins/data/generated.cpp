#include "core/base/cache.hpp"
#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/data/dataset.hpp"
#include "core/formats/json.hpp"
#include "core/generate/cached_decoder.hpp"
#include "core/generate/generation.hpp"
#include "core/generate/prompt_format.hpp"
#include "core/model/find_model.hpp"
#include "core/store/saved_state.hpp"

#include <algorithm>

namespace jlcm {
namespace {

struct GeneratedOptions {
    std::string model;
    std::int64_t tokens = 65536;
    std::int64_t length = 512;
    double temperature = 1.0;
    double top_p = 1.0;
    std::string prompt;
    std::int64_t seed = 0;
    void fields(Fields& v) {
        v("model", model,
          Doc{"The language model that writes it, as model.source names one: the model that is to be compressed."},
          Required{});
        v("tokens", tokens,
          Doc{"In all. They are made one after another, at the speed that jlcm-generate shows, and kept in the cache for the next run."},
          Range{1, 1e9});
        v("length", length,
          Doc{"Tokens of a document at most; it ends earlier where the model ends it. At least the length of "
              "the windows that are calibrated with."},
          Range{1, 1e6});
        v("temperature", temperature,
          Doc{"1: as the model predicts. Lower: what it is surer of, with less variety. 0: greedy, so that all documents are the same."},
          Range{0.0, 10.0});
        v("top_p", top_p,
          Doc{"Draws from the fewest most likely tokens that together have this probability."},
          Range{1e-6, 1.0});
        v("prompt", prompt, Doc{"What every document begins with. Empty: as the model begins a text."});
        v("seed", seed, Doc{"Of the draws. Equal seeds give equal texts on one machine."}, Range{0, 1e15});
    }
};

/// The documents that a model writes, one after another.
std::vector<std::string> write_documents(const OpenedModel& model, const GeneratedOptions& options,
                                         Backend& backend) {
    const Tokenizer& tokenizer = model.input.need_tokenizer("the dataset generated");
    const PromptFormat format = prompt_format(*model.checkpoint, tokenizer);
    std::vector<std::int32_t> prompt = prompt_ids(options.prompt, format, tokenizer);
    // A model without a token for the beginning of a text learned that one begins where another ends.
    if (prompt.empty() && !format.ends.empty()) prompt.push_back(format.ends.front());
    require(!prompt.empty(), "{} has no token that begins a text: give a prompt", options.model);
    const std::int64_t context = std::min(model.input.max_positions, std::ssize(prompt) + options.length);
    CachedDecoder decoder(*model.weights, model.input,
                          {.compute = backend.has_bfloat16() ? DType::bf16 : DType::f32,
                           .products = Products::fast,
                           .context = context},
                          backend);
    Generator generator(decoder, tokenizer, format.ends);
    const GenerationOptions generation{.sampling = {.temperature = options.temperature,
                                                    .top_p = options.top_p,
                                                    .seed = static_cast<std::uint64_t>(options.seed)},
                                       .max_tokens = options.length};
    Progress progress(fmt::format("{} writes texts", options.model), options.tokens, "tokens");
    std::vector<std::string> documents;
    std::int64_t made = 0;
    for (std::uint64_t stream = 0; made < options.tokens; ++stream) {
        const Generation text = generator.generate(prompt, generation, stream);
        throw_if_interrupted();
        if (!text.text.empty()) documents.push_back(options.prompt + text.text);
        made += std::max<std::int64_t>(1, std::ssize(text.ids));
        progress.update(std::min(made, options.tokens));
    }
    require(!documents.empty(), "{} ends every text before it begins: give a prompt", options.model);
    return documents;
}

class Generated final : public Dataset {
  public:
    using Options = GeneratedOptions;
    explicit Generated(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& /*directories*/) const override {
        try {
            (void)find_model(options_.model);
            return true;
        } catch (const Error&) {
            return false;
        }
    }

    [[nodiscard]] Data load(const Directories& /*directories*/) const override {
        const ReadOptions reading;
        const OpenedModel model = open_model(options_.model, reading);
        const std::string what = nlohmann::json{
            {"model", model.sha256()},   {"tokens", options_.tokens},
            {"length", options_.length}, {"temperature", options_.temperature},
            {"top_p", options_.top_p},   {"prompt", options_.prompt},
            {"seed", options_.seed}}.dump();
        const auto kept = cache_directory() / "generated" / (sha256(what).substr(0, 16) + ".safetensors");
        auto state = load_state(kept);
        if (!state || state->words["made_of"] != what) {
            const nlohmann::json documents = write_documents(model, options_, reading.backend);
            state = SavedState{.words = {{"made_of", what}, {"documents", documents.dump()}}, .tensors = {}};
            std::filesystem::create_directories(kept.parent_path());
            save_state(kept, *state);
        }
        const std::string& text = state->words.at("documents");
        return TextData{
            .name = fmt::format("generated by {}, temperature {}", name_of(model), options_.temperature),
            .documents = parse_json(text).get<std::vector<std::string>>(),
            .sha256 = sha256(text),
            .source = options_.model};
    }

  private:
    /// As tables show it.
    [[nodiscard]] std::string name_of(const OpenedModel& model) const {
        const std::string fallback = std::filesystem::path(options_.model).filename().string();
        return model.checkpoint->extra.value("name", fallback);
    }

    GeneratedOptions options_;
};

const Registrar<Dataset, Generated> registrar{
    "generated", "Text that the model itself writes: for calibration where no text is at hand.",
    "Liu et al., LLM-QAT: Data-Free Quantization Aware Training for Large Language Models, 2023"};

}  // namespace
}  // namespace jlcm
