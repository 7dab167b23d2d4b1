#include "core/codebook/tile_kernels.hpp"
#include "plugins/solver/gptq/gptq_kernels.hpp"

namespace jlcm::JLCM_ISA {
namespace {

constexpr int group = 8;  // columns of a block that get feedback from those before it at once

void feed_back(std::int64_t cols, const float* factor, const float* diagonal, int k,
               const std::int32_t* tables, const float* codewords, const float* thresholds,
               const float* target, const float* aim, float* error, std::uint8_t* codes, float* loss) {
    alignas(64) float carried[group * lanes];
    alignas(64) float wanted[lanes];
    alignas(64) float chosen[lanes];
    alignas(64) std::int32_t code[lanes];
    for (std::int64_t begin = 0; begin < cols; begin += group) {
        const int width_here = static_cast<int>(cols - begin < group ? cols - begin : group);
        // The columns before the group, for all its columns at once; a last, narrow group one by one.
        if (width_here == group) {
            for (int c = 0; c < group; c += tile_columns)
                for (std::int64_t l = 0; l < lanes; l += lane_vectors * width)
                    product_tile(begin, factor + (begin + c) * cols, cols, error + l, carried + c * lanes + l,
                                 false);
        } else {
            for (std::int64_t i = 0; i < group * lanes; ++i) carried[i] = 0;
            for (int c = 0; c < width_here; ++c)
                for (std::int64_t i = 0; i < begin; ++i)
                    for (std::int64_t l = 0; l < lanes; ++l)
                        carried[c * lanes + l] += factor[(begin + c) * cols + i] * error[i * lanes + l];
        }
        for (int c = 0; c < width_here; ++c) {
            const std::int64_t j = begin + c;
            for (std::int64_t l = 0; l < lanes; ++l) wanted[l] = aim[j * lanes + l] - carried[c * lanes + l];
            for (std::int64_t i = begin; i < j; ++i) {
                const float f = factor[j * cols + i];
                for (std::int64_t l = 0; l < lanes; ++l) wanted[l] -= f * error[i * lanes + l];
            }
            nearest_codewords(k, codewords + tables[j] * k * lanes, thresholds + tables[j] * (k - 1) * lanes,
                              wanted, chosen, code);
            for (std::int64_t l = 0; l < lanes; ++l) {
                const float distance = chosen[l] - wanted[l];
                loss[l] += diagonal[j] * distance * distance;
                error[j * lanes + l] = chosen[l] - target[j * lanes + l];
            }
            for (std::int64_t l = 0; l < lanes; ++l)
                codes[j * lanes + l] = static_cast<std::uint8_t>(code[l]);
        }
    }
}

}  // namespace

extern const GptqKernels gptq;
const GptqKernels gptq{feed_back};

}  // namespace jlcm::JLCM_ISA
