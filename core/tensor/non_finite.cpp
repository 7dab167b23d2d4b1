#include "core/tensor/non_finite.hpp"

#include "core/base/parallel.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

namespace jlcm {
namespace {

constexpr std::int64_t scan_grain = 1 << 18;  ///< values a chunk

constexpr std::uint16_t f16_exponent = 0x7c00;
constexpr std::uint16_t bf16_exponent = 0x7f80;
constexpr std::uint32_t f32_exponent = 0x7f800000;

/// Whether any of `count` words, `stride` bytes apart, has every bit of `exponent`.
template <class Word>
bool any_full(const std::byte* in, std::int64_t count, std::size_t stride, Word exponent) {
    std::uint32_t found = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        Word word = 0;
        std::memcpy(&word, in + static_cast<std::size_t>(i) * stride, sizeof word);
        found |= (word & exponent) == exponent ? 1U : 0U;
    }
    return found != 0;
}

/// Where a block has its float16 scales and minima. They are small enough that what they multiply stays
/// finite.
std::vector<std::size_t> scales_of(Encoding encoding) {
    switch (encoding) {
        case Encoding::q4_0:
        case Encoding::q5_0:
        case Encoding::q8_0:
            return {0};
        case Encoding::q4_1:
        case Encoding::q5_1:
        case Encoding::q4_k:
        case Encoding::q5_k:
            return {0, 2};
        case Encoding::q2_k:
            return {80, 82};
        case Encoding::q3_k:
            return {108};
        case Encoding::q6_k:
            return {208};
        case Encoding::f32:
        case Encoding::f16:
        case Encoding::bf16:
        case Encoding::u8:
        case Encoding::i32:
            break;
    }
    return {};
}

bool has_any(Encoding encoding, const std::byte* in, std::int64_t blocks) {
    switch (encoding) {
        case Encoding::u8:
        case Encoding::i32:
            return false;
        case Encoding::f32:
            return any_full(in, blocks, sizeof(std::uint32_t), f32_exponent);
        case Encoding::f16:
            return any_full(in, blocks, sizeof(std::uint16_t), f16_exponent);
        case Encoding::bf16:
            return any_full(in, blocks, sizeof(std::uint16_t), bf16_exponent);
        default:
            break;
    }
    for (const std::size_t scale : scales_of(encoding))
        if (any_full(in + scale, blocks, block_bytes(encoding), f16_exponent)) return true;
    return false;
}

NonFinite count(const Tensor& values) {
    NonFinite found;
    const auto all = values.values<float>();
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (std::isfinite(all[i])) continue;
        if (!found.any()) found.first = static_cast<std::int64_t>(i);
        ++(std::isnan(all[i]) ? found.nans : found.infinities);
    }
    return found;
}

std::string place(std::int64_t index, const Shape& shape) {
    if (shape.size() < 2) return fmt::format("index {}", index);
    std::vector<std::int64_t> at(shape.size());
    for (std::size_t d = shape.size(); d-- > 0; index /= shape[d]) at[d] = index % shape[d];
    if (shape.size() == 2) return fmt::format("row {}, column {}", at[0], at[1]);
    return fmt::format("[{}]", fmt::join(at, ", "));
}

std::string number(std::int64_t count, const char* one, const char* several) {
    return fmt::format("{} {}", count, count == 1 ? one : several);
}

}  // namespace

NonFinite find_non_finite(const StoredTensor& stored) {
    const std::size_t bytes = block_bytes(stored.encoding);
    const std::int64_t values = block_values(stored.encoding);
    std::atomic<bool> found = false;
    parallel_for(std::ssize(stored.bytes) / static_cast<std::int64_t>(bytes), scan_grain / values,
                 [&](std::int64_t begin, std::int64_t end) {
                     if (has_any(stored.encoding,
                                 stored.bytes.data() + static_cast<std::size_t>(begin) * bytes, end - begin))
                         found = true;
                 });
    return found ? count(decode(stored)) : NonFinite{};
}

std::string describe(const NonFinite& found, const Shape& shape) {
    std::string what;
    if (found.nans > 0) what = number(found.nans, "NaN", "NaN");
    if (found.infinities > 0)
        what += (what.empty() ? "" : " and ") + number(found.infinities, "infinity", "infinities");
    return fmt::format("{} among {} values, the first at {}", what, element_count(shape),
                       place(found.first, shape));
}

}  // namespace jlcm
