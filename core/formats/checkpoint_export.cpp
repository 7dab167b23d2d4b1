#include "core/formats/checkpoint_export.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/gguf.hpp"
#include "core/formats/gguf_export.hpp"
#include "core/formats/llama.hpp"
#include "core/formats/safetensors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

namespace jlcm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr float largest_f16 = 65504.0F;

/// The value of Transformers' torch_dtype.
const char* torch_name(Encoding encoding) {
    switch (encoding) {
        case Encoding::f32:
            return "float32";
        case Encoding::f16:
            return "float16";
        case Encoding::bf16:
            return "bfloat16";
        default:
            break;
    }
    fail("a model can be exported as F32, F16 or BF16, not as {}", name_of(encoding));
}

/// llama.cpp, llama.h, enum llama_ftype: what most values of a file are.
std::uint32_t gguf_file_type(const std::vector<TensorInfo>& tensors) {
    constexpr std::array<std::pair<Encoding, std::uint32_t>, 8> types{{{Encoding::f32, 0},
                                                                       {Encoding::f16, 1},
                                                                       {Encoding::q4_0, 2},
                                                                       {Encoding::q4_1, 3},
                                                                       {Encoding::q8_0, 7},
                                                                       {Encoding::q5_0, 8},
                                                                       {Encoding::q5_1, 9},
                                                                       {Encoding::bf16, 32}}};
    std::uint32_t most = 0;
    std::int64_t values = 0;
    for (const auto& [encoding, type] : types) {
        std::int64_t own = 0;
        for (const TensorInfo& each : tensors)
            if (each.encoding == encoding && each.shape.size() > 1) own += element_count(each.shape);
        if (own > values) {
            values = own;
            most = type;
        }
    }
    return most;
}

/// Of the parts of a tensor the encoding that they have in common; float32 holds what any of them does. Norms, routers and
/// positions are float32, as llama.cpp has them.
Encoding encoding_of(const GgufTensor& tensor, const EncodedTensors& tensors) {
    const std::string& name = tensor.info.name;
    const bool is_exact = name.ends_with("ffn_gate_inp.weight") || name == "position_embd.weight";
    if (tensor.parts.empty() || tensor.info.shape.size() == 1 || is_exact) return Encoding::f32;
    const Encoding first = tensors.encoding(tensor.parts.front());
    const bool is_common = std::ranges::all_of(
        tensor.parts, [&](const TensorInfo& part) { return tensors.encoding(part) == first; });
    return is_common ? first : Encoding::f32;
}

/// The completed configuration; an input error for a model that did not come as a language model.
json exportable(const Checkpoint& model) {
    require(!has_key(model.config, "model_type") || model.config.at("model_type") != "graph",
            "a model that came as ONNX cannot be exported: jlcm-eval and jlcm-run read the artifact");
    return complete_config(model.config);
}

void check(const TensorInfo& info, const Tensor& values) {
    require(values.shape() == info.shape, "tensor '{}' of shape {} where {} is exported", info.name,
            to_string(values.shape()), to_string(info.shape));
    if (info.encoding == Encoding::f16)
        require(std::ranges::all_of(values.values<float>(),
                                    [](float value) { return std::fabs(value) <= largest_f16; }),
                "tensor '{}' has values beyond the range of F16: export it as F32 or BF16", info.name);
}

/// The values as the file holds them.
Tensor joined(const FileTensor& tensor, const WeightValues& values) {
    Tensor all;
    if (tensor.parts.size() == 1) {
        all = values(tensor.parts.front());
    } else {
        std::vector<Tensor> parts;
        Shape shape = tensor.parts.front().shape;
        shape[0] = 0;
        for (const TensorInfo& part : tensor.parts) {
            parts.push_back(values(part));
            shape[0] += part.shape[0];
        }
        all = Tensor::empty(shape);
        auto out = all.values<float>().begin();
        for (std::int64_t head = 0; head < tensor.heads; ++head)
            for (const Tensor& part : parts) {
                const auto size = part.values<float>().size() / static_cast<std::size_t>(tensor.heads);
                const auto own = part.values<float>().subspan(static_cast<std::size_t>(head) * size, size);
                out = std::ranges::copy(own, out).out;
            }
    }
    if (!tensor.turned) return all;
    Tensor turned = Tensor::empty({all.cols(), all.rows()});
    for (std::int64_t row = 0; row < all.rows(); ++row)
        for (std::int64_t column = 0; column < all.cols(); ++column)
            turned.data<float>()[column * all.rows() + row] = all.data<float>()[row * all.cols() + column];
    return turned;
}

/// The bytes that a GGUF file holds, in the encoding of `info`: those of the parts one behind the other.
std::vector<std::byte> bytes_of(const GgufTensor& tensor, const TensorInfo& info,
                                const EncodedTensors& tensors) {
    std::vector<std::byte> all;
    for (TensorInfo part : tensor.parts) {
        part.encoding = info.encoding;
        const auto own = tensors.bytes(part);
        all.insert(all.end(), own.begin(), own.end());
    }
    if (const std::int64_t head = tensor.interleaved_head; head > 0)
        all = permute_rows({info, all}, rotary_rows_in_huggingface(info.shape.front(), head));
    if (tensor.offset == 0) return all;
    Tensor values = decode({info, all});
    for (float& value : values.values<float>()) value += static_cast<float>(tensor.offset);
    return encode(values.values<float>(), info.encoding);
}

}  // namespace

WeightValues stored_values(const Checkpoint& checkpoint) {
    return [&checkpoint](const TensorInfo& info) { return decode(checkpoint.tensor(info.name)); };
}

void write_huggingface_checkpoint(const fs::path& directory, const Checkpoint& model,
                                  const WeightValues& values, Encoding encoding) {
    json config = exportable(model);
    config["torch_dtype"] = torch_name(encoding);
    config.erase("dtype");  // its name in newer configurations
    const auto tokenizer = huggingface_tokenizer(model);

    const std::vector<FileTensor> tensors = file_tensors(config);
    std::vector<TensorInfo> infos;
    for (const FileTensor& tensor : tensors) {
        infos.push_back(tensor.info);
        infos.back().encoding = encoding;
    }
    auto file = begin_safetensors(directory / "model.safetensors", {{"format", "pt"}}, infos);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const Tensor whole = joined(tensors[i], values);
        check(infos[i], whole);
        file.write_values(whole.values<float>());
    }
    file.commit();

    for (const auto& [name, content] : tokenizer) write_file(directory / name, content);
    write_file(directory / "config.json", config.dump(2) + "\n");
}

EncodedTensors encoded_tensors(const WeightValues& values, Encoding encoding) {
    constexpr std::array possible{Encoding::f32, Encoding::f16, Encoding::bf16, Encoding::q8_0};
    require(std::ranges::find(possible, encoding) != possible.end(),
            "a model can be exported as F32, F16, BF16 or Q8_0, not as {}", name_of(encoding));
    return {.encoding =
                [encoding](const TensorInfo& info) {
                    if (info.shape.size() == 1) return Encoding::f32;
                    return info.shape.back() % block_values(encoding) == 0 ? encoding : Encoding::f16;
                },
            .bytes =
                [values](const TensorInfo& info) {
                    const Tensor own = values(info);
                    check(info, own);
                    return encode(own.values<float>(), info.encoding);
                }};
}

void write_gguf_checkpoint(const fs::path& path, const Checkpoint& model, const EncodedTensors& tensors,
                           TokenizerLoss loss) {
    GgufModel file_model = gguf_model(exportable(model));
    std::vector<TensorInfo> wanted;
    for (const GgufTensor& tensor : file_model.tensors) {
        wanted.push_back(tensor.info);
        wanted.back().encoding = encoding_of(tensor, tensors);
    }
    GgufMetadata& metadata = file_model.metadata;
    metadata.emplace_back("general.file_type",
                          GgufValue{GgufType::u32, GgufType::u32, gguf_file_type(wanted)});
    for (const auto* key : {"name", "license"})
        if (model.extra.contains(key) && model.extra.at(key).is_string())
            metadata.emplace_back(std::string("general.") + key,
                                  GgufValue{GgufType::string, GgufType::u32, model.extra.at(key)});
    for (auto& entry : gguf_tokenizer(model, loss)) metadata.push_back(std::move(entry));

    auto file = begin_gguf(path, metadata, wanted);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const GgufTensor& tensor = file_model.tensors[i];
        if (tensor.parts.empty())
            file.write_values(tensor.values);
        else
            file.write(bytes_of(tensor, wanted[i], tensors));
    }
    file.commit();
}

void write_gguf_checkpoint(const fs::path& path, const Checkpoint& model, const WeightValues& values,
                           Encoding encoding, TokenizerLoss loss) {
    write_gguf_checkpoint(path, model, encoded_tensors(values, encoding), loss);
}

}  // namespace jlcm
