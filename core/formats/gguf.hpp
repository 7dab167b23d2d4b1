#pragma once
// GGUF, the file format of ggml and llama.cpp: typed metadata, then tensors.
// Specification: ggml, docs/gguf.md, versions 2 and 3, little-endian.

#include "core/base/json.hpp"
#include "core/formats/tensor_file.hpp"
#include "core/tensor/encoding.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jlcm {

/// Types of metadata; the numbers are the format's.
enum class GgufType : std::uint32_t {
    u8 = 0,
    i8 = 1,
    u16 = 2,
    i16 = 3,
    u32 = 4,
    i32 = 5,
    f32 = 6,
    boolean = 7,
    string = 8,
    array = 9,
    u64 = 10,
    i64 = 11,
    f64 = 12,
};

/// One metadata value. Strings are valid UTF-8.
struct GgufValue {
    GgufType type = GgufType::u32;
    GgufType element = GgufType::u32;  ///< of an array: the type of its elements, never an array
    nlohmann::json value;
};

/// A parsed file. Tensors are views of the bytes that were parsed, in the file's order, with row-major shapes
/// (the file lists dimensions innermost first).
struct Gguf {
    std::uint32_t version = 3;
    std::map<std::string, GgufValue> metadata;
    std::vector<StoredTensor> tensors;
};

/// Parses a whole file. Every count and offset is checked against `bytes` before it is used. Input errors:
/// another format or version, truncation, an unknown type (by name and number), duplicate or empty names,
/// misaligned, overlapping or out-of-range tensors, nested arrays, invalid UTF-8. Messages don't hold the
/// file's name: see Error::within.
[[nodiscard]] Gguf parse_gguf(std::span<const std::byte> bytes);

using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

/// Starts a version 3 file: metadata in the given order, tensors aligned to 32 bytes.
[[nodiscard]] TensorFileWriter begin_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                                          std::vector<TensorInfo> tensors);

}  // namespace jlcm
