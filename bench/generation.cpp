// Tokens per second of a prompt and of what follows, and the memory that it takes. With --text: the perplexity of a
// text that is read token by token, which shows what kernels on codes and cached keys and values cost in quality
// (jlcm-eval has the exact figure of the same windows).
#include "core/base/files.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/generate/cached_decoder.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include <CLI/CLI.hpp>

namespace {

using namespace jlcm;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Settings {
    std::string model;
    std::int64_t prompt = 512;
    std::int64_t tokens = 64;
    std::vector<int> threads{1, 2};
    bool exact = false;
    bool float32 = false;
    std::string cache = "float16";
    std::string text;
    std::int64_t context = 512;
    std::int64_t windows = 4;
};

/// -log p of a token.
double nll(const Tensor& logits, std::int32_t token) {
    double largest = -std::numeric_limits<double>::infinity();
    for (const float each : logits.values<float>()) largest = std::max(largest, static_cast<double>(each));
    double sum = 0;
    for (const float each : logits.values<float>()) sum += std::exp(static_cast<double>(each) - largest);
    return largest + std::log(sum) - static_cast<double>(logits.data<float>()[token]);
}

/// Windows without overlap, every token behind the first of a window counts.
void perplexity(const Settings& settings, const Tokenizer& tokenizer, CachedDecoder& decoder) {
    const auto ids = tokenizer.encode(read_file(settings.text));
    double total = 0;
    std::int64_t tokens = 0;
    for (std::int64_t window = 0; window < settings.windows; ++window) {
        decoder.keep(0);
        for (std::int64_t i = 0; i + 1 < settings.context; ++i) {
            const auto at = static_cast<std::size_t>(window * settings.context + i);
            require(at + 1 < ids.size(), "{}: the text is too short", settings.text);
            total += nll(decoder.read(std::span(ids).subspan(at, 1)), ids[at + 1]);
            ++tokens;
        }
    }
    fmt::print("perplexity {:.4f} over {} windows of {} tokens, {} scored\n",
               std::exp(total / static_cast<double>(tokens)), settings.windows, settings.context, tokens);
}

void measure(const Settings& settings) {
    const Clock::time_point opening = Clock::now();
    const OpenedModel opened = open_model(settings.model);
    const double open_seconds = seconds_since(opening);
    const std::map<std::string, CacheType> caches{
        {"float32", CacheType::f32}, {"float16", CacheType::f16}, {"int8", CacheType::int8}};
    Backend& backend = default_backend();
    const DecoderOptions options{
        .compute = backend.has_bfloat16() && !settings.float32 ? DType::bf16 : DType::f32,
        .cache = caches.at(settings.cache),
        .products = settings.exact ? Products::exact : Products::fast,
        .context = std::min(opened.input.max_positions,
                            std::max(settings.context, settings.prompt + settings.tokens))};
    CachedDecoder decoder(*opened.weights, opened.input, options, backend);
    if (!settings.text.empty())
        return perplexity(settings, opened.input.need_tokenizer("perplexity"), decoder);
    const std::int64_t vocabulary =
        opened.weights->graph().parameter(opened.weights->graph().head()).shape[0];
    std::vector<std::int32_t> prompt;
    for (std::int64_t i = 0; i < settings.prompt; ++i)
        prompt.push_back(static_cast<std::int32_t>((i * i * 31 + 7) % vocabulary));
    fmt::print("{}; products of {} tokens: {}; cache in {}; opened in {:.3f} s\n", backend.describe(), "few",
               settings.exact ? "exact" : "fast", settings.cache, open_seconds);
    fmt::print(
        "| threads | prompt of {}, tokens/s | then {}, tokens/s | peak memory, MB |\n|---|---|---|---|\n",
        settings.prompt, settings.tokens);
    for (const int threads : settings.threads) {
        set_thread_count(threads);
        decoder.keep(0);
        const Clock::time_point reading = Clock::now();
        Tensor logits = decoder.read(prompt);
        const double prompt_seconds = seconds_since(reading);
        const Clock::time_point writing = Clock::now();
        for (std::int64_t i = 0; i + 1 < settings.tokens; ++i) {
            const auto values = logits.values<float>();
            const auto best = static_cast<std::int32_t>(std::ranges::max_element(values) - values.begin());
            logits = decoder.read(std::span(&best, 1));
        }
        fmt::print("| {} | {:.1f} | {:.1f} | {:.0f} |\n", threads,
                   static_cast<double>(settings.prompt) / prompt_seconds,
                   static_cast<double>(settings.tokens - 1) / seconds_since(writing),
                   static_cast<double>(peak_memory_bytes()) / 1e6);
    }
}

}  // namespace

int main(int argc, char** argv) try {
    Settings settings;
    CLI::App app{"Speed of generation"};
    app.add_option("model", settings.model, "An artifact, a GGUF file or a Hugging Face folder")->required();
    app.add_option("--prompt", settings.prompt, "Tokens that are read first");
    app.add_option("--tokens", settings.tokens, "Tokens that are generated");
    app.add_option("--threads", settings.threads, "Thread counts");
    app.add_flag("--exact", settings.exact, "Products as with dense weights");
    app.add_flag("--float32", settings.float32, "Products in float32");
    app.add_option("--cache", settings.cache, "Of keys and values: float32, float16 or int8");
    app.add_option("--text", settings.text, "Measure the perplexity of this text instead");
    app.add_option("--context", settings.context, "Tokens of its windows");
    app.add_option("--windows", settings.windows, "How many of them");
    CLI11_PARSE(app, argc, argv);
    measure(settings);
    return 0;
} catch (const jlcm::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
}
