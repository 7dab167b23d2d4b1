#pragma once
// Random layers for tests of solvers, and what is measured on them.

#include "core/base/rng.hpp"
#include "core/codebook/compressed_matrix.hpp"

#include <cmath>
#include <vector>

namespace jlcm {

inline Tensor normal(Shape shape, std::uint64_t seed) {
    const Rng rng(seed, "layer fixture");
    Tensor t = Tensor::empty(std::move(shape));
    for (std::int64_t i = 0; i < t.size(); ++i)
        t.data<float>()[i] = static_cast<float>(rng.normal(static_cast<std::uint64_t>(i)));
    return t;
}

/// Sum of x x^T over `samples` correlated inputs of different size, float64.
inline Tensor correlated_moments(std::int64_t cols, std::int64_t samples, std::uint64_t seed) {
    const Tensor noise = normal({samples, cols}, seed);
    std::vector<double> x(static_cast<std::size_t>(cols));
    Tensor h = Tensor::zeros({cols, cols}, DType::f64);
    for (std::int64_t t = 0; t < samples; ++t) {
        double smooth = 0;
        for (std::int64_t j = 0; j < cols; ++j) {
            smooth = 0.8 * smooth + static_cast<double>(noise.data<float>()[t * cols + j]);
            x[static_cast<std::size_t>(j)] = smooth * (1.0 + 0.2 * static_cast<double>(j % 5));
        }
        for (std::int64_t i = 0; i < cols; ++i)
            for (std::int64_t j = 0; j < cols; ++j)
                h.data<double>()[i * cols + j] +=
                    x[static_cast<std::size_t>(i)] * x[static_cast<std::size_t>(j)];
    }
    return h;
}

/// H (float64) with `damping` times the mean of its diagonal on the diagonal.
inline std::vector<double> damped(const Tensor& h, double damping) {
    const auto n = static_cast<std::size_t>(h.rows());
    std::vector<double> result(h.values<double>().begin(), h.values<double>().end());
    double mean = 0;
    for (std::size_t j = 0; j < n; ++j) mean += result[j * n + j] / static_cast<double>(n);
    for (std::size_t j = 0; j < n; ++j) result[j * n + j] += damping * mean;
    return result;
}

/// (w^ - w) H (w^ - w)^T of one row.
inline double row_objective(const Tensor& w, const Tensor& decoded, const std::vector<double>& h,
                            std::int64_t row) {
    const auto n = static_cast<std::size_t>(w.cols());
    std::vector<double> r(n);
    for (std::size_t j = 0; j < n; ++j)
        r[j] = static_cast<double>(decoded.data<float>()[static_cast<std::size_t>(row) * n + j]) -
               static_cast<double>(w.data<float>()[static_cast<std::size_t>(row) * n + j]);
    double total = 0;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) total += r[i] * r[j] * h[i * n + j];
    return total;
}

/// tr((W^ - W) H (W^ - W)^T)
inline double objective(const Tensor& w, const CompressedMatrix& m, const std::vector<double>& h) {
    const Tensor decoded = decode(m);
    double total = 0;
    for (std::int64_t row = 0; row < w.rows(); ++row) total += row_objective(w, decoded, h, row);
    return total;
}

}  // namespace jlcm
