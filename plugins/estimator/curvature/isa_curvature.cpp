#include "core/learn/code_kernels.hpp"
#include "plugins/estimator/curvature/curvature_step.hpp"

namespace jlcm::JLCM_ISA {
namespace {

void curvature_step(std::int64_t n, int codewords, const float* table, const CurvatureStep* step,
                    const float* gradient, const float* curvature, float* latent, float* first_moment,
                    std::uint8_t* codes, std::int64_t* jumps) {
    const CurvatureStep c = *step;
    float mean = 0;
#pragma omp simd reduction(+ : mean)
    for (std::int64_t i = 0; i < n; ++i) mean += curvature[i];
    const float floor = c.damping * mean / static_cast<float>(n) + 1e-30F;
    float wanted[chunk];
    std::uint8_t best[chunk];
    std::uint8_t next[chunk];
    for (std::int64_t begin = 0; begin < n; begin += chunk) {
        const std::int64_t size = n - begin < chunk ? n - begin : chunk;
        float* u = latent + begin;
        float* m = first_moment + begin;
        for (std::int64_t i = 0; i < size; ++i) {
            m[i] = c.beta1 * m[i] + (1.0F - c.beta1) * gradient[begin + i];
            wanted[i] = table[codes[begin + i]] - m[i] * c.correction1 / (curvature[begin + i] + floor);
        }
        nearest_codes(size, codewords, table, wanted, best);
        for (std::int64_t i = 0; i < size; ++i) {
            const float way = table[best[i]] - u[i];
            u[i] += way > c.trust ? c.trust : (way < -c.trust ? -c.trust : way);
        }
        nearest_codes(size, codewords, table, u, next);
        count_jumps(size, codewords, next, codes + begin, jumps);
    }
}

}  // namespace

extern const CurvatureKernel curvature;
const CurvatureKernel curvature = curvature_step;

}  // namespace jlcm::JLCM_ISA
