#pragma once
// Where the bytes of an artifact went: the figures behind "bits per weight" (method section 2).

#include "core/base/json.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace jlcm {

/// Bytes by what they are for.
struct Footprint {
    std::uint64_t mapping = 0;       ///< packed codes
    std::uint64_t codebooks = 0;     ///< codewords
    std::uint64_t scales = 0;        ///< scales and offsets of groups
    std::uint64_t runs = 0;          ///< (start, group) of runs of rows
    std::uint64_t permutation = 0;   ///< stored row orders
    std::uint64_t outliers = 0;      ///< sparse corrections with their indices
    std::uint64_t padding = 0;       ///< unused bits and bytes of any tensor
    std::uint64_t uncompressed = 0;  ///< tensors kept in an encoding of their own: embedding, head, norms
    std::uint64_t tokenizer = 0;
    std::uint64_t metadata = 0;  ///< the file's header: names, shapes, configuration, provenance

    Footprint& operator+=(const Footprint& other);
    /// What the compressed weights cost: everything but uncompressed, tokenizer and metadata.
    [[nodiscard]] std::uint64_t compressed() const {
        return mapping + codebooks + scales + runs + permutation + outliers + padding;
    }
    [[nodiscard]] std::uint64_t total() const { return compressed() + uncompressed + tokenizer + metadata; }
    /// An object of the fields by name.
    [[nodiscard]] nlohmann::json to_json() const;
};

struct TensorFootprint {
    std::string name;
    std::string kind;  ///< e.g. "2 bits", "Q8_0"
    std::int64_t weights = 0;
    bool compressed = false;
    Footprint bytes;
    [[nodiscard]] double bits_per_weight() const;
};

/// The bytes of one artifact file.
struct ArtifactFootprint {
    std::vector<TensorFootprint> tensors;  ///< by name
    Footprint bytes;                       ///< of the file; bytes.total() is its size
    std::int64_t weights = 0;              ///< of all tensors
    std::int64_t compressed_weights = 0;

    /// 8 * bytes.compressed() / compressed_weights; 0 where nothing is compressed.
    [[nodiscard]] double linear_bits_per_weight() const;
    /// 8 * file size / weights.
    [[nodiscard]] double file_bits_per_weight() const;
    [[nodiscard]] nlohmann::json to_json() const;
};

}  // namespace jlcm
