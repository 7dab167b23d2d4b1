#pragma once
// Writing language models so that other programs can read them.

#include "core/formats/checkpoint.hpp"
#include "core/formats/tokenizer_conversion.hpp"
#include "core/tensor/encoding.hpp"
#include "core/tensor/tensor.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <vector>

namespace jlcm {

/// The float32 values of a tensor of the model (Hugging Face name), of exactly the shape asked for. Called
/// once a tensor, in file order, so that only one needs to be in memory.
using WeightValues = std::function<Tensor(const TensorInfo&)>;

/// The values that the checkpoint itself holds. `checkpoint` must outlive the result.
[[nodiscard]] WeightValues stored_values(const Checkpoint& checkpoint);

/// A Hugging Face folder: config.json, model.safetensors, the files about text (`huggingface_tokenizer`). Of
/// `model` the configuration, the tokenizer, `files` and `extra` are used, not the tensors. `encoding`: F32,
/// F16 or BF16; input error where a value is beyond its range. config.json is written last, so that a folder
/// that has it is whole.
void write_huggingface_checkpoint(const std::filesystem::path& directory, const Checkpoint& model,
                                  const WeightValues& values, Encoding encoding);

/// The tensors of a file in the encodings that they have there.
struct EncodedTensors {
    /// Of a tensor of the model (Hugging Face name, exact shape); one-dimensional ones are F32, as llama.cpp wants them.
    std::function<Encoding(const TensorInfo&)> encoding;
    /// The bytes in that encoding, which the info has. Called once a tensor, in file order.
    std::function<std::vector<std::byte>(const TensorInfo&)> bytes;
};

/// All in one encoding, F32, F16, BF16 or Q8_0; tensors whose rows are no multiple of its block are F16. Input error
/// where a value is beyond its range.
[[nodiscard]] EncodedTensors encoded_tensors(const WeightValues& values, Encoding encoding);

/// A GGUF file of architecture llama, the rows of query and key projections interleaved again. `loss`: what becomes of a
/// tokenizer that GGUF cannot say all of (`gguf_tokenizer`).
void write_gguf_checkpoint(const std::filesystem::path& path, const Checkpoint& model,
                           const EncodedTensors& tensors, TokenizerLoss loss = TokenizerLoss::refused);
/// Of `encoded_tensors`.
void write_gguf_checkpoint(const std::filesystem::path& path, const Checkpoint& model,
                           const WeightValues& values, Encoding encoding,
                           TokenizerLoss loss = TokenizerLoss::refused);

}  // namespace jlcm
