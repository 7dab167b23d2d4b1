#include "core/codebook/original_output.hpp"
#include "tests/unit/codebook/layer_fixtures.hpp"

#include <catch2/catch.hpp>

using namespace jlcm;

namespace {

/// sum over samples of a b^T, float32.
Tensor moments_of(const Tensor& a, const Tensor& b) {
    return cpu_backend().product(a, Transpose::yes, b, Transpose::no);
}

double at(const Tensor& tensor, std::int64_t row, std::int64_t col) {
    return static_cast<double>(tensor.data<float>()[row * tensor.cols() + col]);
}

}  // namespace

TEST_CASE("weights that fit the original's outputs are where the gradient of that fit is zero") {
    constexpr std::int64_t rows = 5;
    constexpr std::int64_t cols = 7;
    constexpr std::int64_t samples = 60;
    const Tensor w = normal({rows, cols}, 1);
    const Tensor x = normal({samples, cols}, 2);
    Tensor compressed = x.clone();
    cpu_backend().add_scaled(compressed, normal({samples, cols}, 3), 0.3);
    const Tensor second_moments = moments_of(compressed, compressed);

    Tensor fitted = w.clone();
    fit_to_original_output(fitted, second_moments, moments_of(x, compressed), cpu_backend());

    double ridge = 0;
    for (std::int64_t j = 0; j < cols; ++j)
        ridge += 0.01 * at(second_moments, j, j) / static_cast<double>(cols);
    for (std::int64_t i = 0; i < rows; ++i) {
        std::vector<double> gradient(cols);
        double scale = 0;
        for (std::int64_t t = 0; t < samples; ++t) {
            double error = 0;
            for (std::int64_t j = 0; j < cols; ++j)
                error += at(fitted, i, j) * at(compressed, t, j) - at(w, i, j) * at(x, t, j);
            for (std::int64_t j = 0; j < cols; ++j)
                gradient[static_cast<std::size_t>(j)] += error * at(compressed, t, j);
            scale += std::abs(error);
        }
        for (std::int64_t j = 0; j < cols; ++j)
            CHECK(gradient[static_cast<std::size_t>(j)] + ridge * (at(fitted, i, j) - at(w, i, j)) ==
                  Approx(0).margin(1e-4 * scale));
    }
}

TEST_CASE("where inputs are the original's, are all zero, or are too few, weights stay or move finitely") {
    const Tensor w = normal({3, 6}, 1);
    const Tensor x = normal({2, 6}, 2);  // fewer samples than columns
    Tensor fitted = w.clone();
    fit_to_original_output(fitted, moments_of(x, x), moments_of(x, x), cpu_backend());
    for (std::int64_t i = 0; i < w.size(); ++i)
        CHECK(fitted.data<float>()[i] == Approx(w.data<float>()[i]).margin(1e-6));

    const Tensor zero = Tensor::zeros({6, 6});
    fit_to_original_output(fitted, zero, moments_of(x, x), cpu_backend());
    for (std::int64_t i = 0; i < w.size(); ++i)
        CHECK(fitted.data<float>()[i] == Approx(w.data<float>()[i]).margin(1e-6));

    const Tensor other = normal({2, 6}, 3);
    fit_to_original_output(fitted, moments_of(other, other), moments_of(x, other), cpu_backend());
    for (const float value : fitted.values<float>()) CHECK(std::isfinite(value));
}
