#include "core/formats/checkpoint.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/formats/gguf.hpp"
#include "core/formats/llama.hpp"

#include <set>
#include <utility>

namespace jlcm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// "Q4_1, F32, Q8_0": the encodings in order of the bytes that they take.
std::string list_encodings(const std::map<std::string, StoredTensor>& tensors) {
    std::map<Encoding, std::size_t> bytes;
    for (const auto& [name, tensor] : tensors) bytes[tensor.encoding] += tensor.bytes.size();
    std::set<std::pair<std::size_t, Encoding>> by_size;
    for (const auto& [encoding, size] : bytes) by_size.emplace(size, encoding);
    std::string text;
    for (auto one = by_size.rbegin(); one != by_size.rend(); ++one)
        text += fmt::format("{}{}", text.empty() ? "" : ", ", name_of(one->second));
    return text;
}

json gguf_tokenizer(const Gguf& gguf) {
    json keys = json::object();
    for (const auto& [key, value] : gguf.metadata)
        if (key.starts_with("tokenizer.ggml.")) keys[key] = value.value;
    return keys;
}

/// JSON text of values that came from a file's bytes.
std::string dump_text(const json& value) {
    try {
        return value.dump();
    } catch (const json::exception&) {
        fail("the tokenizer's metadata is not valid UTF-8");
    }
}

void add_gguf_tensors(Checkpoint& checkpoint, const Gguf& gguf) {
    for (StoredTensor tensor : gguf.tensors) {
        if (tensor.name == rotary_factors_name) continue;  // now in the configuration
        const std::string name = huggingface_name(tensor.name);
        require(!name.empty(), "the tensor '{}' is not part of a llama model", tensor.name);
        tensor.name = name;
        checkpoint.tensors.emplace(name, std::move(tensor));
    }
    check_llama_tensors(checkpoint.config, checkpoint.tensors);
    const auto head_dim = checkpoint.config.at("head_dim").get<std::int64_t>();
    for (auto& [name, tensor] : checkpoint.tensors) {
        if (!has_rotary_rows(name)) continue;
        auto bytes = std::make_shared<const std::vector<std::byte>>(
            permute_rows(tensor, rotary_rows_in_gguf(tensor.rows(), head_dim)));
        tensor.bytes = *bytes;
        checkpoint.owners.push_back(std::move(bytes));
    }
}

Checkpoint gguf_checkpoint(const std::shared_ptr<const MappedFile>& file) {
    const Gguf gguf = parse_gguf(file->bytes());
    Checkpoint checkpoint;
    checkpoint.owners.push_back(file);
    checkpoint.config = complete_llama_config(llama_config_from_gguf(gguf));
    add_gguf_tensors(checkpoint, gguf);
    if (const json tokenizer = gguf_tokenizer(gguf); !tokenizer.empty())
        checkpoint.tokenizer = {"gguf", dump_text(tokenizer)};
    for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
             {"general.name", "name"},
             {"general.license", "license"},
             {"tokenizer.chat_template", "chat_template"}})
        if (const auto found = gguf.metadata.find(from);
            found != gguf.metadata.end() && found->second.type == GgufType::string)
            checkpoint.extra[to] = found->second.value;
    checkpoint.description = fmt::format("GGUF v{}, {}", gguf.version, list_encodings(checkpoint.tensors));
    checkpoint.sha256 = sha256(file->bytes());
    return checkpoint;
}

}  // namespace

const StoredTensor& Checkpoint::tensor(const std::string& name) const {
    const auto found = tensors.find(name);
    require(found != tensors.end(), "the model has no tensor '{}'", name);
    return found->second;
}

Checkpoint read_gguf_checkpoint(const fs::path& path) {
    const auto file = std::make_shared<const MappedFile>(path);
    try {
        return gguf_checkpoint(file);
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

}  // namespace jlcm
