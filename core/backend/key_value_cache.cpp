#include "core/backend/key_value_cache.hpp"

#include "core/base/half.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace jlcm {
namespace {

std::int64_t element_bytes(CacheType type) {
    switch (type) {
        case CacheType::f32:
            return 4;
        case CacheType::f16:
            return 2;
        case CacheType::int8:
            break;
    }
    return 1;
}

}  // namespace

std::string_view name_of(CacheType type) {
    switch (type) {
        case CacheType::f32:
            return "float32";
        case CacheType::f16:
            return "float16";
        case CacheType::int8:
            break;
    }
    return "int8";
}

double CacheShape::bytes(CacheType type, std::int64_t tokens) const {
    const std::int64_t row = head_dim * element_bytes(type) + (type == CacheType::int8 ? 4 : 0);
    return 2.0 * static_cast<double>(sequences * heads * row) * static_cast<double>(tokens);
}

void KeyValueCache::append(const CacheShape& shape, const Tensor& keys, const Tensor& values) {
    ensure(tokens_ == 0 || shape == shape_, "a cache of {} sequences, {} heads of {} takes others",
           shape_.sequences, shape_.heads, shape_.head_dim);
    if (shape != shape_) pages_.clear();
    shape_ = shape;
    const std::int64_t width = shape.heads * shape.head_dim;
    const std::int64_t count = keys.size() / (shape.sequences * width);
    ensure(keys.dtype() == DType::f32 && values.dtype() == DType::f32 && keys.shape() == values.shape() &&
               keys.size() == shape.sequences * count * width,
           "keys {} and values {} for a cache of {} sequences", shown(keys.shape()), shown(values.shape()),
           shape.sequences);
    for (std::int64_t token = 0; token < count; ++token) {
        const std::int64_t position = tokens_ + token;
        const auto page_index = static_cast<std::size_t>(position / page_tokens);
        if (page_index == pages_.size()) {
            const std::int64_t rows = 2 * shape.sequences * shape.heads * page_tokens;
            pages_.push_back({Tensor::empty({rows, shape.head_dim * element_bytes(type_)}, DType::u8),
                              type_ == CacheType::int8 ? Tensor::empty({rows}) : Tensor()});
        }
        Page& page = pages_[page_index];
        for (const Part part : {Part::keys, Part::values}) {
            const float* from = (part == Part::keys ? keys : values).data<float>();
            for (std::int64_t sequence = 0; sequence < shape.sequences; ++sequence)
                for (std::int64_t head = 0; head < shape.heads; ++head)
                    store(page, place(part, sequence, head) * page_tokens + position % page_tokens,
                          from + (sequence * count + token) * width + head * shape.head_dim);
        }
    }
    tokens_ += count;
}

void KeyValueCache::store(Page& page, std::int64_t row, const float* from) {
    const std::int64_t n = shape_.head_dim;
    auto* to = page.elements.data<std::uint8_t>() + row * n * element_bytes(type_);
    if (type_ == CacheType::f32) {
        std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
    } else if (type_ == CacheType::f16) {
        for (std::int64_t i = 0; i < n; ++i) {
            const std::uint16_t bits = f16_from_float(from[i]);
            std::memcpy(to + 2 * i, &bits, sizeof bits);
        }
    } else {
        float largest = 0;
        bool finite = true;
        for (std::int64_t i = 0; i < n; ++i) {
            largest = std::max(largest, std::abs(from[i]));
            finite = finite && std::isfinite(from[i]);
        }
        constexpr float steps = 127;
        const float scale = finite ? largest / steps : std::numeric_limits<float>::quiet_NaN();
        page.scales.data<float>()[row] = scale;
        for (std::int64_t i = 0; i < n; ++i) {
            const float q = finite && scale > 0 ? std::nearbyint(from[i] / scale) : 0;
            to[i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(std::clamp(q, -steps, steps)));
        }
    }
}

void KeyValueCache::keep(std::int64_t count) {
    ensure(count >= 0 && count <= tokens_, "{} of {} cached tokens are kept", count, tokens_);
    tokens_ = count;
    pages_.resize(static_cast<std::size_t>(pages()));
}

KeyValueCache::Rows KeyValueCache::rows(Part part, std::int64_t sequence, std::int64_t head,
                                        std::int64_t page) const {
    const Page& from = pages_.at(static_cast<std::size_t>(page));
    const std::int64_t row = place(part, sequence, head) * page_tokens;
    return {from.elements.bytes().data() + row * shape_.head_dim * element_bytes(type_),
            from.scales.defined() ? from.scales.data<float>() + row : nullptr,
            std::min(page_tokens, tokens_ - page * page_tokens)};
}

}  // namespace jlcm
