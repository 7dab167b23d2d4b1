#include "core/codebook/damped_moments.hpp"

#include "core/base/parallel.hpp"
#include "core/codebook/row_tiles.hpp"
#include "core/codebook/solver.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jlcm {

DampedMoments damp(const Tensor& second_moments, std::int64_t samples, double damping,
                   std::vector<std::string>& notes) {
    const std::int64_t n = second_moments.cols();
    const auto moments = diagonal_of(second_moments);
    const double total = std::accumulate(moments.begin(), moments.end(), 0.0);
    const auto silent = std::count(moments.begin(), moments.end(), 0.0F);
    if (silent > 0) notes.push_back(fmt::format("{} of {} inputs are always zero", silent, n));
    if (samples > 0 && samples < n)
        notes.push_back(
            fmt::format("{} calibration inputs for {} columns: second moments are singular", samples, n));
    const double mean = total / static_cast<double>(n);
    if (total == 0) notes.emplace_back("all second moments are zero: weights count equally");
    const double ridge = total == 0 ? 1.0 : damping * mean;

    DampedMoments result;
    result.cols = (n + solver_columns - 1) / solver_columns * solver_columns;
    result.matrix = Tensor::zeros({result.cols, result.cols});
    result.inverse_diagonal = Tensor::zeros({result.cols});
    float* out = result.matrix.data<float>();
    const auto symmetrise = [&](const auto* in) {
        constexpr std::int64_t side = 64;
        parallel_for(n, side, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t first = 0; first < n; first += side) {
                const std::int64_t last = std::min(n, first + side);
                for (std::int64_t i = begin; i < end; ++i)
                    for (std::int64_t j = first; j < last; ++j)
                        out[i * result.cols + j] = static_cast<float>(
                            (static_cast<double>(in[i * n + j]) + static_cast<double>(in[j * n + i])) / 2);
            }
        });
    };
    if (second_moments.dtype() == DType::f32) {
        symmetrise(second_moments.data<float>());
    } else {
        symmetrise(second_moments.data<double>());
    }
    // Values that vanish beside the diagonal would be denormal in products, which is slow.
    const auto vanishing = static_cast<float>(mean * 1e-15);
    parallel_for(n, 64, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin * result.cols; i < end * result.cols; ++i)
            out[i] = std::abs(out[i]) > vanishing ? out[i] : 0.0F;
    });
    for (std::int64_t j = 0; j < n; ++j) {
        float& diagonal = out[j * result.cols + j];
        diagonal = static_cast<float>(static_cast<double>(diagonal) + ridge);
        result.inverse_diagonal.data<float>()[j] = diagonal > 0 ? 1.0F / diagonal : 0.0F;
    }
    return result;
}

}  // namespace jlcm
