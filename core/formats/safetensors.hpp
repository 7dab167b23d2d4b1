#pragma once
// safetensors: a JSON header, then the tensors' bytes. Specification: huggingface/safetensors, README.md,
// "Format".

#include "core/formats/tensor_file.hpp"
#include "core/tensor/encoding.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace jlcm {

/// A parsed file. Tensors are views of the bytes that were parsed, in the order of their bytes.
struct Safetensors {
    std::map<std::string, std::string> metadata;
    std::vector<StoredTensor> tensors;
};

/// Parses a whole file. Input errors: a header beyond 100 MB or the file, bad JSON, duplicate names, dtypes
/// other than F32, F16, BF16, U8 and I32 (by name), sizes that don't fit shapes, gaps, overlaps, bytes
/// without a tensor. Messages don't hold the file's name: see Error::within. Tensors that `is_left_out` names
/// may be of any dtype and are not among the result's.
[[nodiscard]] Safetensors parse_safetensors(std::span<const std::byte> bytes,
                                            const std::function<bool(const std::string&)>& is_left_out = {});

/// The bytes in front of the tensors of a file that begin_safetensors starts.
[[nodiscard]] std::string safetensors_header(const std::map<std::string, std::string>& metadata,
                                             const std::vector<TensorInfo>& tensors);

/// Starts a file whose tensors follow each other without gaps, as the format wants: put wide types first and
/// they stay aligned. The same arguments give the same bytes.
[[nodiscard]] TensorFileWriter begin_safetensors(const std::filesystem::path& path,
                                                 const std::map<std::string, std::string>& metadata,
                                                 std::vector<TensorInfo> tensors);

}  // namespace jlcm
