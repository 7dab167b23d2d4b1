#include "core/backend/backend.hpp"
#include "core/backend/cpu/attention.hpp"
#include "core/backend/cpu/cached_attention.hpp"
#include "core/backend/cpu/convolution.hpp"
#include "core/backend/cpu/copy_strided.hpp"
#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/gemm.hpp"
#include "core/backend/cpu/learning.hpp"
#include "core/backend/cpu/packed_products.hpp"
#include "core/backend/cpu/pooling.hpp"
#include "core/backend/cpu/vocabulary.hpp"
#include "core/backend/few_rows.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>

namespace jlcm {
namespace {

constexpr std::int64_t element_grain = 1 << 15;

std::int64_t row_grain(std::int64_t cols) {
    return std::max<std::int64_t>(1, element_grain / std::max<std::int64_t>(cols, 1));
}

/// Calls `body` with a float or a double, by the tensor's type.
template <class Body>
auto by_type(const Tensor& x, Body body) {
    if (x.dtype() == DType::f64) return body(double{});
    return body(float{});
}

void check_same(const Tensor& a, const Tensor& b, const char* what) {
    ensure(a.shape() == b.shape() && a.dtype() == b.dtype(), "{} of {} {} and {} {}", what,
           name_of(a.dtype()), shown(a.shape()), name_of(b.dtype()), shown(b.shape()));
}

std::int64_t last(const Tensor& x) {
    return x.shape().back();
}

class CpuBackend final : public Backend {
  public:
    std::string describe() const override {
        return fmt::format("cpu, {}, bfloat16 unit: {}", vectors_name(), cpu_bfloat16_unit());
    }
    bool has_bfloat16() const override { return cpu_has_bfloat16(); }

    void gemm(const MatrixView& left, Transpose ta, const MatrixView& right, Transpose tb, Tensor& c,
              bool accumulate) override {
        const HostMatrix a = host_matrix(left);
        const HostMatrix b = host_matrix(right);
        const std::int64_t m = ta == Transpose::no ? a.rows : a.cols;
        const std::int64_t n = tb == Transpose::no ? b.cols : b.rows;
        ensure(c.size() == m * n && c.dtype() == (a.type == DType::f64 ? DType::f64 : DType::f32),
               "a product of {} x {} into {}", m, n, shown(c.shape()));
        // Tiles depend on the shape alone. Where rows give no two tiles, columns are cut instead.
        const std::int64_t row_tiles = (m + gemm_tile_rows - 1) / gemm_tile_rows;
        const std::int64_t column_tiles = row_tiles >= 2 || n < 128 ? 1 : 2;
        const std::int64_t columns = ((n + column_tiles - 1) / column_tiles + 63) / 64 * 64;
        parallel_for(row_tiles * column_tiles, 1, [&](std::int64_t task, std::int64_t) {
            const std::int64_t row = task / column_tiles * gemm_tile_rows;
            const std::int64_t rows = std::min(gemm_tile_rows, m - row);
            const std::int64_t column = task % column_tiles * columns;
            if (column >= n) return;
            const std::int64_t cols = std::min(columns, n - column);
            const HostMatrix a_tile = part(a, ta == Transpose::yes, row, rows);
            const HostMatrix b_tile = part(b, tb == Transpose::no, column, cols);
            gemm_tile(a_tile, ta, b_tile, tb,
                      c.bytes().data() + static_cast<std::size_t>(row * n + column) * size_of(c.dtype()), n,
                      accumulate);
        });
    }

    void multiply(const MatrixView& a, const BoundWeight& weight, Tensor& c) override {
        if (!weight.is_packed()) {
            gemm(a, Transpose::no, matrix(weight.dense()), Transpose::yes, c, false);
            return;
        }
        const std::int64_t n = weight.rows();
        ensure(c.size() == a.rows * n, "a product of {} rows and {} into {}", a.rows, shown(weight.shape()),
               shown(c.shape()));
        if (const CodedRows* codes = codes_for(weight, a.rows)) {
            cpu::multiply_codes(a, *codes, c);
            return;
        }
        cpu::for_decoded_parts(weight, [&](const Tensor& rows, std::int64_t first) {
            if (rows.rows() == n) {
                gemm(a, Transpose::no, matrix(rows), Transpose::yes, c, false);
                return;
            }
            Tensor part = Tensor::empty({a.rows, rows.rows()});
            gemm(a, Transpose::no, matrix(rows), Transpose::yes, part, false);
            copy_strided(part.shape(), part, strides_of(part.shape()), c, {first, {n, 1}}, false);
        });
    }

    void accumulate_gram(const Tensor& x, Tensor& gram) override {
        const std::int64_t n = last(x);
        const HostMatrix view = host_matrix(x);
        ensure(gram.shape() == Shape({n, n}), "a Gram matrix {} for rows of {}", shown(gram.shape()), n);
        // Only tiles on and above the diagonal are computed; the rest is mirrored.
        constexpr std::int64_t tile = 192;
        const std::int64_t tiles = (n + tile - 1) / tile;
        parallel_for(tiles * tiles, 1, [&](std::int64_t task, std::int64_t) {
            const std::int64_t i = task / tiles * tile;
            const std::int64_t j = task % tiles * tile;
            if (j < i) return;
            const std::int64_t rows = std::min(tile, n - i);
            const std::int64_t cols = std::min(tile, n - j);
            float* out = gram.data<float>();
            gemm_tile(part(view, true, i, rows), Transpose::yes, part(view, true, j, cols), Transpose::no,
                      out + i * n + j, n, true);
            if (i == j) return;
            for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < cols; ++c) out[(j + c) * n + i + r] = out[(i + r) * n + j + c];
        });
    }

    Tensor convert(const Tensor& x, DType type) override {
        if (x.dtype() == type) return x;
        const bool narrow = x.dtype() == DType::f32 && type == DType::bf16;
        const bool widen = x.dtype() == DType::bf16 && type == DType::f32;
        if (!narrow && !widen) return x.to(type);
        Tensor y = Tensor::empty(x.shape(), type);
        const auto& kernels = vocabulary_kernels();
        parallel_for(x.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
            if (narrow) {
                kernels.to_bfloat16(end - begin, x.data<float>() + begin, y.data<std::uint16_t>() + begin);
            } else {
                kernels.from_bfloat16(end - begin, x.data<std::uint16_t>() + begin, y.data<float>() + begin);
            }
        });
        return y;
    }

    Tensor scale_rows(const Tensor& x, std::span<const float> factors) override {
        const std::int64_t n = last(x);
        ensure(x.size() == n * static_cast<std::int64_t>(factors.size()), "{} factors for rows of {}",
               factors.size(), shown(x.shape()));
        Tensor y = convert(x, DType::f32);
        if (x.dtype() == DType::f32) y = y.clone();
        parallel_for(static_cast<std::int64_t>(factors.size()), row_grain(n),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t r = begin; r < end; ++r)
                             for (std::int64_t j = 0; j < n; ++j)
                                 y.data<float>()[r * n + j] *= factors[static_cast<std::size_t>(r)];
                     });
        return convert(y, x.dtype());
    }

    void fill(Tensor& x, double value) override {
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            std::ranges::fill(x.values<T>(), static_cast<T>(value));
        });
    }

    void add_scaled(Tensor& y, const Tensor& x, double factor) override {
        check_same(y, x, "sum");
        by_type(y, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(y.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                dense_kernels<T>().add_scaled(end - begin, x.data<T>() + begin, static_cast<T>(factor),
                                              y.data<T>() + begin);
            });
        });
    }

    double sum_of_squares(const Tensor& x) override {
        return by_type(x, [&](auto zero) {
            using T = decltype(zero);
            return parallel_sum(x.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                return dense_kernels<T>().sum_of_squares(end - begin, x.data<T>() + begin);
            });
        });
    }

    double dot(const Tensor& a, const Tensor& b) override {
        check_same(a, b, "a sum of products");
        return by_type(a, [&](auto zero) {
            using T = decltype(zero);
            return parallel_sum(a.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                return dense_kernels<T>().dot(end - begin, a.data<T>() + begin, b.data<T>() + begin);
            });
        });
    }

    Tensor unary(const UnaryFunction& function, const Tensor& x) override {
        Tensor y = Tensor::empty(x.shape(), x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(x.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                dense_kernels<T>().unary(static_cast<int>(function.kind), static_cast<T>(function.a),
                                         static_cast<T>(function.b), end - begin, x.data<T>() + begin,
                                         y.data<T>() + begin);
            });
        });
        return y;
    }

    Tensor unary_backward(const UnaryFunction& function, const Tensor& x, const Tensor& gradient) override {
        check_same(x, gradient, "backward");
        Tensor dx = Tensor::empty(x.shape(), x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(x.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                dense_kernels<T>().unary_backward(
                    static_cast<int>(function.kind), static_cast<T>(function.a), static_cast<T>(function.b),
                    end - begin, x.data<T>() + begin, gradient.data<T>() + begin, dx.data<T>() + begin);
            });
        });
        return dx;
    }

    Tensor binary(Binary function, const Tensor& a, const Tensor& b) override {
        check_same(a, b, "an element-wise operation");
        Tensor y = Tensor::empty(a.shape(), a.dtype());
        by_type(a, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(a.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                dense_kernels<T>().binary(static_cast<int>(function), end - begin, a.data<T>() + begin,
                                          b.data<T>() + begin, y.data<T>() + begin);
            });
        });
        return y;
    }

    void binary_backward(Binary function, const Tensor& a, const Tensor& b, const Tensor& gradient,
                         Tensor& da, Tensor& db) override {
        check_same(a, gradient, "backward");
        da = Tensor::empty(a.shape(), a.dtype());
        db = Tensor::empty(b.shape(), b.dtype());
        by_type(a, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(a.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                dense_kernels<T>().binary_backward(
                    static_cast<int>(function), end - begin, a.data<T>() + begin, b.data<T>() + begin,
                    gradient.data<T>() + begin, da.data<T>() + begin, db.data<T>() + begin);
            });
        });
    }

    void add_bias(Tensor& y, const Tensor& bias) override {
        const std::int64_t cols = last(y);
        ensure(bias.size() == cols, "a bias of {} for rows of {}", bias.size(), cols);
        by_type(y, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(y.size() / cols, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t r = begin; r < end; ++r)
                    dense_kernels<T>().add_scaled(cols, bias.data<T>(), T(1), y.data<T>() + r * cols);
            });
        });
    }

    void bias_backward(const Tensor& gradient, Tensor& bias_gradient) override {
        const std::int64_t cols = last(gradient);
        by_type(gradient, [&](auto zero) {
            using T = decltype(zero);
            sum_partial_rows<T>(gradient.size() / cols, cols, bias_gradient,
                                [&](std::int64_t begin, std::int64_t end, T* partial) {
                                    for (std::int64_t r = begin; r < end; ++r)
                                        dense_kernels<T>().add_scaled(cols, gradient.data<T>() + r * cols,
                                                                      T(1), partial);
                                });
        });
    }

    Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon, Tensor& inverse_rms) override {
        const std::int64_t cols = last(x);
        const std::int64_t rows = x.size() / cols;
        ensure(weight.size() == cols && weight.dtype() == x.dtype(), "a norm of {} weights for rows of {}",
               weight.size(), cols);
        Tensor y = Tensor::empty(x.shape(), x.dtype());
        inverse_rms = Tensor::empty({rows}, x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(rows, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                dense_kernels<T>().rms_norm(end - begin, cols, x.data<T>() + begin * cols, weight.data<T>(),
                                            static_cast<T>(epsilon), y.data<T>() + begin * cols,
                                            inverse_rms.data<T>() + begin);
            });
        });
        return y;
    }

    Tensor rms_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& inverse_rms,
                             const Tensor& gradient, Tensor* weight_gradient) override {
        const std::int64_t cols = last(x);
        const std::int64_t rows = x.size() / cols;
        Tensor dx = Tensor::empty(x.shape(), x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            const auto rows_backward = [&](std::int64_t begin, std::int64_t end, T* partial) {
                dense_kernels<T>().rms_norm_backward(end - begin, cols, x.data<T>() + begin * cols,
                                                     weight.data<T>(), inverse_rms.data<T>() + begin,
                                                     gradient.data<T>() + begin * cols,
                                                     dx.data<T>() + begin * cols, partial);
            };
            if (weight_gradient != nullptr) {
                sum_partial_rows<T>(rows, cols, *weight_gradient, rows_backward);
            } else {
                parallel_for(rows, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                    rows_backward(begin, end, nullptr);
                });
            }
        });
        return dx;
    }

    Tensor rotary(const Tensor& x, std::int64_t head_dim, const Tensor& cosine, const Tensor& sine,
                  bool inverse) override {
        const std::int64_t cols = last(x);
        const std::int64_t length = x.shape()[x.shape().size() - 2];
        const std::int64_t half = last(cosine);
        ensure(cols % head_dim == 0 && 2 * half <= head_dim && cosine.size() >= length * half,
               "rotary embedding of {} with heads of {}", shown(x.shape()), head_dim);
        Tensor y = Tensor::empty(x.shape(), x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(x.size() / cols, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                dense_kernels<T>().rotary(begin, end - begin, length, cols / head_dim, head_dim, half,
                                          x.data<T>() + begin * cols, cosine.data<T>(), sine.data<T>(),
                                          inverse ? T(-1) : T(1), y.data<T>() + begin * cols);
            });
        });
        return y;
    }

    Tensor embedding(const Tensor& ids, const BoundWeight& weight) override {
        if (weight.is_packed()) return cpu::packed_embedding(ids, weight.packed());
        const Tensor& table = weight.dense();
        const std::int64_t width = last(table);
        Shape shape = ids.shape();
        shape.push_back(width);
        Tensor y = Tensor::empty(shape, table.dtype() == DType::f64 ? DType::f64 : DType::f32);
        for (const std::int32_t id : ids.values<std::int32_t>())
            ensure(id >= 0 && id < table.rows(), "token id {} of a vocabulary of {}", id, table.rows());
        parallel_for(ids.size(), row_grain(width), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                const std::int64_t from = static_cast<std::int64_t>(ids.data<std::int32_t>()[i]) * width;
                if (table.dtype() == DType::bf16) {
                    vocabulary_kernels().from_bfloat16(width, table.data<std::uint16_t>() + from,
                                                       y.data<float>() + i * width);
                } else {
                    by_type(table, [&](auto zero) {
                        using T = decltype(zero);
                        std::copy_n(table.data<T>() + from, width, y.data<T>() + i * width);
                    });
                }
            }
        });
        return y;
    }

    void embedding_backward(const Tensor& ids, const Tensor& gradient, Tensor& table_gradient) override {
        const std::int64_t width = last(table_gradient);
        by_type(gradient, [&](auto zero) {
            using T = decltype(zero);
            for (std::int64_t i = 0; i < ids.size(); ++i)
                dense_kernels<T>().add_scaled(width, gradient.data<T>() + i * width, T(1),
                                              table_gradient.data<T>() + ids.data<std::int32_t>()[i] * width);
        });
    }

    Tensor convolution(const Convolution& shape, const Tensor& x, const Tensor& weight, const Tensor* bias,
                       const Epilogue& epilogue, PreparedWeight* prepared) override {
        return cpu::convolution(*this, shape, x, weight, bias, epilogue, prepared);
    }
    Tensor convolution_input_gradient(const Convolution& shape, const Tensor& weight,
                                      const Tensor& gradient) override {
        return cpu::convolution_input_gradient(*this, shape, weight, gradient);
    }
    void convolution_weight_gradient(const Convolution& shape, const Tensor& x, const Tensor& gradient,
                                     Tensor& weight_gradient) override {
        cpu::convolution_weight_gradient(*this, shape, x, gradient, weight_gradient);
    }
    Tensor patches(const Convolution& shape, const Tensor& x) override { return cpu::patches(shape, x); }

    Tensor scale_and_shift(const Tensor& x, const Tensor& scale, const Tensor& shift) override {
        const std::int64_t cols = last(x);
        ensure(scale.size() == cols && shift.size() == cols, "{} scales for rows of {}", scale.size(), cols);
        Tensor y = Tensor::empty(x.shape(), x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(x.size() / cols, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t r = begin; r < end; ++r)
                    dense_kernels<T>().scale_and_shift(cols, x.data<T>() + r * cols, scale.data<T>(),
                                                       shift.data<T>(), y.data<T>() + r * cols);
            });
        });
        return y;
    }

    Tensor pool(const Windows& windows, Pooling pooling, const Tensor& x) override {
        return cpu::pool(windows, pooling, x);
    }
    Tensor pool_backward(const Windows& windows, Pooling pooling, const Tensor& x,
                         const Tensor& gradient) override {
        return cpu::pool_backward(windows, pooling, x, gradient);
    }

    Tensor normalise_rows(const Tensor& x, double epsilon, Tensor* inverse_deviation) override {
        const std::int64_t cols = last(x);
        const std::int64_t rows = x.size() / cols;
        Tensor y = Tensor::empty(x.shape(), x.dtype());
        Tensor inverse = Tensor::empty({rows}, x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(rows, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                dense_kernels<T>().normalise(end - begin, cols, epsilon, x.data<T>() + begin * cols,
                                             y.data<T>() + begin * cols, inverse.data<T>() + begin);
            });
        });
        if (inverse_deviation != nullptr) *inverse_deviation = inverse;
        return y;
    }

    Tensor normalise_rows_backward(const Tensor& normalised, const Tensor& inverse_deviation,
                                   const Tensor& gradient) override {
        const std::int64_t cols = last(normalised);
        Tensor dx = Tensor::empty(normalised.shape(), normalised.dtype());
        by_type(normalised, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(normalised.size() / cols, row_grain(cols),
                         [&](std::int64_t begin, std::int64_t end) {
                             dense_kernels<T>().normalise_backward(
                                 end - begin, cols, normalised.data<T>() + begin * cols,
                                 inverse_deviation.data<T>() + begin, gradient.data<T>() + begin * cols,
                                 dx.data<T>() + begin * cols);
                         });
        });
        return dx;
    }

    Tensor softmax_rows(const Tensor& x) override {
        const std::int64_t cols = last(x);
        Tensor y = Tensor::empty(x.shape(), x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(x.size() / cols, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t r = begin; r < end; ++r)
                    (void)dense_kernels<T>().softmax(cols, cols, T(1), x.data<T>() + r * cols,
                                                     y.data<T>() + r * cols);
            });
        });
        return y;
    }

    Tensor softmax_rows_backward(const Tensor& probabilities, const Tensor& gradient) override {
        const std::int64_t cols = last(probabilities);
        Tensor dx = Tensor::empty(gradient.shape(), gradient.dtype());
        by_type(gradient, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(gradient.size() / cols, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t r = begin; r < end; ++r) {
                    const T* p = probabilities.data<T>() + r * cols;
                    const T* g = gradient.data<T>() + r * cols;
                    dense_kernels<T>().softmax_backward(cols, T(1),
                                                        static_cast<T>(dense_kernels<T>().dot(cols, p, g)), p,
                                                        g, dx.data<T>() + r * cols);
                }
            });
        });
        return dx;
    }

    Tensor log_softmax_rows(const Tensor& x) override {
        const std::int64_t cols = last(x);
        Tensor y = Tensor::empty(x.shape(), x.dtype());
        by_type(x, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(x.size() / cols, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                std::vector<T> shares(static_cast<std::size_t>(cols));
                for (std::int64_t r = begin; r < end; ++r) {
                    const T* in = x.data<T>() + r * cols;
                    T* out = y.data<T>() + r * cols;
                    // Less the largest first: what follows is small, and keeps its digits.
                    const T largest = *std::max_element(in, in + cols);
                    for (std::int64_t c = 0; c < cols; ++c) out[c] = in[c] - largest;
                    const T log_sum = dense_kernels<T>().softmax(cols, cols, T(1), out, shares.data());
                    for (std::int64_t c = 0; c < cols; ++c) out[c] -= log_sum;
                }
            });
        });
        return y;
    }

    Tensor log_softmax_rows_backward(const Tensor& log_probabilities, const Tensor& gradient) override {
        const std::int64_t cols = last(log_probabilities);
        Tensor dx = Tensor::empty(gradient.shape(), gradient.dtype());
        by_type(gradient, [&](auto zero) {
            using T = decltype(zero);
            parallel_for(gradient.size() / cols, row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t r = begin; r < end; ++r) {
                    const T* y = log_probabilities.data<T>() + r * cols;
                    const T* g = gradient.data<T>() + r * cols;
                    double sum = 0;
                    for (std::int64_t c = 0; c < cols; ++c) sum += static_cast<double>(g[c]);
                    for (std::int64_t c = 0; c < cols; ++c)
                        dx.data<T>()[r * cols + c] = g[c] - std::exp(y[c]) * static_cast<T>(sum);
                }
            });
        });
        return dx;
    }

    void batched_gemm(const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, Tensor& c) override {
        const auto sizes = [](const Tensor& x) {
            const std::int64_t cols = last(x);
            const std::int64_t rows = x.shape()[x.shape().size() - 2];
            return HostMatrix{nullptr, x.dtype(), rows, cols, cols};
        };
        const HostMatrix each_a = sizes(a);
        const HostMatrix each_b = sizes(b);
        const HostMatrix each_c = sizes(c);
        const std::int64_t elements = each_c.rows * each_c.cols;
        if (elements == 0) return;
        const auto at = [](const Tensor& x, HostMatrix view, std::int64_t i) {
            view.data =
                x.bytes().data() + static_cast<std::size_t>(i * view.rows * view.cols) * size_of(view.type);
            return view;
        };
        parallel_for(c.size() / elements, 1, [&](std::int64_t i, std::int64_t) {
            gemm_tile(at(a, each_a, i), ta, at(b, each_b, i), tb,
                      c.bytes().data() + static_cast<std::size_t>(i * elements) * size_of(c.dtype()),
                      each_c.cols, false);
        });
    }

    void copy_strided(const Shape& extents, const Tensor& from, const Strides& from_strides, Tensor& to,
                      const Strides& to_strides, bool accumulate) override {
        cpu::copy_strided(extents, from, from_strides, to, to_strides, accumulate);
    }

    Tensor attention(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
                     DType compute, Tensor& log_sums) override {
        return cpu::attention(*this, shape, q, k, v, compute, log_sums);
    }
    void attention_backward(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
                            const Tensor& output, const Tensor& log_sums, const Tensor& gradient,
                            DType compute, Tensor& dq, Tensor& dk, Tensor& dv) override {
        cpu::attention_backward(*this, shape, q, k, v, output, log_sums, gradient, compute, dq, dk, dv);
    }

    Tensor cached_attention(const AttentionShape& shape, const Tensor& q,
                            const KeyValueCache& cache) override {
        return cpu::cached_attention(shape, q, cache);
    }

    TokenScores score_tokens(const Tensor& features, const BoundWeight& head,
                             std::span<const std::int32_t> targets, const Tensor* reference,
                             const BoundWeight* reference_head, double soft_cap) override {
        return cpu::score_tokens(features, head, targets, reference, reference_head, soft_cap);
    }
    double cross_entropy_backward(const Tensor& features, const Tensor& head,
                                  std::span<const std::int32_t> targets, double soft_cap, double factor,
                                  Tensor& feature_gradient) override {
        return cpu::cross_entropy_backward(*this, features, head, targets, soft_cap, factor,
                                           feature_gradient);
    }
    double kl_backward(const Tensor& features, const Tensor& head, const Tensor& reference,
                       const Tensor& reference_head, double soft_cap, double factor, Tensor& feature_gradient,
                       Tensor* head_gradient) override {
        return cpu::kl_backward(*this, features, head, reference, reference_head, soft_cap, factor,
                                feature_gradient, head_gradient);
    }

    double squared_error(const Tensor& a, const Tensor& b, double factor, Tensor& gradient) override {
        check_same(a, b, "squared error");
        gradient = Tensor::empty(a.shape(), a.dtype());
        return by_type(a, [&](auto zero) {
            using T = decltype(zero);
            return parallel_sum(a.size(), element_grain, [&](std::int64_t begin, std::int64_t end) {
                return dense_kernels<T>().squared_error(end - begin, a.data<T>() + begin, b.data<T>() + begin,
                                                        static_cast<T>(factor), gradient.data<T>() + begin);
            });
        });
    }

    void decode_codes(const CodedMatrix& matrix, Tensor& out) override { cpu::decode_codes(matrix, out); }
    Tensor table_gradient(const CodedMatrix& matrix, const Tensor& gradient, std::int64_t tables) override {
        return cpu::table_gradient(matrix, gradient, tables);
    }
    void adam(Tensor& value, const Tensor& gradient, const AdamStep& adam, std::span<const double> rates,
              Tensor& first_moment, Tensor& second_moment) override {
        cpu::adam(value, gradient, adam, rates, first_moment, second_moment);
    }

  private:
    /// `count` rows of the view from `first` on; columns where `of_columns`.
    static HostMatrix part(HostMatrix view, bool of_columns, std::int64_t first, std::int64_t count) {
        const std::int64_t offset = of_columns ? first : first * view.stride;
        view.data =
            static_cast<const std::byte*>(view.data) + static_cast<std::size_t>(offset) * size_of(view.type);
        (of_columns ? view.cols : view.rows) = count;
        return view;
    }

    /// total += what `body` sums into its own row of zeros over chunks of rows; chunks are added in order.
    template <class T, class Body>
    static void sum_partial_rows(std::int64_t rows, std::int64_t cols, Tensor& total, Body body) {
        ensure(total.size() == cols, "a sum over rows of {} into {}", cols, shown(total.shape()));
        const std::int64_t grain = std::max<std::int64_t>(64, row_grain(cols));
        const std::int64_t chunks = (rows + grain - 1) / grain;
        Tensor partial = Tensor::zeros({chunks, cols}, DTypeOf<T>::value);
        parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
            body(begin, end, partial.data<T>() + begin / grain * cols);
        });
        for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
            dense_kernels<T>().add_scaled(cols, partial.data<T>() + chunk * cols, T(1), total.data<T>());
    }
};

}  // namespace

Backend& cpu_backend() {
    static CpuBackend instance;
    return instance;
}

}  // namespace jlcm
