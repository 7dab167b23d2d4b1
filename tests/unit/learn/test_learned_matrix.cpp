// Codebooks and scales of groups learn by the true gradient: they reach a stationary point of the loss.
#include "core/learn/learned_matrix.hpp"
#include "tests/support/random.hpp"

#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using test::random_tensor;

constexpr std::int64_t rows = 6;
constexpr std::int64_t cols = 50;

CompressedMatrix start(bool shared) {
    Layout layout = Layout::per_tensor(rows, cols, 2);
    layout.row_groups = 3;
    layout.runs = {{0, 1}, {2, 0}, {4, 2}};
    layout.shared_codebook = shared;
    CompressedMatrix matrix = CompressedMatrix::zeros(layout);
    for (std::int64_t i = 0; i < matrix.codebooks.size(); ++i)
        matrix.codebooks.data<float>()[i] = -1.5F + static_cast<float>(i % 4);
    for (std::int64_t i = 0; i < rows * cols; ++i)
        matrix.mapping.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 5 % 7 % 4);
    if (shared) matrix.scales = Tensor::from<float>({3}, std::vector<float>{0.5F, 1.0F, 2.0F});
    return matrix;
}

/// sum over all weights of weight_ij (w^_ij - target_ij)^2 / 2, and its gradient.
double loss(const CompressedMatrix& matrix, const Tensor& target, const Tensor& weight) {
    const Tensor decoded = decode(matrix);
    double total = 0;
    for (std::int64_t i = 0; i < decoded.size(); ++i)
        total += 0.5 * static_cast<double>(weight.data<float>()[i]) *
                 std::pow(static_cast<double>(decoded.data<float>()[i] - target.data<float>()[i]), 2);
    return total;
}

/// Central differences of the loss by each value of `variable`, which is part of `matrix`.
double gradient_norm(const CompressedMatrix& matrix, Tensor variable, const Tensor& target,
                     const Tensor& weight) {
    double squares = 0;
    for (float& x : variable.values<float>()) {
        const float kept = x;
        x = kept + 1e-2F;
        const double up = loss(matrix, target, weight);
        x = kept - 1e-2F;
        const double down = loss(matrix, target, weight);
        x = kept;
        squares += std::pow((up - down) / 2e-2, 2);
    }
    return std::sqrt(squares);
}

}  // namespace

TEST_CASE("shared codebooks with scales, and codebooks of groups, learn to a stationary point") {
    const Tensor target = random_tensor({rows, cols}, "target", DType::f32);
    Tensor weight = random_tensor({rows, cols}, "weight", DType::f32);
    for (float& v : weight.values<float>()) v = v * v;
    for (const bool shared : {true, false}) {
        const CompressedMatrix begin = start(shared);
        LearnedMatrix learned("w", begin, target, nullptr, cpu_backend());
        constexpr std::int64_t steps = 800;
        for (std::int64_t step = 0; step < steps; ++step) {
            Tensor gradient = learned.weight(DType::f32);
            for (std::int64_t i = 0; i < gradient.size(); ++i)
                gradient.data<float>()[i] =
                    weight.data<float>()[i] * (gradient.data<float>()[i] - target.data<float>()[i]);
            JumpHistogram jumps;
            learned.observe(gradient, step);
            learned.step(MatrixStep::of_all(
                             step, {.codebook = 0.02,
                                    .scale = 0.02,
                                    .factor = 1.0 - static_cast<double>(step) / static_cast<double>(steps)}),
                         Tensor(), jumps);
        }
        const CompressedMatrix end = learned.result();
        end.validate("w");
        INFO((shared ? "shared codebook" : "codebooks of groups"));
        CHECK(loss(end, target, weight) < 0.7 * loss(begin, target, weight));
        CHECK(gradient_norm(end, end.codebooks, target, weight) <
              0.02 * gradient_norm(begin, begin.codebooks, target, weight));
        if (shared)
            CHECK(gradient_norm(end, end.scales, target, weight) <
                  0.02 * gradient_norm(begin, begin.scales, target, weight));
    }
}
