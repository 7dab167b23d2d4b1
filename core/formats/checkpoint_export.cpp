#include "core/formats/checkpoint_export.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/formats/architecture.hpp"
#include "core/formats/gguf.hpp"
#include "core/formats/gguf_export.hpp"
#include "core/formats/llama.hpp"
#include "core/formats/safetensors.hpp"

#include <algorithm>
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

/// llama.cpp, llama.h, enum llama_ftype.
std::uint32_t gguf_file_type(Encoding encoding) {
    switch (encoding) {
        case Encoding::f32:
            return 0;
        case Encoding::f16:
            return 1;
        case Encoding::bf16:
            return 32;
        case Encoding::q8_0:
            return 7;
        default:
            break;
    }
    fail("a model can be exported as F32, F16, BF16 or Q8_0, not as {}", name_of(encoding));
}

/// Of a tensor in a file of this encoding: norms, routers and positions stay exact, and rows that Q8_0's blocks do not fill are float16, as
/// llama.cpp has them.
Encoding gguf_encoding(const TensorInfo& info, Encoding encoding) {
    const Shape& shape = info.shape;
    const bool is_exact = info.name.ends_with("ffn_gate_inp.weight") || info.name == "position_embd.weight";
    if (shape.size() == 1 || is_exact) return Encoding::f32;
    const bool is_whole = shape.back() % block_values(encoding) == 0;
    return is_whole ? encoding : Encoding::f16;
}

/// The completed configuration; an input error for a model that did not come as a language model.
json exportable(const Checkpoint& model) {
    require(!has_key(model.config, "model_type") || model.config.at("model_type") != "graph",
            "a model that came as ONNX cannot be exported: jlcm-eval and jlcm-run read the artifact");
    return complete_config(model.config);
}

void write_tensor(TensorFileWriter& file, const TensorInfo& info, const Tensor& values) {
    require(values.shape() == info.shape, "tensor '{}' of shape {} where {} is exported", info.name,
            to_string(values.shape()), to_string(info.shape));
    const auto span = values.values<float>();
    if (info.encoding == Encoding::f16)
        require(std::all_of(span.begin(), span.end(),
                            [](float value) { return std::fabs(value) <= largest_f16; }),
                "tensor '{}' has values beyond the range of F16: export it as F32 or BF16", info.name);
    file.write_values(span);
}

Tensor reorder_rows(const Tensor& values, const std::vector<std::int64_t>& order) {
    const auto bytes = permute_rows({{"", values.shape(), Encoding::f32}, values.bytes()}, order);
    return decode({{"", values.shape(), Encoding::f32}, bytes});
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

/// The values as a GGUF file holds them.
Tensor values_of(const GgufTensor& tensor, const WeightValues& values) {
    Tensor all = joined({tensor.info, tensor.parts}, values);
    if (const std::int64_t head = tensor.interleaved_head; head > 0)
        all = reorder_rows(all, rotary_rows_in_huggingface(all.rows(), head));
    if (tensor.offset != 0) {
        all = all.clone();
        for (float& value : all.values<float>()) value += static_cast<float>(tensor.offset);
    }
    return all.reshape(tensor.info.shape);
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
    for (std::size_t i = 0; i < tensors.size(); ++i) write_tensor(file, infos[i], joined(tensors[i], values));
    file.commit();

    for (const auto& [name, content] : tokenizer) write_file(directory / name, content);
    write_file(directory / "config.json", config.dump(2) + "\n");
}

void write_gguf_checkpoint(const fs::path& path, const Checkpoint& model, const WeightValues& values,
                           Encoding encoding, TokenizerLoss loss) {
    GgufModel file_model = gguf_model(exportable(model));
    GgufMetadata& metadata = file_model.metadata;
    metadata.emplace_back("general.file_type",
                          GgufValue{GgufType::u32, GgufType::u32, gguf_file_type(encoding)});
    for (const auto* key : {"name", "license"})
        if (model.extra.contains(key) && model.extra.at(key).is_string())
            metadata.emplace_back(std::string("general.") + key,
                                  GgufValue{GgufType::string, GgufType::u32, model.extra.at(key)});
    for (auto& entry : gguf_tokenizer(model, loss)) metadata.push_back(std::move(entry));

    std::vector<TensorInfo> tensors;
    for (const GgufTensor& tensor : file_model.tensors) {
        tensors.push_back(tensor.info);
        tensors.back().encoding = gguf_encoding(tensor.info, encoding);
    }
    auto file = begin_gguf(path, metadata, tensors);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const GgufTensor& tensor = file_model.tensors[i];
        if (tensor.parts.empty())
            file.write_values(tensor.values);
        else
            write_tensor(file, tensors[i], values_of(tensor, values));
    }
    file.commit();
}

}  // namespace jlcm
