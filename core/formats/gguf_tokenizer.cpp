#include "core/formats/gguf_tokenizer.hpp"

#include "core/base/error.hpp"
#include "core/formats/config_keys.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

namespace jlcm {
namespace {

using nlohmann::json;

constexpr std::string_view prefix = "tokenizer.ggml.";
constexpr double largest_score = std::numeric_limits<float>::max();
constexpr const char* remedy =
    "the file is damaged or was written by a faulty converter; convert the model anew";

/// Names in "tokenizer.ggml.NAME_token_id"; "seperator" is the format's own spelling.
constexpr std::array special_names{"bos",       "eos",     "eot",     "eom",     "unknown",
                                   "seperator", "padding", "cls",     "mask",    "fim_pre",
                                   "fim_suf",   "fim_mid", "fim_pad", "fim_rep", "fim_sep"};

class Keys {
  public:
    Keys(const json& keys, ProblemList& problems) : keys_(keys), problems_(problems) {}

    template <class... Args>
    void problem(fmt::format_string<Args...> format, Args&&... args) {
        problems_.add({}, fmt::format("{}; {}", fmt::format(format, std::forward<Args>(args)...), remedy));
    }
    [[nodiscard]] const json* find(std::string_view name) const {
        const auto found = keys_.find(std::string(prefix) + std::string(name));
        return found == keys_.end() || found->is_null() ? nullptr : &*found;
    }
    std::optional<std::string> text(std::string_view name) {
        const json* value = find(name);
        if (value == nullptr) return std::nullopt;
        if (value->is_string()) return value->get<std::string>();
        problem("'{}{}' is not a string", prefix, name);
        return std::nullopt;
    }
    std::optional<bool> flag(std::string_view name) {
        const json* value = find(name);
        if (value == nullptr) return std::nullopt;
        if (value->is_boolean()) return value->get<bool>();
        problem("'{}{}' is not true or false", prefix, name);
        return std::nullopt;
    }
    /// The items of an array, each through `read`, which returns nothing for what is not as `expected`.
    template <class Item, class Read>
    std::vector<Item> items(std::string_view name, std::string_view expected, const Read& read) {
        const json* value = find(name);
        if (value == nullptr) return {};
        std::vector<Item> result;
        if (!value->is_array()) {
            problem("'{}{}' is not an array", prefix, name);
            return result;
        }
        result.reserve(value->size());
        for (const json& one : *value) {
            std::optional<Item> item = read(one);
            if (!item) {
                problem("'{}{}' has {} at place {}: expected {}", prefix, name, one.dump(), result.size(),
                        expected);
                return {};
            }
            result.push_back(std::move(*item));
        }
        return result;
    }
    std::vector<std::string> texts(std::string_view name) {
        return items<std::string>(name, "a string", [](const json& one) {
            return one.is_string() ? std::optional(one.get<std::string>()) : std::nullopt;
        });
    }

  private:
    const json& keys_;
    ProblemList& problems_;
};

void read_scores(Keys& keys, GgufTokenizer& result) {
    result.scores = keys.items<float>("scores", "a number", [](const json& one) {
        const bool fits = one.is_number() && std::fabs(one.get<double>()) <= largest_score;
        return fits ? std::optional(one.get<float>()) : std::nullopt;
    });
    const bool is_sentencepiece = result.model == "llama" || result.model == "t5";
    if (is_sentencepiece && keys.find("scores") == nullptr) {
        keys.problem("'{}scores' is missing, which says what is merged first", prefix);
    } else if (keys.find("scores") != nullptr && result.scores.size() != result.tokens.size()) {
        keys.problem("'{}scores' has {} scores for {} tokens", prefix, result.scores.size(),
                     result.tokens.size());
    }
}

void read_types(Keys& keys, GgufTokenizer& result) {
    if (keys.find("token_type") == nullptr) {
        result.types.assign(result.tokens.size(), TokenType::normal);
        return;
    }
    result.types = keys.items<TokenType>("token_type", "a whole number from 0 to 6", [](const json& one) {
        const bool fits = one.is_number_integer() && one >= 0 && one <= 6;
        return fits ? std::optional(static_cast<TokenType>(std::max(one.get<int>(), 1))) : std::nullopt;
    });
    if (result.types.size() != result.tokens.size())
        keys.problem("'{}token_type' has {} types for {} tokens", prefix, result.types.size(),
                     result.tokens.size());
}

void read_special_ids(Keys& keys, GgufTokenizer& result) {
    if (result.tokens.empty()) return;
    for (const char* name : special_names) {
        const std::string key = fmt::format("{}_token_id", name);
        const json* id = keys.find(key);
        if (id == nullptr) continue;
        const bool is_token = id->is_number_integer() && *id >= 0 && *id < result.tokens.size();
        if (is_token) {
            result.special_ids[name] = id->get<std::int32_t>();
        } else {
            // Some converters write -1, which is 4294967295 as the format's type, for a token that is not
            // there.
            keys.problem(
                "'{}{}' is {}, which is none of the {} tokens (a file leaves out a token that it lacks)",
                prefix, key, id->dump(), result.tokens.size());
        }
    }
}

}  // namespace

std::optional<std::int32_t> GgufTokenizer::special_id(const std::string& name) const {
    const auto found = special_ids.find(name);
    return found == special_ids.end() ? std::nullopt : std::optional(found->second);
}

GgufTokenizer read_gguf_tokenizer(const json& metadata, ProblemList& problems) {
    GgufTokenizer result;
    Keys keys(metadata, problems);
    if (!metadata.is_object()) {
        keys.problem("the tokenizer's keys are not an object");
        return result;
    }
    if (keys.find("model") == nullptr) keys.problem("'{}model' is missing", prefix);
    result.model = keys.text("model").value_or("");
    if (result.model != "gpt2" && result.model != "llama" && result.model != "t5") return result;
    result.pre = keys.text("pre");
    if (keys.find("tokens") == nullptr) keys.problem("'{}tokens' is missing", prefix);
    result.tokens = keys.texts("tokens");
    read_scores(keys, result);
    read_types(keys, result);
    if (result.model == "gpt2" && keys.find("merges") == nullptr)
        keys.problem("'{}merges' is missing", prefix);
    result.merges = keys.texts("merges");
    read_special_ids(keys, result);
    result.add_bos = keys.flag("add_bos_token");
    result.add_eos = keys.flag("add_eos_token");
    result.add_space_prefix = keys.flag("add_space_prefix");
    result.remove_extra_whitespaces = keys.flag("remove_extra_whitespaces").value_or(false);
    const auto bytes = keys.items<char>("precompiled_charsmap", "a byte", [](const json& one) {
        const bool fits = one.is_number_integer() && one >= -128 && one <= 255;
        return fits ? std::optional(static_cast<char>(one.get<int>())) : std::nullopt;
    });
    result.precompiled_charsmap.assign(bytes.begin(), bytes.end());
    result.sentencepiece_rules = keys.flag("sentencepiece_rules").value_or(false);
    return result;
}

GgufTokenizer read_gguf_tokenizer(const json& keys) {
    ProblemList problems;
    GgufTokenizer result = read_gguf_tokenizer(keys, problems);
    throw_together(problems);
    return result;
}

SentencePieceModel sentencepiece_model(const GgufTokenizer& tokenizer) {
    SentencePieceModel model;
    model.pieces = tokenizer.tokens;
    model.scores = tokenizer.scores;
    for (const TokenType type : tokenizer.types) model.types.push_back(static_cast<int>(type));
    model.is_byte_pair = tokenizer.model == "llama";
    model.is_unigram = tokenizer.model == "t5";
    model.add_dummy_prefix = tokenizer.add_space_prefix.value_or(model.is_byte_pair);  // llama.cpp's defaults
    model.remove_extra_whitespaces = tokenizer.remove_extra_whitespaces;
    model.precompiled_charsmap = tokenizer.precompiled_charsmap;
    model.unknown_id = tokenizer.special_id("unknown").value_or(model.is_unigram ? 2 : 0);
    model.bos_id = tokenizer.special_id("bos").value_or(-1);
    model.eos_id = tokenizer.special_id("eos").value_or(-1);
    model.pad_id = tokenizer.special_id("padding").value_or(-1);
    return model;
}

}  // namespace jlcm
