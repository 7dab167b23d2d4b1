#include "core/formats/checkpoint.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/json.hpp"
#include "core/formats/safetensors.hpp"
#include "core/formats/tokenizer_folder.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace jlcm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Reads the files of a folder and keeps the digest of each.
class FolderReader {
  public:
    explicit FolderReader(fs::path directory) : directory_(std::move(directory)) {}

    [[nodiscard]] bool has(const std::string& name) const { return fs::is_regular_file(directory_ / name); }

    /// The files of a folder in it with that ending, by their path from here, in order.
    [[nodiscard]] std::vector<std::string> list(const std::string& inner, const std::string& ending) const {
        std::vector<std::string> names;
        if (!fs::is_directory(directory_ / inner)) return names;
        for (const auto& entry : fs::directory_iterator(directory_ / inner))
            if (entry.is_regular_file() && entry.path().extension() == ending)
                names.push_back(inner + "/" + entry.path().filename().string());
        std::ranges::sort(names);
        return names;
    }

    /// `body()`, its errors under the file's path.
    template <class Body>
    decltype(auto) within(const std::string& name, Body&& body) const {
        try {
            return body();
        } catch (const Error& error) {
            throw error.within((directory_ / name).string());
        }
    }
    std::shared_ptr<const MappedFile> map(const std::string& name) {
        auto file = std::make_shared<const MappedFile>(directory_ / name);
        digests_[name] = jlcm::sha256(*file);
        return file;
    }
    std::string text(const std::string& name) {
        const auto file = map(name);
        const auto bytes = file->bytes();
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // NOLINT: bytes to chars
    }
    json parse(const std::string& name) {
        const std::string content = text(name);
        return within(name, [&] { return parse_json(content); });
    }
    [[nodiscard]] std::string sha256() const {
        Sha256 all;
        for (const auto& [name, digest] : digests_) all.update(fmt::format("{}  {}\n", digest, name));
        return all.hex();
    }

  private:
    fs::path directory_;
    std::map<std::string, std::string> digests_;
};

constexpr const char* single_file = "model.safetensors";
constexpr const char* index_file = "model.safetensors.index.json";
constexpr const char* pickled_file = "pytorch_model.bin";
/// Tensors that share memory, which safetensors refuses, become copies.
constexpr const char* conversion =
    "python3 -c \"import torch, safetensors.torch as s; s.save_file({k: v.clone().contiguous() for k, v in "
    "torch.load('pytorch_model.bin', map_location='cpu', weights_only=True).items()}, 'model.safetensors', {'format': "
    "'pt'})\"";

/// The files of weights, each with the names of the tensors that it must hold (none named: any).
std::map<std::string, std::set<std::string>> weight_files(FolderReader& folder) {
    if (folder.has(single_file)) return {{single_file, {}}};
    folder.within("", [&] {
        require(
            !folder.has(pickled_file) || folder.has(index_file),
            "the weights are in {}, a pickle, which can run programs and is not read. PyTorch converts it, run in "
            "the folder: {}",
            pickled_file, conversion);
        require(folder.has(index_file),
                "neither {} nor {}: other formats of weights are not read; save the model as safetensors "
                "(transformers: save_pretrained)",
                single_file, index_file);
    });
    const json index = folder.parse(index_file);
    return folder.within(index_file, [&] {
        require(index.is_object() && index.contains("weight_map") && index.at("weight_map").is_object(),
                "no object 'weight_map'");
        std::map<std::string, std::set<std::string>> files;
        for (const auto& [tensor, file] : index.at("weight_map").items()) {
            require(file.is_string(), "the file of '{}' is not a string", tensor);
            const auto name = file.get<std::string>();
            require(fs::path(name).filename() == name && name != "." && name != "..",
                    "'{}' is not the name of a file beside the index", name);
            files[name].insert(tensor);
        }
        return files;
    });
}

void add_safetensors(Checkpoint& checkpoint, const Architecture& architecture,
                     const std::shared_ptr<const MappedFile>& file, const std::set<std::string>& expected) {
    std::set<std::string> missing = expected;
    const auto is_left_out = [&](const std::string& name) {
        missing.erase(name);
        return architecture.name(name, checkpoint.config).empty();
    };
    for (auto& tensor : parse_safetensors(file->bytes(), is_left_out).tensors) {
        missing.erase(tensor.name);
        require(expected.empty() || expected.contains(tensor.name),
                "the index does not list the tensor '{}' here", tensor.name);
        const std::string name = architecture.name(tensor.name, checkpoint.config);
        tensor.name = name;
        require(checkpoint.tensors.emplace(name, std::move(tensor)).second, "the tensor '{}' is in two files",
                name);
    }
    require(missing.empty(), "the index lists the tensor '{}' here, but the file lacks it",
            missing.empty() ? "" : *missing.begin());
    checkpoint.owners.push_back(file);
}

/// The tokenizer, of all files that say something of it; tokenizer.json stands for those of the vocabulary.
TokenizerSource huggingface_tokenizer(FolderReader& folder, const json& config) {
    static const std::set<std::string> replaced{"vocab.json", "merges.txt", "vocab.txt"};
    const bool is_complete = folder.has("tokenizer.json");
    TokenizerFiles files;
    for (const std::string name : tokenizer_file_names)
        if (folder.has(name) && !(is_complete && replaced.contains(name))) files[name] = folder.text(name);
    return folder.within("", [&] { return assemble_tokenizer(files, config); });
}

/// What a folder holds beside configuration and weights that an export has to hold again.
void add_files(Checkpoint& checkpoint, FolderReader& folder) {
    for (const auto* name :
         {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
          "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja",
          "chat_template.json", "generation_config.json"})
        if (folder.has(name)) checkpoint.files[name] = folder.text(name);
    for (const std::string& name : folder.list("additional_chat_templates", ".jinja"))
        checkpoint.files[name] = folder.text(name);
}

void add_extra(Checkpoint& checkpoint, FolderReader& folder) {
    json& extra = checkpoint.extra;
    for (const auto* name : {"generation_config", "tokenizer_config"})
        if (folder.has(std::string(name) + ".json")) extra[name] = folder.parse(std::string(name) + ".json");
    if (folder.has("chat_template.jinja")) {
        extra["chat_template"] = folder.text("chat_template.jinja");
    } else if (extra.contains("tokenizer_config") && extra["tokenizer_config"].contains("chat_template")) {
        extra["chat_template"] = extra["tokenizer_config"]["chat_template"];
    }
}

/// By ending.
std::map<std::string, CheckpointReader>& readers() {
    static std::map<std::string, CheckpointReader> instance;
    return instance;
}

}  // namespace

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

const StoredTensor& Checkpoint::tensor(const std::string& name) const {
    const auto found = tensors.find(name);
    require(found != tensors.end(), "the model has no tensor '{}'", name);
    return found->second;
}

Checkpoint read_huggingface_checkpoint(const fs::path& directory) {
    FolderReader folder(directory);
    Checkpoint checkpoint;
    const json config = folder.parse("config.json");
    ProblemList problems;
    const auto collect = [&](const auto& body) {
        try {
            body();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::input) throw;
            problems.add({}, error.what());
        }
    };
    const Architecture* architecture = nullptr;
    collect([&] {
        folder.within("config.json", [&] {
            architecture = &architecture_of(config);
            checkpoint.config = complete_config(config);
        });
    });
    std::map<std::string, std::set<std::string>> files;
    collect([&] { files = weight_files(folder); });
    throw_together(problems);
    for (const auto& weights : files)
        collect([&] {
            const auto file = folder.map(weights.first);
            folder.within(weights.first,
                          [&] { add_safetensors(checkpoint, *architecture, file, weights.second); });
        });
    throw_together(problems);
    folder.within("", [&] {
        arrange(checkpoint);
        check_tensors(checkpoint.config, checkpoint.tensors);
    });
    checkpoint.description = fmt::format("Hugging Face safetensors, {}{}", list_encodings(checkpoint.tensors),
                                         files.size() > 1 ? fmt::format(", {} files", files.size()) : "");
    checkpoint.tokenizer = huggingface_tokenizer(folder, config);
    add_files(checkpoint, folder);
    add_extra(checkpoint, folder);
    checkpoint.sha256 = folder.sha256();
    return checkpoint;
}

void require_no_choice(const ReadOptions& options) {
    require(options.outputs.empty(),
            "model.outputs: a language model has no outputs to choose from; leave the key out");
}

void add_checkpoint_reader(const std::string& ending, CheckpointReader reader) {
    readers().emplace(ending, reader);
}

Checkpoint read_checkpoint(const fs::path& path, const ReadOptions& options) {
    const bool is_folder = fs::is_directory(path);
    if (const auto reader = readers().find(path.extension().string());
        reader != readers().end() && !is_folder)
        return reader->second(path, options);
    require(is_folder || path.extension() != ".onnx",
            "{}: libjlcm_runtime alone reads no ONNX; use the whole of jlcm, or run an artifact made of it",
            path.string());
    require_no_choice(options);
    return is_folder ? read_huggingface_checkpoint(path) : read_gguf_checkpoint(path);
}

}  // namespace jlcm
