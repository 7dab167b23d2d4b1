#pragma once
// Everything that reads files, as functions of their bytes that end, or throw an input error, and do nothing
// else: what fuzz.cpp feeds, and what tests/unit/formats/test_fuzz_corpus.cpp feeds the corpus to.

#include "core/backend/packed_product.hpp"
#include "core/base/error.hpp"
#include "core/codebook/artifact.hpp"
#include "core/codebook/packed_model.hpp"
#include "core/data/choice_task.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/checkpoint.hpp"
#include "core/formats/gguf.hpp"
#include "core/formats/gzip.hpp"
#include "core/formats/json.hpp"
#include "core/formats/onnx.hpp"
#include "core/formats/onnx_model.hpp"
#include "core/formats/safetensors.hpp"
#include "core/formats/tokenizer_folder.hpp"
#include "core/generate/cached_decoder.hpp"
#include "core/generate/generation.hpp"
#include "core/graph/graph_json.hpp"
#include "core/spec/resolve.hpp"
#include "core/text/chat_template.hpp"
#include "core/text/tokenizer.hpp"
#include "core/text/utf8.hpp"
#include "core/vision/image_file.hpp"
#include "core/vision/image_sets.hpp"
#include "core/vision/preprocess.hpp"
#include "tests/support/guarded_bytes.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

namespace jlcm::fuzz {

using Bytes = std::span<const std::byte>;
using Reader = void (*)(Bytes);

inline std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The bytes under a path, for readers that open files themselves.
class MemoryFile {
  public:
    explicit MemoryFile(Bytes bytes) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
        if (descriptor_ < 0 || ::write(descriptor_, bytes.data(), bytes.size()) != std::ssize(bytes))
            std::abort();
    }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    ~MemoryFile() { ::close(descriptor_); }

    [[nodiscard]] std::filesystem::path path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

  private:
    int descriptor_;
};

inline void decode_all(const std::vector<StoredTensor>& tensors) {
    for (const StoredTensor& tensor : tensors)
        if (tensor.encoding != Encoding::u8 && tensor.encoding != Encoding::i32) (void)decode(tensor);
}

inline void read_safetensors(Bytes bytes) {
    decode_all(parse_safetensors(bytes).tensors);
}

inline void read_gguf(Bytes bytes) {
    decode_all(parse_gguf(bytes).tensors);
    (void)read_gguf_checkpoint(MemoryFile(bytes).path());
}

inline void read_onnx(Bytes bytes) {
    const MemoryFile file(bytes);
    const bool fold = bytes.size() % 2 == 0;
    const Checkpoint checkpoint = read_onnx_checkpoint(file.path(), {.fold_batch_norm = fold});
    (void)graph_from_json(checkpoint.config.at("graph"));
}

inline void read_artifact_file(Bytes bytes) {
    const MemoryFile file(bytes);
    (void)artifact_footprint(file.path());
    const Artifact artifact = read_artifact(file.path());
    for (const auto& [name, matrix] : artifact.matrices) (void)artifact.weights(name);
    for (const auto& [name, tensor] : artifact.tensors) (void)artifact.weights(name);
}

/// Every row decoded, and the product of two tokens by kernels on codes, if there is one.
inline void use_packed(const PackedWeight& weight) {
    std::vector<float> row(static_cast<std::size_t>(weight.cols()));
    std::vector<std::uint16_t> rounded(row.size());
    for (std::int64_t i = 0; i < weight.rows(); ++i) {
        weight.decode(i, i + 1, row.data());
        weight.decode_bfloat16(i, i + 1, rounded.data());
    }
    const CodedRows* codes = weight.codes();
    ensure((codes != nullptr) == weight.no_codes_reason().empty(), "a kernel, and a reason for none");
    if (codes == nullptr) return;
    constexpr std::int64_t tokens = 2;
    std::vector<float> x(static_cast<std::size_t>(tokens * weight.cols()), 0.5F);
    std::vector<float> y(static_cast<std::size_t>(tokens * weight.rows()));
    packed_product(*codes, quantise_activations(x.data(), tokens, weight.cols(), activation_order(*codes)),
                   y.data());
}

/// The weights of an artifact as they run.
inline void read_packed(Bytes bytes) {
    const MemoryFile file(bytes);
    const MappedArtifact artifact = map_artifact(file.path());
    for (const auto& [name, mapped] : artifact.matrices) {
        const test::GuardedBytes codes(std::as_bytes(mapped.codes));
        PackedMatrix matrix = mapped;
        // NOLINTNEXTLINE: bytes as unsigned integers
        matrix.codes = {reinterpret_cast<const std::uint8_t*>(codes.bytes().data()), codes.bytes().size()};
        use_packed(*make_packed_weight(std::move(matrix)));
    }
    for (const auto& [name, mapped] : artifact.tensors) {
        const test::GuardedBytes copied(mapped.bytes);
        StoredTensor tensor = mapped;
        tensor.bytes = copied.bytes();
        if (tensor.encoding == Encoding::u8 || tensor.encoding == Encoding::i32) continue;
        if (const auto weight = make_packed_weight(tensor)) use_packed(*weight);
    }
}

/// What jlcm-generate does with an artifact: a few tokens, by exact and by fast products.
inline void generate_from(Bytes bytes) {
    const MemoryFile file(bytes);
    const PackedModel model(map_artifact(file.path()));
    const ModelInput& input = model.input();
    require(input.tokenizer != nullptr, "the model reads no text");
    auto prompt = input.tokenizer->encode("hello, hello");
    prompt.resize(std::min<std::size_t>(prompt.size(), 12));
    for (const Products products : {Products::exact, Products::fast}) {
        const CacheType cache = products == Products::fast ? CacheType::int8 : CacheType::f16;
        CachedDecoder decoder(model, input,
                              {.compute = DType::f32, .cache = cache, .products = products, .context = 16},
                              cpu_backend());
        Generator generator(decoder, *input.tokenizer, {});
        (void)generator.generate(prompt, {.max_tokens = 3});
    }
}

inline void read_json(Bytes bytes) {
    const std::string again = parse_json(text_of(bytes)).dump();
    ensure(parse_json(again).dump() == again, "what was written reads as something else");
}

inline void read_config(Bytes bytes) {
    const nlohmann::json config = complete_config(parse_json(text_of(bytes)));
    ensure(complete_config(config) == config, "a completed configuration is completed further: {}",
           config.dump());
    if (transformer_config(config).layers <= 8) (void)file_tensors(config);
}

struct Section {
    bool flag = false;
    std::int64_t count = 1;
    void fields(Fields& v) {
        v("flag", flag, Doc{"A truth value."});
        v("count", count, Doc{"A whole number."}, Range{0, 100});
    }
};

/// A field of every type.
struct Spec {
    std::string name;
    double rate = 0.5;
    int number = 0;
    std::optional<double> limit;
    std::vector<std::string> words;
    std::vector<double> numbers;
    Section section;
    std::vector<Section> sections;
    std::optional<Section> more;
    Config anything;
    void fields(Fields& v) {
        v("name", name, Doc{"A text."});
        v("rate", rate, Doc{"A number."}, above(0));
        v("number", number, Doc{"A whole number."});
        v("limit", limit, Doc{"A number or none."});
        v("words", words, Doc{"Texts."});
        v("numbers", numbers, Doc{"Numbers."}, at_least(-1));
        v("section", section, Doc{"A section."});
        v("sections", sections, Doc{"Sections."});
        v("more", more, Doc{"A section or none."});
        v("anything", anything, Doc{"Any YAML."});
    }
};

inline void read_yaml(Bytes bytes) {
    const std::string_view text = text_of(bytes);
    Problems problems;
    const auto parse = [&](std::string_view yaml) { return parse_config(yaml, {"fuzz", 1, 1}, problems); };
    const auto config = parse(text);
    problems.throw_if_any();
    if (!config) return;
    const std::string written = to_yaml(*config);
    const auto again = parse(written);
    ensure(again && problems.count() == 0 && to_yaml(*again) == written,
           "what was written reads as something else: {}", written);
    (void)to_flow_yaml(*config);
    Config root = Config::map();
    apply_set(root, "section.count=3", problems);
    if (text.size() < 200) apply_set(root, text, problems);
    const Config given = config->kind == Config::Kind::map ? merged(root, *config) : root;
    const auto resolved = resolve<Spec>(given, problems);
    problems.throw_if_any();
    const std::string canonical = to_yaml(resolved.config);
    const auto same = parse(canonical);
    ensure(same && to_yaml(resolve<Spec>(*same, problems).config) == canonical,
           "a resolved spec reads as another one: {}", canonical);
}

inline void use_tokenizer(const TokenizerSource& source) {
    const auto tokenizer = make_tokenizer(source);
    const auto ids = tokenizer->encode("Hello, w\u00f6rld!  12\n\t\u4f60\u597d <s>\xff");
    ensure(std::ranges::all_of(ids, [&](auto id) { return id >= 0 && id < tokenizer->vocabulary_size(); }),
           "an id beyond the vocabulary");
    (void)tokenizer->decode(ids);
}

/// Files of a folder behind each other, each after a line "@@ NAME".
inline void read_tokenizer_folder(Bytes bytes) {
    constexpr std::string_view mark = "@@ ";
    TokenizerFiles files;
    for (std::string_view rest = text_of(bytes); rest.starts_with(mark);) {
        const std::size_t line = std::min(rest.find('\n'), rest.size());
        const std::string name(rest.substr(mark.size(), line - std::min(line, mark.size())));
        rest.remove_prefix(std::min(line + 1, rest.size()));
        const std::size_t end = std::min(rest.find("\n@@ "), rest.size());
        files[name] = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    const auto config = files.extract("config.json");
    std::erase_if(files, [](const auto& file) {
        return std::ranges::find(tokenizer_file_names, file.first) == tokenizer_file_names.end();
    });
    const auto source = assemble_tokenizer(files, config ? parse_json(config.mapped()) : nlohmann::json());
    if (!source.format.empty()) use_tokenizer(source);
}

/// JPEG and PNG.
inline void read_image(Bytes bytes) {
    const Image image = decode_image(bytes);
    if (image.height * image.width < 1 << 16) (void)resize(image, 7, 5, ResizeFilter::bicubic);
}

inline std::vector<std::byte> labels_for(Bytes images) {
    std::vector<std::byte> labels{std::byte{0}, std::byte{0}, std::byte{8}, std::byte{1}};
    labels.insert(labels.end(), images.begin() + 4, images.begin() + 8);
    labels.resize(8 + std::to_integer<std::size_t>(images[7]));
    return labels;
}

/// The first byte says which: c CIFAR-10; else IDX with a label for each image, packed by gzip under z.
inline void read_image_set(Bytes bytes) {
    if (bytes.empty()) return;
    const char kind = text_of(bytes).front();
    bytes = bytes.subspan(1);
    std::vector<std::byte> unpacked(bytes.begin(), bytes.end());
    if (kind == 'z') unpacked = gunzip(bytes, 1 << 20);
    if (kind != 'c' && unpacked.size() < 8) return;
    const ImageData data = kind == 'c' ? parse_cifar10(unpacked) : parse_idx(unpacked, labels_for(unpacked));
    for (std::int64_t i = 0; i < data.images->count(); ++i) (void)data.images->image(i);
}

inline void read_preprocess(Bytes bytes) {
    const Preprocess preprocess(parse_json(text_of(bytes)));
    const std::int64_t values = element_count(preprocess.shape());
    if (values > 1 << 16) return;
    const Image image{5, 6, 3, std::vector<std::uint8_t>(5 * 6 * 3, 100)};
    std::vector<float> sample(static_cast<std::size_t>(values));
    preprocess.apply(image, sample);
}

inline void read_labels(Bytes bytes) {
    const LabelledFiles listed = parse_labels(text_of(bytes), "labels.csv");
    ensure(listed.files.size() == listed.labels.size() && listed.files.size() == listed.lines.size(),
           "{} files and {} labels", listed.files.size(), listed.labels.size());
    for (const std::string& file : listed.files)
        ensure(std::filesystem::path("folder" / std::filesystem::path(file))
                   .lexically_normal()
                   .string()
                   .starts_with("folder/"),
               "'{}' leaves the folder", file);
}

inline void read_task(Bytes bytes) {
    const ChoiceTask task = parse_choice_task(text_of(bytes), "task", 0);
    for (const ChoiceItem& item : task.items) {
        ensure(item.choices.size() == item.continuations.size() &&
                   (item.contexts.size() == 1 || item.contexts.size() == item.choices.size()),
               "{} choices of {} contexts", item.choices.size(), item.contexts.size());
        ensure(item.gold >= 0 && item.gold < std::ssize(item.choices), "choice {} is right", item.gold);
    }
}

/// A template and its variables: JSON up to the first line "@@", if it is an object; or else a conversation.
inline void read_chat_template(Bytes bytes) {
    const std::string_view text = text_of(bytes);
    constexpr std::string_view mark = "\n@@\n";
    nlohmann::ordered_json variables = nlohmann::ordered_json::parse(
        R"({"messages": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Gr\u00fc\u00dfe"},
            {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.5}}}]}],
            "tools": null, "add_generation_prompt": true, "bos_token": "<s>", "n": 3, "l": [2, 1, [true]]})");
    std::string_view source = text;
    if (const std::size_t end = text.find(mark); end != std::string_view::npos) {
        (void)parse_json(text.substr(0, end));
        auto given = nlohmann::ordered_json::parse(text.substr(0, end));
        if (given.is_object()) variables = std::move(given);
        source = text.substr(end + mark.size());
    }
    const ChatTemplate parsed{std::string(source), "template"};
    constexpr std::size_t longest = 1 << 18;
    const std::string made = parsed.render(variables, 0, {.work = 1 << 20, .output = longest});
    ensure(made.size() <= longest && valid_utf8(made) == made,
           "the text of a template is too long, or no UTF-8");
}

/// By the names of the corpus's folders.
inline const std::map<std::string, Reader, std::less<>>& readers() {
    static const std::map<std::string, Reader, std::less<>> table{
        {"artifact", read_artifact_file},
        {"chat_template", read_chat_template},
        {"config", read_config},
        {"generation", generate_from},
        {"gguf", read_gguf},
        {"image", read_image},
        {"image_sets", read_image_set},
        {"json", read_json},
        {"labels", read_labels},
        {"onnx", read_onnx},
        {"packed", read_packed},
        {"preprocess", read_preprocess},
        {"safetensors", read_safetensors},
        {"task", read_task},
        {"tokenizer_gguf",
         [](Bytes bytes) {
             use_tokenizer({"gguf", std::string(text_of(bytes))});
         }},
        {"tokenizer_folder", read_tokenizer_folder},
        {"tokenizer_json",
         [](Bytes bytes) {
             use_tokenizer({"tokenizer.json", std::string(text_of(bytes))});
         }},
        {"tokenizer_sentencepiece",
         [](Bytes bytes) {
             use_tokenizer({"sentencepiece", std::string(text_of(bytes))});
         }},
        {"yaml", read_yaml},
    };
    return table;
}

}  // namespace jlcm::fuzz
