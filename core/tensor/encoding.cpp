#include "core/tensor/encoding.hpp"

#include "core/base/error.hpp"
#include "core/base/half.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>

namespace jlcm {
namespace {

using Byte = std::uint8_t;

constexpr std::int64_t conversion_grain = 1 << 15;  ///< values a chunk

std::uint16_t load_u16(const Byte* in) {
    std::uint16_t value = 0;
    std::memcpy(&value, in, sizeof value);
    return value;
}

std::uint32_t load_u32(const Byte* in) {
    std::uint32_t value = 0;
    std::memcpy(&value, in, sizeof value);
    return value;
}

float load_f16(const Byte* in) {
    return float_from_f16(load_u16(in));
}

// One block each: ggml-quants.c, dequantize_row_*. The order of the floating-point operations is the
// reference's.

void decode_f16(const Byte* in, float* out) {
    *out = load_f16(in);
}
void decode_bf16(const Byte* in, float* out) {
    *out = float_from_bf16(load_u16(in));
}

void decode_q4_0(const Byte* in, float* out) {
    const float scale = load_f16(in);
    for (int i = 0; i < 16; ++i) {
        out[i] = static_cast<float>((in[2 + i] & 15) - 8) * scale;
        out[i + 16] = static_cast<float>((in[2 + i] >> 4) - 8) * scale;
    }
}

void decode_q4_1(const Byte* in, float* out) {
    const float scale = load_f16(in);
    const float minimum = load_f16(in + 2);
    for (int i = 0; i < 16; ++i) {
        out[i] = static_cast<float>(in[4 + i] & 15) * scale + minimum;
        out[i + 16] = static_cast<float>(in[4 + i] >> 4) * scale + minimum;
    }
}

/// The fifth bit of value i, at its place.
int fifth_bit(std::uint32_t bits, int i) {
    return static_cast<int>((bits >> i) & 1U) << 4;
}

void decode_q5_0(const Byte* in, float* out) {
    const float scale = load_f16(in);
    const std::uint32_t high = load_u32(in + 2);
    for (int i = 0; i < 16; ++i) {
        out[i] = static_cast<float>(((in[6 + i] & 15) | fifth_bit(high, i)) - 16) * scale;
        out[i + 16] = static_cast<float>(((in[6 + i] >> 4) | fifth_bit(high, i + 16)) - 16) * scale;
    }
}

void decode_q5_1(const Byte* in, float* out) {
    const float scale = load_f16(in);
    const float minimum = load_f16(in + 2);
    const std::uint32_t high = load_u32(in + 4);
    for (int i = 0; i < 16; ++i) {
        out[i] = static_cast<float>((in[8 + i] & 15) | fifth_bit(high, i)) * scale + minimum;
        out[i + 16] = static_cast<float>((in[8 + i] >> 4) | fifth_bit(high, i + 16)) * scale + minimum;
    }
}

void decode_q8_0(const Byte* in, float* out) {
    const float scale = load_f16(in);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(in[2 + i])) * scale;
}

void decode_q2_k(const Byte* in, float* out) {
    const Byte* scales = in;
    const Byte* quants = in + 16;
    const float scale = load_f16(in + 80);
    const float minimum = load_f16(in + 82);
    for (int group = 0; group < 16; ++group) {  // 16 values each
        const float group_scale = scale * static_cast<float>(scales[group] & 15);
        const float group_minimum = minimum * static_cast<float>(scales[group] >> 4);
        const Byte* bytes = quants + 32 * (group / 8) + 16 * (group % 2);
        const int shift = 2 * (group % 8 / 2);
        for (int i = 0; i < 16; ++i)
            out[16 * group + i] = group_scale * static_cast<float>((bytes[i] >> shift) & 3) - group_minimum;
    }
}

void decode_q3_k(const Byte* in, float* out) {
    const Byte* high_bits = in;
    const Byte* quants = in + 32;
    const Byte* scales = in + 96;  // sixteen of 6 bits: 8 bytes of low nibbles, 4 bytes of high pairs
    const float scale = load_f16(in + 108);
    for (int group = 0; group < 16; ++group) {
        const int low = (scales[group % 8] >> (4 * (group / 8))) & 15;
        const int high = (scales[8 + group % 4] >> (2 * (group / 4))) & 3;
        const float group_scale = scale * static_cast<float>((low | (high << 4)) - 32);
        const Byte* bytes = quants + 32 * (group / 8) + 16 * (group % 2);
        const Byte* mask = high_bits + 16 * (group % 2);
        const int shift = 2 * (group % 8 / 2);
        const int bit = group / 2;
        for (int i = 0; i < 16; ++i) {
            const int value = ((bytes[i] >> shift) & 3) - (((mask[i] >> bit) & 1) != 0 ? 0 : 4);
            out[16 * group + i] = group_scale * static_cast<float>(value);
        }
    }
}

struct ScaleMinimum {
    int scale = 0;
    int minimum = 0;
};

/// The 6-bit scale and minimum of sub-block j of q4_k and q5_k: get_scale_min_k4.
ScaleMinimum scale_minimum(const Byte* packed, int j) {
    if (j < 4) return {packed[j] & 63, packed[j + 4] & 63};
    return {(packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4),
            (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4)};
}

void decode_q4_k(const Byte* in, float* out) {
    const float scale = load_f16(in);
    const float minimum = load_f16(in + 2);
    for (int group = 0; group < 8; ++group) {  // 32 values each
        const auto packed = scale_minimum(in + 4, group);
        const float group_scale = scale * static_cast<float>(packed.scale);
        const float group_minimum = minimum * static_cast<float>(packed.minimum);
        const Byte* bytes = in + 16 + 32 * (group / 2);
        const int shift = 4 * (group % 2);
        for (int i = 0; i < 32; ++i)
            out[32 * group + i] = group_scale * static_cast<float>((bytes[i] >> shift) & 15) - group_minimum;
    }
}

void decode_q5_k(const Byte* in, float* out) {
    const float scale = load_f16(in);
    const float minimum = load_f16(in + 2);
    const Byte* high_bits = in + 16;
    for (int group = 0; group < 8; ++group) {
        const auto packed = scale_minimum(in + 4, group);
        const float group_scale = scale * static_cast<float>(packed.scale);
        const float group_minimum = minimum * static_cast<float>(packed.minimum);
        const Byte* bytes = in + 48 + 32 * (group / 2);
        const int shift = 4 * (group % 2);
        for (int i = 0; i < 32; ++i) {
            const int value = ((bytes[i] >> shift) & 15) | (((high_bits[i] >> group) & 1) << 4);
            out[32 * group + i] = group_scale * static_cast<float>(value) - group_minimum;
        }
    }
}

void decode_q6_k(const Byte* in, float* out) {
    const Byte* high_bits = in + 128;
    const Byte* scales = in + 192;
    const float scale = load_f16(in + 208);
    for (int group = 0; group < 16; ++group) {
        const float group_scale = scale * static_cast<float>(static_cast<std::int8_t>(scales[group]));
        const int half = group / 8;     // 128 values
        const int quarter = group % 8;  // 16 values of them
        const Byte* bytes = in + 64 * half + 16 * (quarter % 4);
        const Byte* high = high_bits + 32 * half + 16 * (quarter % 2);
        const int shift = 4 * (quarter / 4);
        const int high_shift = 2 * (quarter / 2);
        for (int i = 0; i < 16; ++i) {
            const int value = (((bytes[i] >> shift) & 15) | (((high[i] >> high_shift) & 3) << 4)) - 32;
            out[16 * group + i] = group_scale * static_cast<float>(value);
        }
    }
}

using DecodeBlocks = void (*)(const Byte* in, std::int64_t blocks, float* out);

template <auto decode_block, int values, int bytes>
void decode_each(const Byte* in, std::int64_t blocks, float* out) {
    for (std::int64_t i = 0; i < blocks; ++i) decode_block(in + i * bytes, out + i * values);
}

void copy_f32(const Byte* in, std::int64_t blocks, float* out) {
    std::memcpy(out, in, static_cast<std::size_t>(blocks) * sizeof(float));
}

struct Layout {
    Encoding encoding;
    std::string_view name;
    std::int64_t values;
    std::size_t bytes;
    DecodeBlocks decode;  ///< null: holds integers
};

template <auto decode_block, int values, int bytes>
constexpr Layout layout(Encoding encoding, std::string_view name) {
    return {encoding, name, values, bytes, decode_each<decode_block, values, bytes>};
}

constexpr std::array layouts{
    Layout{Encoding::f32, "F32", 1, 4, copy_f32},
    layout<decode_f16, 1, 2>(Encoding::f16, "F16"),
    layout<decode_bf16, 1, 2>(Encoding::bf16, "BF16"),
    layout<decode_q4_0, 32, 18>(Encoding::q4_0, "Q4_0"),
    layout<decode_q4_1, 32, 20>(Encoding::q4_1, "Q4_1"),
    layout<decode_q5_0, 32, 22>(Encoding::q5_0, "Q5_0"),
    layout<decode_q5_1, 32, 24>(Encoding::q5_1, "Q5_1"),
    layout<decode_q8_0, 32, 34>(Encoding::q8_0, "Q8_0"),
    layout<decode_q2_k, 256, 84>(Encoding::q2_k, "Q2_K"),
    layout<decode_q3_k, 256, 110>(Encoding::q3_k, "Q3_K"),
    layout<decode_q4_k, 256, 144>(Encoding::q4_k, "Q4_K"),
    layout<decode_q5_k, 256, 176>(Encoding::q5_k, "Q5_K"),
    layout<decode_q6_k, 256, 210>(Encoding::q6_k, "Q6_K"),
    Layout{Encoding::u8, "U8", 1, 1, nullptr},
    Layout{Encoding::i32, "I32", 1, 4, nullptr},
};

const Layout& layout_of(Encoding encoding) {
    const auto& found = layouts.at(static_cast<std::size_t>(encoding));
    ensure(found.encoding == encoding, "the table of encodings is out of order");
    return found;
}

const Layout& weights_of(const StoredTensor& stored) {
    const Layout& found = layout_of(stored.encoding);
    require(found.decode != nullptr, "tensor '{}' holds {} integers, not weights", stored.name, found.name);
    ensure(stored.bytes.size() == encoded_bytes(stored.encoding, stored.shape),
           "tensor '{}': {} bytes for shape {} in {}", stored.name, stored.bytes.size(),
           to_string(stored.shape), found.name);
    return found;
}

const Byte* data_of(std::span<const std::byte> bytes) {
    return reinterpret_cast<const Byte*>(bytes.data());  // NOLINT: bytes as unsigned integers
}

std::size_t row_bytes(const StoredTensor& stored) {
    const Layout& found = layout_of(stored.encoding);
    ensure(stored.cols() % found.values == 0, "tensor '{}' of shape {}: a row is not whole {} blocks",
           stored.name, to_string(stored.shape), found.name);
    return static_cast<std::size_t>(stored.cols() / found.values) * found.bytes;
}

/// ggml-quants.c, quantize_row_q8_0_ref.
void encode_q8_0(const float* in, std::byte* out) {
    constexpr float largest = 127.0F * 65504.0F;
    float magnitude = 0;
    for (int i = 0; i < 32; ++i) {
        require(std::fabs(in[i]) <= largest, "the value {} cannot be written as Q8_0", in[i]);
        magnitude = std::max(magnitude, std::fabs(in[i]));
    }
    const float scale = magnitude / 127.0F;
    float inverse = scale != 0 ? 1.0F / scale : 0.0F;
    if (!std::isfinite(inverse)) inverse = 0;  // below the range of float16 scales anyway
    const std::uint16_t bits = f16_from_float(scale);
    std::memcpy(out, &bits, sizeof bits);
    for (int i = 0; i < 32; ++i)
        out[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::round(in[i] * inverse)));
}

}  // namespace

std::string_view name_of(Encoding encoding) {
    return layout_of(encoding).name;
}

Encoding parse_encoding(std::string_view name) {
    std::string upper(name);
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    std::string names;
    for (const auto& entry : layouts) {
        if (entry.name == upper) return entry.encoding;
        names += fmt::format("{}{}", names.empty() ? "" : ", ", entry.name);
    }
    fail("unknown encoding '{}': expected one of {}", name, names);
}

std::int64_t block_values(Encoding encoding) {
    return layout_of(encoding).values;
}
std::size_t block_bytes(Encoding encoding) {
    return layout_of(encoding).bytes;
}

std::uint64_t encoded_bytes(Encoding encoding, const Shape& shape) {
    const Layout& found = layout_of(encoding);
    const auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / found.bytes;
    std::uint64_t count = 1;
    for (const std::int64_t length : shape) {
        require(length >= 0, "shape {}: a length is negative", to_string(shape));
        require(length == 0 || count <= limit / static_cast<std::uint64_t>(length), "shape {} is too large",
                to_string(shape));
        count *= static_cast<std::uint64_t>(length);
    }
    const std::int64_t row = shape.empty() ? 1 : shape.back();
    require(row % found.values == 0, "shape {}: {} needs rows of a multiple of {} values", to_string(shape),
            found.name, found.values);
    return count / static_cast<std::uint64_t>(found.values) * found.bytes;
}

Tensor decode(const StoredTensor& stored) {
    const Layout& source = weights_of(stored);
    Tensor result = Tensor::empty(stored.shape);
    auto* out = result.data<float>();
    const Byte* in = data_of(stored.bytes);
    parallel_for(result.size() / source.values, conversion_grain / source.values,
                 [&](std::int64_t begin, std::int64_t end) {
                     source.decode(in + begin * static_cast<std::int64_t>(source.bytes), end - begin,
                                   out + begin * source.values);
                 });
    return result;
}

void decode_rows(const StoredTensor& stored, std::int64_t begin, std::int64_t end, float* out) {
    const Layout& source = weights_of(stored);
    ensure(begin >= 0 && begin <= end && end <= stored.rows(), "rows {}..{} of tensor '{}' of shape {}",
           begin, end, stored.name, to_string(stored.shape));
    const std::size_t stride = row_bytes(stored);
    source.decode(data_of(stored.bytes) + static_cast<std::size_t>(begin) * stride,
                  (end - begin) * (stored.cols() / source.values), out);
}

std::vector<std::byte> encode(std::span<const float> values, Encoding encoding) {
    const Layout& target = layout_of(encoding);
    const auto count = static_cast<std::int64_t>(values.size());
    ensure(count % target.values == 0, "{} values are not whole {} blocks", count, target.name);
    std::vector<std::byte> result(values.size() / static_cast<std::size_t>(target.values) * target.bytes);
    const auto each_block = [&](auto&& encode_block) {
        parallel_for(count / target.values, conversion_grain / target.values,
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i)
                             encode_block(values.data() + i * target.values,
                                          result.data() + static_cast<std::size_t>(i) * target.bytes);
                     });
    };
    const auto store = [](auto value, std::byte* out) { std::memcpy(out, &value, sizeof value); };
    switch (encoding) {
        case Encoding::f32:
            each_block([&](const float* in, std::byte* out) { store(*in, out); });
            break;
        case Encoding::f16:
            each_block([&](const float* in, std::byte* out) { store(f16_from_float(*in), out); });
            break;
        case Encoding::bf16:
            each_block([&](const float* in, std::byte* out) { store(bf16_from_float(*in), out); });
            break;
        case Encoding::q8_0:
            each_block(encode_q8_0);
            break;
        default:
            fail("writing {} is not supported: choose F32, F16, BF16 or Q8_0", target.name);
    }
    return result;
}

std::vector<std::byte> permute_rows(const StoredTensor& stored, std::span<const std::int64_t> order) {
    ensure(static_cast<std::int64_t>(order.size()) == stored.rows(), "{} rows reordered by {} indices",
           stored.rows(), order.size());
    const std::size_t stride = row_bytes(stored);
    std::vector<std::byte> result(stored.bytes.size());
    std::vector<bool> taken(order.size(), false);
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto source = static_cast<std::size_t>(order[i]);
        ensure(source < order.size() && !taken[source], "the order of the rows of '{}' is not a permutation",
               stored.name);
        taken[source] = true;
        std::memcpy(result.data() + i * stride, stored.bytes.data() + source * stride, stride);
    }
    return result;
}

}  // namespace jlcm
