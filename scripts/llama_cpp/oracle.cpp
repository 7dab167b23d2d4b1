// llama.cpp as an oracle for jlcm: logits, perplexity and speed of a GGUF by an independent implementation.
// The key and value caches are float32 and flash attention is off, so that with a float32 GGUF all arithmetic
// is float32. No beginning-of-sequence token is added. Files of token ids are little-endian int32.

#include "llama.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr const char* usage = R"(llama-oracle MODE ...
  tokenize   MODEL TEXT IDS                          token ids of a text file (special tokens not parsed)
  logits     MODEL IDS OUT [THREADS]                 float32 logits of every position, [tokens, vocabulary]
  perplexity MODEL IDS CONTEXT WINDOWS all|second_half [THREADS]
                                                     a line a window: index, mean negative log-likelihood (nats)
  bench      MODEL THREADS [PROMPT [GENERATE]]       tokens/s: prompt without and with all logits, generation
  convert    MODEL OUT f32|f16|bf16                  the same model with matrices of another type
)";

using Ids = std::vector<llama_token>;

struct ModelDeleter {
    void operator()(llama_model* model) const { llama_model_free(model); }
};
struct ContextDeleter {
    void operator()(llama_context* context) const { llama_free(context); }
};
using Model = std::unique_ptr<llama_model, ModelDeleter>;
using Context = std::unique_ptr<llama_context, ContextDeleter>;

constexpr std::size_t chunk = 512;  // tokens a call: bounds the memory of the logits

Model load(const std::string& path) {
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = 0;
    Model model(llama_model_load_from_file(path.c_str(), params));
    if (!model) throw std::runtime_error("cannot load " + path);
    return model;
}

Context make_context(llama_model& model, std::size_t length, int threads) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<std::uint32_t>(length);
    params.n_batch = chunk;
    params.n_ubatch = chunk;
    params.n_threads = threads;
    params.n_threads_batch = threads;
    params.type_k = GGML_TYPE_F32;
    params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    Context context(llama_init_from_model(&model, params));
    if (!context) throw std::runtime_error("cannot make a context");
    return context;
}

int vocabulary(const llama_model& model) {
    return llama_vocab_n_tokens(llama_model_get_vocab(&model));
}

std::vector<char> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

Ids read_ids(const std::string& path) {
    const auto bytes = read_file(path);
    Ids ids(bytes.size() / sizeof(llama_token));
    std::copy_n(bytes.data(), ids.size() * sizeof(llama_token), reinterpret_cast<char*>(ids.data()));
    if (ids.empty()) throw std::runtime_error(path + " holds no token ids");
    return ids;
}

template <class T>
void write_file(const std::string& path, const T* values, std::size_t count, std::ios::openmode mode = {}) {
    std::ofstream file(path, std::ios::binary | mode);
    file.write(reinterpret_cast<const char*>(values), static_cast<std::streamsize>(count * sizeof(T)));
    if (!file) throw std::runtime_error("cannot write " + path);
}

/// Decodes tokens that follow those decoded before; `visit(i, logits)` for each of them that is scored.
template <class Visit>
void decode(llama_context& context, const llama_token* ids, std::size_t count, bool all_logits,
            Visit&& visit) {
    for (std::size_t begin = 0; begin < count; begin += chunk) {
        const std::size_t length = std::min(chunk, count - begin);
        Ids tokens(ids + begin, ids + begin + length);
        std::vector<std::int8_t> wanted(length, all_logits ? 1 : 0);
        wanted.back() = 1;
        llama_batch batch = llama_batch_get_one(tokens.data(), static_cast<std::int32_t>(length));
        batch.logits = wanted.data();
        if (llama_decode(&context, batch) != 0) throw std::runtime_error("llama_decode failed");
        for (std::size_t i = 0; i < length; ++i) {
            if (wanted[i] != 0)
                visit(begin + i, llama_get_logits_ith(&context, static_cast<std::int32_t>(i)));
        }
    }
}

void tokenize(const std::string& model_path, const std::string& text_path, const std::string& out) {
    const Model model = load(model_path);
    const auto text = read_file(text_path);
    Ids ids(text.size() + 1);
    const int count =
        llama_tokenize(llama_model_get_vocab(model.get()), text.data(), static_cast<int>(text.size()),
                       ids.data(), static_cast<int>(ids.size()), false, false);
    if (count < 0) throw std::runtime_error("llama_tokenize failed");
    write_file(out, ids.data(), static_cast<std::size_t>(count));
}

void logits(const std::string& model_path, const std::string& ids_path, const std::string& out, int threads) {
    const Model model = load(model_path);
    const Ids ids = read_ids(ids_path);
    const Context context = make_context(*model, ids.size(), threads);
    const auto width = static_cast<std::size_t>(vocabulary(*model));
    write_file(out, static_cast<const float*>(nullptr), 0);
    decode(*context, ids.data(), ids.size(), true,
           [&](std::size_t, const float* row) { write_file(out, row, width, std::ios::app); });
}

void perplexity(const std::string& model_path, const std::string& ids_path, std::size_t length,
                std::size_t windows, bool second_half, int threads) {
    const Model model = load(model_path);
    const Ids ids = read_ids(ids_path);
    const Context context = make_context(*model, length, threads);
    const int width = vocabulary(*model);
    windows = std::min(windows, ids.size() / length);
    double total = 0;
    for (std::size_t window = 0; window < windows; ++window) {
        llama_memory_clear(llama_get_memory(context.get()), true);
        const llama_token* tokens = ids.data() + window * length;
        double sum = 0;
        int scored = 0;
        decode(*context, tokens, length, true, [&](std::size_t i, const float* row) {
            if (i + 1 == length || (second_half && i < length / 2)) return;
            const float top = *std::max_element(row, row + width);
            double mass = 0;
            for (int v = 0; v < width; ++v) mass += std::exp(static_cast<double>(row[v]) - top);
            sum += std::log(mass) + top - row[tokens[i + 1]];
            ++scored;
        });
        total += sum / scored;
        std::printf("%zu %.7f\n", window, sum / scored);
        std::fflush(stdout);
    }
    std::printf("perplexity %.5f over %zu windows\n", std::exp(total / static_cast<double>(windows)),
                windows);
}

/// Best of three, since other work on the machine only ever slows one down.
template <class Work>
double tokens_per_second(std::size_t tokens, Work&& work) {
    double best = 0;
    for (int i = 0; i < 3; ++i) {
        const auto began = std::chrono::steady_clock::now();
        work();
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
        best = std::max(best, static_cast<double>(tokens) / taken.count());
    }
    return best;
}

void bench(const std::string& model_path, int threads, std::size_t prompt, std::size_t generate) {
    const Model model = load(model_path);
    const Context context = make_context(*model, std::max(prompt, generate + 1), threads);
    std::mt19937 random(1);
    Ids ids(std::max(prompt, generate + 1));
    for (auto& id : ids) id = static_cast<llama_token>(random() % static_cast<unsigned>(vocabulary(*model)));

    const auto run = [&](std::size_t count, bool all_logits, std::size_t step) {
        llama_memory_clear(llama_get_memory(context.get()), true);
        for (std::size_t i = 0; i < count; i += step) {
            decode(*context, ids.data() + i, std::min(step, count - i), all_logits,
                   [](std::size_t, const float*) {});
        }
    };
    run(prompt, true, prompt);  // warm up
    const double bare = tokens_per_second(prompt, [&] { run(prompt, false, prompt); });
    const double full = tokens_per_second(prompt, [&] { run(prompt, true, prompt); });
    const double generation = tokens_per_second(generate, [&] { run(generate, false, 1); });
    std::printf("threads %d prompt %zu tokens/s %.1f prompt_all_logits %.1f generation %.1f\n", threads,
                prompt, bare, full, generation);
}

void convert(const std::string& model_path, const std::string& out, const std::string& type) {
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.allow_requantize = true;
    params.pure = true;
    if (type == "f32") {
        params.ftype = LLAMA_FTYPE_ALL_F32;
    } else if (type == "f16") {
        params.ftype = LLAMA_FTYPE_MOSTLY_F16;
    } else if (type == "bf16") {
        params.ftype = LLAMA_FTYPE_MOSTLY_BF16;
    } else {
        throw std::runtime_error("unknown type " + type);
    }
    if (llama_model_quantize(model_path.c_str(), out.c_str(), &params) != 0) {
        throw std::runtime_error("cannot convert " + model_path);
    }
}

int run(const std::vector<std::string>& arguments) {
    const auto has = [&](const char* mode, std::size_t least, std::size_t most) {
        return !arguments.empty() && arguments[0] == mode && arguments.size() > least &&
               arguments.size() <= most + 1;
    };
    const auto number = [&](std::size_t i, int otherwise) {
        return i < arguments.size() ? std::stoi(arguments[i]) : otherwise;
    };
    const auto size = [&](std::size_t i, int otherwise) {
        return static_cast<std::size_t>(number(i, otherwise));
    };
    if (has("tokenize", 3, 3)) {
        tokenize(arguments[1], arguments[2], arguments[3]);
    } else if (has("logits", 3, 4)) {
        logits(arguments[1], arguments[2], arguments[3], number(4, 2));
    } else if (has("perplexity", 5, 6)) {
        perplexity(arguments[1], arguments[2], size(3, 0), size(4, 0), arguments[5] == "second_half",
                   number(6, 2));
    } else if (has("bench", 2, 4)) {
        bench(arguments[1], number(2, 1), size(3, 512), size(4, 64));
    } else if (has("convert", 3, 3)) {
        convert(arguments[1], arguments[2], arguments[3]);
    } else {
        std::fputs(usage, stderr);
        return 2;
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    llama_log_set(
        [](ggml_log_level level, const char* text, void*) {
            if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
        },
        nullptr);
    llama_backend_init();
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "llama-oracle: %s\n", error.what());
        return 1;
    }
}
