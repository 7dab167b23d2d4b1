#include "core/learn/code_kernels.hpp"
#include "plugins/estimator/nearest/nearest_step.hpp"

namespace jlcm::JLCM_ISA {
namespace {

void nearest_step(std::int64_t n, int codewords, const float* table, const AdamStep* adam, float low,
                  float high, const float* gradient, float* latent, float* first_moment, float* second_moment,
                  std::uint8_t* codes, std::int64_t* jumps) {
    const AdamStep a = *adam;
    std::uint8_t next[chunk];
    for (std::int64_t begin = 0; begin < n; begin += chunk) {
        const std::int64_t size = n - begin < chunk ? n - begin : chunk;
        const float* g = gradient + begin;
        float* u = latent + begin;
        float* m = first_moment + begin;
        float* v = second_moment + begin;
#pragma omp simd
        for (std::int64_t i = 0; i < size; ++i) {
            m[i] = a.beta1 * m[i] + (1.0F - a.beta1) * g[i];
            v[i] = a.beta2 * v[i] + (1.0F - a.beta2) * g[i] * g[i];
            const float step =
                a.rate * (m[i] * a.correction1) / (__builtin_sqrtf(v[i] * a.correction2) + a.epsilon);
            const float moved = u[i] - step;
            u[i] = moved < low ? low : (moved > high ? high : moved);
        }
        nearest_codes(size, codewords, table, u, next);
        count_jumps(size, codewords, next, codes + begin, jumps);
    }
}

}  // namespace

extern const NearestKernel nearest;
const NearestKernel nearest = nearest_step;

}  // namespace jlcm::JLCM_ISA
