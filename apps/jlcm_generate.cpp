// jlcm-generate: text from any language model or artifact: prompts gone on with, or a conversation.

#include "apps/command_line.hpp"
#include "apps/conversation.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/artifact_model.hpp"
#include "core/estimate/memory_plan.hpp"
#include "core/formats/json.hpp"
#include "core/generate/cached_decoder.hpp"
#include "core/generate/generation.hpp"
#include "core/generate/prompt_format.hpp"
#include "core/run/run.hpp"
#include "core/tensor/memory.hpp"
#include "core/text/byte_order_mark.hpp"
#include "core/text/utf8.hpp"

#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace {

using namespace jlcm;
using Json = nlohmann::ordered_json;

constexpr const char* examples = R"(Examples:
  jlcm-generate smollm2-135m-instruct "The capital of France is" --max-tokens 20
  jlcm-generate runs/X/artifact.safetensors --chat
  jlcm-generate model.gguf --chat --system "Answer in one sentence." "What is a codebook?"
  jlcm-generate model --prompts prompts.txt --json --temperature 0.7 --top-p 0.9 --seed 1 > texts.jsonl

MODEL is a GGUF file, a Hugging Face folder, an artifact (*.safetensors) or the name of a known model. Without --chat
the model goes on with the prompt's text; with it, each prompt is a user's message in the model's chat template, and
without a prompt a conversation is held on the terminal: Ctrl-C stops an answer, Ctrl-C at the prompt or the end of
input the program, /clear begins anew.

The text goes to the standard output; tokens per second and memory are told at the end on the other one.

Exit codes: 0 done, 2 bad input, 3 the machine refused (disk, memory), 130 interrupted.)";

const std::map<std::string, Compute> compute_names = {
    {"auto", Compute::automatic}, {"float32", Compute::float32}, {"bfloat16", Compute::bfloat16}};

const std::map<std::string, Products> product_names = {{"fast", Products::fast}, {"exact", Products::exact}};
const std::map<std::string, CacheType> cache_names = {
    {"float32", CacheType::f32}, {"float16", CacheType::f16}, {"int8", CacheType::int8}};

struct Arguments {
    std::string model;
    std::vector<std::string> prompt;
    std::string file;
    std::string prompts;
    std::string messages;
    bool chat = false;
    std::string system;
    std::string chat_template;
    std::vector<std::string> template_sets;
    bool print_prompt = false;
    bool json = false;
    GenerationOptions generation{.sampling = {}, .max_tokens = 512, .stop = {}, .ignore_ends = false};
    std::int64_t context = 0;
    std::string compute = "auto";
    std::string products = "fast";
    std::string cache = "float16";
    std::string memory_limit;
    int threads = 0;
};

std::string read_input() {
    std::string text;
    std::array<char, 1 << 16> buffer{};
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), stdin))
        text.append(buffer.data(), count);
    require(std::ferror(stdin) == 0, "the standard input cannot be read");
    return text;
}

/// A file, or the standard input for "-".
std::string read_text(const std::string& path) {
    const std::string text = path == "-" ? read_input() : read_file(path);
    return std::string(without_byte_order_mark(text));
}

std::vector<std::string> lines_of(const std::string& text, const std::string& path) {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        std::string line = text.substr(begin, end - begin);
        if (line.ends_with('\r')) line.pop_back();
        if (!line.empty()) lines.push_back(std::move(line));
        begin = end + 1;
    }
    require(!lines.empty(), "{} has no line with a prompt", path);
    return lines;
}

/// The prompts that are given, in order; none where a conversation is to be held.
std::vector<std::string> prompts_of(const Arguments& given) {
    if (!given.prompt.empty()) return given.prompt;
    if (!given.file.empty()) return {read_text(given.file)};
    if (!given.prompts.empty()) return lines_of(read_text(given.prompts), given.prompts);
    if (given.chat) return {};
    require(::isatty(STDIN_FILENO) == 0,
            "no prompt: give one, or --file, --prompts or --chat; jlcm-generate --help shows examples");
    return {read_input()};
}

/// The messages that a conversation begins with.
Json first_messages(const Arguments& given) {
    Json messages = Json::array();
    if (!given.system.empty())
        messages.push_back({{"role", "system"}, {"content", valid_utf8(given.system)}});
    if (given.messages.empty()) return messages;
    const std::string text = read_text(given.messages);
    (void)parse_json(text);  // says where it is wrong
    const Json given_messages = Json::parse(text);
    require(given_messages.is_array(),
            "{}: expected a list of messages, [{{\"role\": \"user\", \"content\": \"...\"}}, ...]",
            given.messages);
    for (const Json& each : given_messages) {
        require(each.is_object() && each.contains("role"), "{}: a message has no role: {}", given.messages,
                each.dump());
        messages.push_back(each);
    }
    return messages;
}

/// KEY=VALUE: JSON, or else a text.
Json template_variables(const std::vector<std::string>& sets) {
    Json variables = Json::object();
    for (const std::string& each : sets) {
        const std::size_t equals = each.find('=');
        require(equals != std::string::npos && equals > 0, "--template-set {}: expected KEY=VALUE", each);
        const std::string value = each.substr(equals + 1);
        const Json parsed = Json::parse(value, nullptr, false);
        variables[each.substr(0, equals)] = parsed.is_discarded() ? Json(value) : parsed;
    }
    return variables;
}

/// Everything that the answers to all prompts share.
class Session {
  public:
    Session(const Arguments& given, const OpenedModel& model)
        : given_(given),
          tokenizer_(model.input.need_tokenizer("generation")),
          format_(prompt_format(*model.checkpoint, tokenizer_)) {
        if (given.chat) {
            chat_.emplace(*model.checkpoint, format_, given.chat_template,
                          template_variables(given.template_sets));
            messages_ = first_messages(given);
        }
    }

    /// Prints what the model would read.
    void print_prompts(const std::vector<std::string>& prompts) {
        if (prompts.empty() && chat_) fmt::print("{}\n", chat_->text(messages_));
        for (const std::string& each : prompts) fmt::print("{}\n", text_of(each));
    }

    int answer(const std::vector<std::string>& prompts, Decoder& decoder) {
        Generator generator(decoder, tokenizer_, chat_ ? chat_->ends(tokenizer_) : format_.ends);
        for (std::size_t i = 0; i < prompts.size() && !interrupt_requested(); ++i) {
            const std::string text = text_of(prompts[i]);
            const auto ids = chat_ ? chat_->ids(text, tokenizer_) : prompt_ids(text, format_, tokenizer_);
            const auto show = [](std::string_view piece) { write_out(piece); };
            if (!given_.json && prompts.size() > 1) write_out(prompts[i] + (chat_ ? "\n" : ""));
            generations_.push_back(
                generator.generate(ids, given_.generation, i, given_.json ? TextCallback() : show));
            write_out(given_.json ? record(prompts[i], text, ids, generations_.back()).dump() + "\n" : "\n");
            if (generations_.back().reason == StopReason::context)
                log_warning("the text ends because the context of {} tokens is full", decoder.context());
        }
        return interrupt_requested() ? static_cast<int>(ErrorKind::interrupted) : 0;
    }

    int converse(Decoder& decoder) {
        if (!chat_) fail("a conversation needs --chat");
        Generator generator(decoder, tokenizer_, chat_->ends(tokenizer_));
        return hold_conversation(*chat_, tokenizer_, generator, messages_, given_.generation, given_.json,
                                 generations_);
    }

    void say_speed() const {
        if (!generations_.empty())
            log_info("{}; memory {}", describe_speed(generations_),
                     format_bytes(static_cast<double>(peak_memory_bytes())));
    }

  private:
    [[nodiscard]] std::string text_of(const std::string& prompt) const {
        if (!chat_) return prompt;
        Json messages = messages_;
        messages.push_back({{"role", "user"}, {"content", valid_utf8(prompt)}});
        return chat_->text(messages);
    }

    [[nodiscard]] Json record(const std::string& prompt, const std::string& text,
                              const std::vector<std::int32_t>& ids, const Generation& made) const {
        Json result = generation_record(made);
        Json all = {{"prompt", valid_utf8(prompt)}};
        if (chat_) all["prompt_text"] = valid_utf8(text);
        all["prompt_ids"] = ids;
        all.update(result);
        return all;
    }

    const Arguments& given_;
    const Tokenizer& tokenizer_;
    PromptFormat format_;
    std::optional<ChatFormat> chat_;
    Json messages_;
    std::vector<Generation> generations_;
};

int generate(const Arguments& given) {
    require_valid(given.generation.sampling);
    require(given.chat || (given.system.empty() && given.messages.empty() && given.chat_template.empty() &&
                           given.template_sets.empty()),
            "--system, --messages, --template and --template-set belong to a conversation: add --chat");
    const double limit = given.memory_limit.empty() ? std::numeric_limits<double>::infinity()
                                                    : parse_bytes(given.memory_limit);
    const auto prompts = prompts_of(given);
    const OpenedModel model = open_model(given.model);
    Session session(given, model);
    if (given.print_prompt) {
        session.print_prompts(prompts);
        return 0;
    }
    Backend& backend = default_backend();
    const DecoderOptions options =
        within_memory(*model.weights, model.input,
                      {.compute = compute_type(compute_names.at(given.compute), backend),
                       .cache = cache_names.at(given.cache),
                       .products = product_names.at(given.products),
                       .context = given.context},
                      model.file_bytes(), limit);
    const DecoderMemory memory = decoder_memory(*model.weights, model.input, options, model.file_bytes());
    log_info("memory, at most: {}", memory.describe());
    require(memory.total() <= limit,
            "the memory limit is {}, and generation may need {}: {}; lower --context, or take --cache int8",
            given.memory_limit, format_bytes(memory.total()), memory.describe());
    if (!given.memory_limit.empty()) limit_memory(limit);
    CachedDecoder decoder(*model.weights, model.input, options, backend);
    const int code = prompts.empty() ? session.converse(decoder) : session.answer(prompts, decoder);
    session.say_speed();
    return code;
}

int run(int argc, char** argv) {
    CLI::App app{"Generates text with a model or a compressed artifact."};
    app.footer(examples);
    Arguments given;
    SamplingOptions& sampling = given.generation.sampling;
    app.add_option("model", given.model, "What generates")->required()->type_name("MODEL");
    auto* prompt =
        app.add_option("prompt", given.prompt,
                       "The text to go on with, or the message; several are answered one after another");
    prompt->type_name("PROMPT");
    auto* file =
        app.add_option("--file", given.file,
                       "A file whose text is the prompt; - is the standard input, as without any prompt");
    file->type_name("FILE")->excludes(prompt);
    app.add_option("--prompts", given.prompts, "A file with a prompt on each line; empty lines are skipped")
        ->type_name("FILE")
        ->excludes(prompt)
        ->excludes(file);
    app.add_flag("--chat", given.chat,
                 "Use the model's chat template; without a prompt, hold a conversation");
    app.add_option("--system", given.system, "The system message of a conversation")->type_name("TEXT");
    app.add_option("--messages", given.messages,
                   "A JSON file with the messages that a conversation begins with")
        ->type_name("FILE");
    app.add_option("--template", given.chat_template,
                   "The chat template: the name of one of the model's, or a file")
        ->type_name("NAME|FILE");
    app.add_option("--template-set", given.template_sets,
                   "A variable of the template: enable_thinking=false; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    app.add_flag("--print-prompt", given.print_prompt, "Print the text that the model would read, and stop");
    app.add_flag("--json", given.json, "Print a line of JSON per prompt in place of the text");
    app.add_option("--max-tokens", given.generation.max_tokens,
                   "Tokens of an answer at most; 0: as the context allows")
        ->check(CLI::NonNegativeNumber.description(""))
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--stop", given.generation.stop, "End the text in front of this one; may be repeated")
        ->type_name("TEXT")
        ->allow_extra_args(false);
    app.add_flag("--ignore-ends", given.generation.ignore_ends,
                 "Go on behind tokens that end a text, for measurements");
    app.add_option("--temperature", sampling.temperature, "Of sampling; 0 is greedy")
        ->type_name("T")
        ->capture_default_str();
    app.add_option("--top-k", sampling.top_k, "Sample from the K most likely tokens; 0: all")
        ->type_name("K")
        ->capture_default_str();
    app.add_option("--top-p", sampling.top_p,
                   "Sample from the most likely tokens that together have this probability")
        ->type_name("P")
        ->capture_default_str();
    app.add_option("--min-p", sampling.min_p,
                   "Sample from tokens with this share of the most likely one's probability")
        ->type_name("P")
        ->capture_default_str();
    app.add_option("--repetition-penalty", sampling.repetition_penalty,
                   "Make tokens that were there less likely; 1: not")
        ->type_name("X")
        ->capture_default_str();
    app.add_option("--seed", sampling.seed, "Of sampling: equal seeds give equal texts")
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--context", given.context,
                   "Most tokens of prompt and answer; as many as the model is made for if it is not given")
        ->check(CLI::PositiveNumber.description(""))
        ->type_name("N");
    app.add_option("--compute", given.compute, "auto, float32 or bfloat16")
        ->check(CLI::IsMember(compute_names).description(""))
        ->type_name("TYPE");
    app.add_option(
           "--products", given.products,
           "fast: packed weights by kernels on codes, activations in 8 bits; exact: as the weights decode")
        ->check(CLI::IsMember(product_names).description(""))
        ->type_name("KIND")
        ->capture_default_str();
    app.add_option("--cache", given.cache, "How keys and values are kept: float32, float16 or int8")
        ->check(CLI::IsMember(cache_names).description(""))
        ->type_name("TYPE")
        ->capture_default_str();
    app.add_option("--memory-limit", given.memory_limit, "Stop where more memory would be taken: 2G, 512M")
        ->type_name("SIZE");
    app.add_option("--threads", given.threads, "Threads; all cores if it is not given")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    if (const auto code = parse_arguments(app, argc, argv)) return *code;
    if (given.threads > 0) set_thread_count(given.threads);
    return generate(given);
}

}  // namespace

int main(int argc, char** argv) {
    catch_interrupts();
    return run_program("jlcm-generate", [&] { return run(argc, argv); });
}
