#include "core/formats/gguf_pre_tokenizer.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <optional>

namespace jlcm {
namespace {

using nlohmann::json;

const std::vector<GgufPreTokenizer>& known_pre_tokenizers() {
    static const char* const llama3 =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    static const char* const qwen2 =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    static const std::vector<GgufPreTokenizer> known = {
        {{"gpt-2", "phi-2", "mpt", "olmo", "roberta-bpe"}, {gpt2_pattern}},
        {{"smollm", "starcoder", "refact", "command-r", "codeshell"}, {R"(\p{N})", gpt2_pattern}},
        {{"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral-bpe"}, {llama3}, true},
        {{"smaug-bpe", "dbrx"}, {llama3}},
        {{"qwen2", "deepseek-r1-qwen"}, {qwen2}},
        // What llama.cpp falls back to if a file names none.
        {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", gpt2_pattern, R"(\p{N}+)", R"([0-9][0-9][0-9])"}},
    };
    return known;
}

std::string text_at(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool flag_at(const json& object, const char* key, bool otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

/// Adds the patterns of one step, or of a sequence of them; false for what cannot be said by patterns alone.
bool add_patterns(const json& step, std::vector<std::string>& patterns) {
    if (!step.is_object()) return false;
    const std::string type = text_at(step, "type");
    if (type == "Sequence") {
        const auto parts = step.find("pretokenizers");
        return parts != step.end() && parts->is_array() &&
               std::ranges::all_of(*parts, [&](const json& part) { return add_patterns(part, patterns); });
    }
    if (type == "ByteLevel") {
        if (flag_at(step, "use_regex", true)) patterns.emplace_back(gpt2_pattern);
        return !flag_at(step, "add_prefix_space", true);
    }
    if (type == "Digits") {
        patterns.emplace_back(flag_at(step, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
        return true;
    }
    const auto pattern = step.find("pattern");
    if (type != "Split" || pattern == step.end()) return false;
    patterns.push_back(text_at(*pattern, "Regex"));
    return !patterns.back().empty() && text_at(step, "behavior") == "Isolated" &&
           !flag_at(step, "invert", false);
}

}  // namespace

const char* const gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

const GgufPreTokenizer& gguf_pre_tokenizer(std::string_view name) {
    std::string all;
    for (const GgufPreTokenizer& known : known_pre_tokenizers()) {
        if (std::ranges::find(known.names, name) != known.names.end()) return known;
        all += fmt::format("{}{}", all.empty() ? "" : ", ", fmt::join(known.names, ", "));
    }
    fail("the pre-tokenizer \"{}\" (tokenizer.ggml.pre) is not implemented; there are {}", name, all);
}

std::string gguf_pre_tokenizer_name(const json& steps, bool ignore_merges) {
    std::vector<std::string> patterns;
    if (!add_patterns(steps, patterns)) return "";
    for (const GgufPreTokenizer& known : known_pre_tokenizers())
        if (known.patterns == patterns && known.ignore_merges == ignore_merges)
            return std::string(known.names.front());
    return "";
}

json pre_tokenizer_steps(const GgufPreTokenizer& pre_tokenizer) {
    json steps = json::array();
    for (const std::string& pattern : pre_tokenizer.patterns)
        steps.push_back({{"type", "Split"},
                         {"pattern", {{"Regex", pattern}}},
                         {"behavior", "Isolated"},
                         {"invert", false}});
    steps.push_back(
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
    return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

}  // namespace jlcm
