#pragma once
// Keys and values of tokens that an attention has read, kept for the tokens that follow.

#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace jlcm {

/// How cached keys and values are stored: as they are, in float16, or as 8-bit integers with a float32 scale per
/// token and head (the largest magnitude is 127 steps).
enum class CacheType : std::uint8_t { f32, f16, int8 };
[[nodiscard]] std::string_view name_of(CacheType type);

/// The shape of what a cache holds.
struct CacheShape {
    std::int64_t sequences = 1;
    std::int64_t heads = 0;  ///< key/value heads
    std::int64_t head_dim = 0;

    bool operator==(const CacheShape&) const = default;
    /// Bytes that `tokens` tokens of every sequence take, keys and values.
    [[nodiscard]] double bytes(CacheType type, std::int64_t tokens) const;
};

/// The cache of one attention. Memory is taken as tokens come, a page at a time; pages never move.
class KeyValueCache {
  public:
    static constexpr std::int64_t page_tokens = 256;

    explicit KeyValueCache(CacheType type) : type_(type) {}

    /// Appends keys and values [sequences, tokens, heads * head_dim], float32, behind the tokens there are.
    /// The first call settles the shape.
    void append(const CacheShape& shape, const Tensor& keys, const Tensor& values);
    /// Forgets all but the first `count` tokens.
    void keep(std::int64_t count);

    [[nodiscard]] std::int64_t tokens() const { return tokens_; }
    [[nodiscard]] CacheType type() const { return type_; }
    [[nodiscard]] const CacheShape& shape() const { return shape_; }

    /// Rows of one head in one page: head_dim elements of the cache's type per token, and a scale per token
    /// (int8 only).
    struct Rows {
        const std::byte* elements = nullptr;
        const float* scales = nullptr;
        std::int64_t count = 0;
    };
    enum class Part : std::uint8_t { keys, values };
    /// `page`: tokens page * page_tokens and on.
    [[nodiscard]] Rows rows(Part part, std::int64_t sequence, std::int64_t head, std::int64_t page) const;
    [[nodiscard]] std::int64_t pages() const { return (tokens_ + page_tokens - 1) / page_tokens; }

  private:
    struct Page {
        Tensor elements;  ///< uint8 [2, sequences, heads, page_tokens, head_dim * size of an element]
        Tensor scales;    ///< float32 [2, sequences, heads, page_tokens]; int8 only
    };
    [[nodiscard]] std::int64_t place(Part part, std::int64_t sequence, std::int64_t head) const {
        return ((part == Part::keys ? 0 : 1) * shape_.sequences + sequence) * shape_.heads + head;
    }
    void store(Page& page, std::int64_t row, const float* from);

    CacheType type_;
    CacheShape shape_;
    std::int64_t tokens_ = 0;
    std::vector<Page> pages_;
};

}  // namespace jlcm
