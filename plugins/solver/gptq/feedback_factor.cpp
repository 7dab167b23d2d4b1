#include "plugins/solver/gptq/feedback_factor.hpp"

#include "core/backend/backend.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

constexpr std::int64_t block = 128;
/// Entries this small beside the lengths of their row and column are below rounding; left in, they breed
/// denormal numbers, which are slow.
constexpr float rounding = 1e-10F;
constexpr double smallest_normal = 1e-37;
constexpr double smallest_pivot = 1e-7;  // of the diagonal: what float32 sums can tell from zero

float without_noise(float value, float unit) {
    return std::abs(value) > rounding * unit ? value : 0.0F;
}

/// to = from - to, a row of a block of columns.
void subtract(std::int64_t size, const float* __restrict from, float row_length,
              const float* __restrict column_lengths, float* __restrict to) {
    for (std::int64_t j = 0; j < size; ++j)
        to[j] = without_noise(from[j] - to[j], row_length * column_lengths[j]);
}

void copy(std::int64_t size, const float* __restrict from, float row_length, float* __restrict to) {
    for (std::int64_t j = 0; j < size; ++j) to[j] = without_noise(from[j], row_length);
}

/// A diagonal block R R^T = A (R upper triangular), and R^-T, float64 row-major of side `size`.
struct DiagonalBlock {
    std::vector<double> root;
    std::vector<double> inverse_transposed;
};

DiagonalBlock factor_block(const std::string& name, const float* a, std::int64_t size, std::int64_t stride,
                           const float* diagonal) {
    const auto at = [size](std::int64_t i, std::int64_t j) { return static_cast<std::size_t>(i * size + j); };
    DiagonalBlock result;
    auto& r = result.root;
    r.assign(static_cast<std::size_t>(size * size), 0.0);
    for (std::int64_t j = size; j-- > 0;) {
        for (std::int64_t i = 0; i <= j; ++i) {
            double sum = static_cast<double>(a[i * stride + j]);
            for (std::int64_t k = j + 1; k < size; ++k) sum -= r[at(i, k)] * r[at(j, k)];
            if (i < j) {
                r[at(i, j)] = sum;  // divided below, when the pivot is known
                continue;
            }
            require(sum > smallest_pivot * static_cast<double>(diagonal[j]),
                    "{}: the second moments are not positive definite; more damping helps", name);
            r[at(j, j)] = std::sqrt(sum);
            for (std::int64_t above = 0; above < j; ++above) r[at(above, j)] /= r[at(j, j)];
        }
    }
    // R^T is lower triangular: column k of its inverse by forward substitution.
    auto& inverse = result.inverse_transposed;
    inverse.assign(r.size(), 0.0);
    for (std::int64_t k = 0; k < size; ++k) {
        for (std::int64_t i = k; i < size; ++i) {
            double sum = i == k ? 1.0 : 0.0;
            for (std::int64_t m = k; m < i; ++m) sum -= r[at(m, i)] * inverse[at(m, k)];
            inverse[at(i, k)] = sum / r[at(i, i)];
        }
    }
    return result;
}

}  // namespace

FeedbackFactor factor_feedback(const std::string& name, Tensor matrix, Backend& backend) {
    const std::int64_t n = matrix.rows();
    ensure(matrix.dtype() == DType::f32 && matrix.cols() == n, "a factor of {}", to_string(matrix.shape()));
    float* a = matrix.data<float>();
    std::vector<float> moments(static_cast<std::size_t>(n));
    for (std::int64_t j = 0; j < n; ++j) moments[static_cast<std::size_t>(j)] = a[j * n + j];
    std::vector<float> lengths(moments.size());
    std::ranges::transform(moments, lengths.begin(), [](float m) { return std::sqrt(m); });
    const std::int64_t widest = std::min(n, block);
    Tensor rest_memory = Tensor::empty({n * widest});
    Tensor solved_memory = Tensor::empty({n * widest});
    // H = R R^T, R upper triangular, from the last block of columns to the first: R replaces H's upper part.
    for (std::int64_t end = n; end > 0;) {
        const std::int64_t begin = std::max<std::int64_t>(0, (end - 1) / block * block);
        const std::int64_t size = end - begin;
        Tensor rest = rest_memory.slice(0, end * size).reshape({end, size});
        backend.gemm(submatrix(matrix, 0, end, end, n - end), Transpose::no,
                     submatrix(matrix, begin, size, end, n - end), Transpose::yes, rest, false);
        parallel_for(end, block, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i)
                subtract(size, a + i * n + begin, lengths[static_cast<std::size_t>(i)],
                         lengths.data() + begin, rest.data<float>() + i * size);
        });
        const DiagonalBlock diagonal =
            factor_block(name, rest.data<float>() + begin * size, size, size, moments.data() + begin);
        Tensor inverse = Tensor::empty({size, size});
        std::ranges::transform(diagonal.inverse_transposed, inverse.data<float>(), [](double v) {
            return std::abs(v) < smallest_normal ? 0.0F : static_cast<float>(v);
        });
        const Tensor above = rest.slice(0, begin);
        Tensor solved = solved_memory.slice(0, begin * size).reshape({begin, size});
        backend.gemm(jlcm::matrix(above), Transpose::no, jlcm::matrix(inverse), Transpose::no, solved, false);
        parallel_for(begin, block, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i)
                copy(size, solved.data<float>() + i * size, lengths[static_cast<std::size_t>(i)],
                     a + i * n + begin);
        });
        for (std::int64_t i = 0; i < size; ++i)
            for (std::int64_t j = 0; j < size; ++j)
                a[(begin + i) * n + begin + j] =
                    static_cast<float>(diagonal.root[static_cast<std::size_t>(i * size + j)]);
        end = begin;
    }
    FeedbackFactor result;
    std::vector<float> inverse_root(moments.size());
    for (std::int64_t j = 0; j < n; ++j) {
        const float root = a[j * n + j];
        inverse_root[static_cast<std::size_t>(j)] = 1.0F / root;
        result.diagonal.push_back(root * root);
    }
    parallel_for(n, block, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
            std::fill(a + i * n, a + i * n + i, 0.0F);
            for (std::int64_t j = i; j < n; ++j) a[i * n + j] *= inverse_root[static_cast<std::size_t>(j)];
        }
    });
    result.feedback = std::move(matrix);
    return result;
}

}  // namespace jlcm
