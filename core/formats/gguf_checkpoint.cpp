// Models that come as GGUF, in one file or in several.

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/formats/gguf.hpp"
#include "core/formats/gguf_families.hpp"
#include "core/formats/gguf_tokenizer.hpp"

#include <charconv>
#include <optional>
#include <set>
#include <utility>

namespace jlcm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::int64_t most_parts = 99999;

/// A whole number of the metadata; an input error for anything else.
std::optional<std::int64_t> whole_number(const Gguf& gguf, const std::string& key) {
    const auto found = gguf.metadata.find(key);
    if (found == gguf.metadata.end()) return std::nullopt;
    const json& value = found->second.value;
    require(value.is_number_integer() && value >= 0 && value <= std::int64_t{1} << 40,
            "metadata '{}' is {}: expected a whole number", key, value.dump());
    return value.get<std::int64_t>();
}

/// A part's name: "NAME-00002-of-00003.gguf" (llama.cpp, llama_split_path).
fs::path part_path(const fs::path& stem, std::int64_t part, std::int64_t parts) {
    return fmt::format("{}-{:05}-of-{:05}.gguf", stem.string(), part + 1, parts);
}

/// The name without "-00002-of-00003.gguf".
fs::path split_stem(const fs::path& path, std::int64_t part, std::int64_t parts) {
    const std::string name = path.string();
    const std::string ending = part_path("", part, parts).string();
    require(name.ends_with(ending),
            "the file is part {} of {} of a split model: its name has to end in '{}', that of "
            "the other parts likewise",
            part + 1, parts, ending);
    return name.substr(0, name.size() - ending.size());
}

struct GgufFile {
    fs::path path;
    std::shared_ptr<const MappedFile> file;
    Gguf gguf;
};

GgufFile open_gguf(const fs::path& path) {
    auto file = std::make_shared<const MappedFile>(path);
    try {
        Gguf gguf = parse_gguf(file->bytes());
        return {path, std::move(file), std::move(gguf)};
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

/// The parts of a model in their order, of which `one` is any.
std::vector<GgufFile> all_parts(const GgufFile& one) {
    const std::int64_t parts = whole_number(one.gguf, "split.count").value_or(1);
    std::vector<GgufFile> result;
    if (parts <= 1) {
        result.push_back(one);
        return result;
    }
    require(parts <= most_parts, "metadata 'split.count' is {}: expected at most {}", parts, most_parts);
    const std::int64_t own = whole_number(one.gguf, "split.no").value_or(parts);
    require(own < parts, "metadata 'split.no' has to say which of the {} parts the file is", parts);
    const fs::path stem = split_stem(one.path, own, parts);
    std::vector<std::string> missing;
    for (std::int64_t part = 0; part < parts && missing.size() < 10; ++part)
        if (const fs::path path = part_path(stem, part, parts); !fs::is_regular_file(path))
            missing.push_back(path.filename().string());
    require(missing.empty(), "the file is part {} of {}; beside it {} missing: {}", own + 1, parts,
            missing.size() == 1 ? "one is" : "some are", fmt::join(missing, ", "));
    for (std::int64_t part = 0; part < parts; ++part) {
        GgufFile next = open_gguf(part_path(stem, part, parts));
        const auto number = whole_number(next.gguf, "split.no");
        const auto count = whole_number(next.gguf, "split.count");
        require(number == part && count == parts, "'{}' says of itself that it is part {} of {}",
                next.path.filename().string(), number ? std::to_string(*number + 1) : "?",
                count ? std::to_string(*count) : "?");
        result.push_back(std::move(next));
    }
    return result;
}

/// One description of all parts: the first one's metadata, everybody's tensors.
Gguf joined(const std::vector<GgufFile>& parts) {
    Gguf whole = parts.front().gguf;
    std::set<std::string> names;
    for (const StoredTensor& tensor : whole.tensors) names.insert(tensor.name);
    for (std::size_t i = 1; i < parts.size(); ++i)
        for (const StoredTensor& tensor : parts[i].gguf.tensors) {
            require(names.insert(tensor.name).second, "the tensor '{}' is in two parts", tensor.name);
            whole.tensors.push_back(tensor);
        }
    if (const auto count = whole_number(whole, "split.tensors.count"); count && parts.size() > 1)
        require(*count == std::ssize(whole.tensors),
                "metadata 'split.tensors.count' is {}, but the {} parts hold {} tensors: some "
                "part is of another model",
                *count, parts.size(), whole.tensors.size());
    return whole;
}

json tokenizer_keys(const Gguf& gguf) {
    json keys = json::object();
    for (const auto& [key, value] : gguf.metadata)
        if (key.starts_with("tokenizer.ggml.")) keys[key] = value.value;
    return keys;
}

std::string text_of(const Gguf& gguf, const std::string& key) {
    const auto found = gguf.metadata.find(key);
    const bool is_text = found != gguf.metadata.end() && found->second.type == GgufType::string;
    return is_text ? found->second.value.get<std::string>() : "";
}

/// Name, license and chat templates: what is called tokenizer.chat_template.NAME has a name of its own.
void add_extra(Checkpoint& checkpoint, const Gguf& gguf) {
    json& extra = checkpoint.extra;
    for (const auto& [from, to] : {std::pair{"general.name", "name"}, std::pair{"general.license", "license"},
                                   std::pair{"tokenizer.chat_template", "chat_template"}})
        if (std::string text = text_of(gguf, from); !text.empty()) extra[to] = std::move(text);
    constexpr std::string_view named = "tokenizer.chat_template.";
    for (const auto& [key, value] : gguf.metadata)
        if (key.starts_with(named) && value.type == GgufType::string)
            extra["chat_templates"][key.substr(named.size())] = value.value;
}

Checkpoint checkpoint_of(const std::vector<GgufFile>& parts) {
    const Gguf gguf = joined(parts);
    Checkpoint checkpoint;
    for (const GgufFile& part : parts) checkpoint.owners.push_back(part.file);
    ProblemList problems;
    checkpoint.config = config_from_gguf(gguf, problems);
    if (const json keys = tokenizer_keys(gguf); !keys.empty()) {
        const std::string kind = read_gguf_tokenizer(keys, problems).model;
        const bool is_none = kind == "no_vocab" || kind == "none";  // the `gguf` package, llama.cpp
        if (!is_none) checkpoint.tokenizer = {"gguf", keys.dump()};
    }
    throw_together(problems);
    add_gguf_tensors(checkpoint, gguf);
    add_extra(checkpoint, gguf);
    checkpoint.description = fmt::format("GGUF v{}, {}{}", gguf.version, list_encodings(checkpoint.tensors),
                                         parts.size() > 1 ? fmt::format(", {} files", parts.size()) : "");
    if (parts.size() == 1) {
        checkpoint.sha256 = sha256(*parts.front().file);
    } else {
        Sha256 all;
        for (const GgufFile& part : parts)
            all.update(fmt::format("{}  {}\n", sha256(*part.file), part.path.filename().string()));
        checkpoint.sha256 = all.hex();
    }
    return checkpoint;
}

}  // namespace

Checkpoint read_gguf_checkpoint(const fs::path& path) {
    const GgufFile file = open_gguf(path);
    try {
        return checkpoint_of(all_parts(file));
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

}  // namespace jlcm
