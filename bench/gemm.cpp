// Rates of the products that learning a block is made of, as our backend does them, beside OpenBLAS and
// Eigen. Usage: gemm [threads]. Best of several repetitions; the other libraries run on one thread.
#include "core/backend/backend.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>

#include <Eigen/Core>
#include <cblas.h>

extern "C" void openblas_set_num_threads(int threads);

namespace {

using namespace jlcm;

double best_seconds(const std::function<void()>& work) {
    work();
    double best = 1e9;
    const double start = now_seconds();
    for (int i = 0; i < 50 && (i < 5 || now_seconds() - start < 0.5); ++i) {
        const double begin = now_seconds();
        work();
        best = std::min(best, now_seconds() - begin);
    }
    return best;
}

Tensor ones(Shape shape, DType type) {
    Tensor tensor = Tensor::empty(std::move(shape));
    cpu_backend().fill(tensor, 1.0);
    return cpu_backend().convert(tensor, type);
}

struct Product {
    const char* name;
    std::int64_t m, n, k;
    Transpose ta, tb;
};

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Map = Eigen::Map<const Matrix>;

void measure(const Product& p) {
    const double flops = 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    const bool ta = p.ta == Transpose::yes;
    const bool tb = p.tb == Transpose::yes;
    const Shape a_shape = ta ? Shape{p.k, p.m} : Shape{p.m, p.k};
    const Shape b_shape = tb ? Shape{p.n, p.k} : Shape{p.k, p.n};
    Tensor c = Tensor::empty({p.m, p.n});
    fmt::print("{:<28} {:>5} x {:>5} x {:>5}", p.name, p.m, p.n, p.k);
    for (const DType type : {DType::f32, DType::bf16}) {
        if (type == DType::bf16 && !cpu_backend().has_bfloat16()) continue;
        const Tensor a = ones(a_shape, type);
        const Tensor b = ones(b_shape, type);
        fmt::print("  {:>8.0f}", flops / 1e9 / best_seconds([&] {
                                     cpu_backend().gemm(matrix(a), p.ta, matrix(b), p.tb, c, false);
                                 }));
    }
    const Tensor a = ones(a_shape, DType::f32);
    const Tensor b = ones(b_shape, DType::f32);
    fmt::print("  {:>8.0f}",
               flops / 1e9 / best_seconds([&] {
                   cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
                               static_cast<int>(p.m), static_cast<int>(p.n), static_cast<int>(p.k), 1.0F,
                               a.data<float>(), static_cast<int>(a.cols()), b.data<float>(),
                               static_cast<int>(b.cols()), 0.0F, c.data<float>(), static_cast<int>(p.n));
               }));
    const Map ma(a.data<float>(), a.rows(), a.cols());
    const Map mb(b.data<float>(), b.rows(), b.cols());
    Eigen::Map<Matrix> mc(c.data<float>(), p.m, p.n);
    fmt::print("  {:>8.0f}\n", flops / 1e9 / best_seconds([&] {
                                   if (ta) {
                                       mc.noalias() = ma.transpose() * mb;
                                   } else if (tb) {
                                       mc.noalias() = ma * mb.transpose();
                                   } else {
                                       mc.noalias() = ma * mb;
                                   }
                               }));
}

}  // namespace

int main(int argc, char** argv) {
    set_thread_count(argc > 1 ? std::atoi(argv[1]) : 1);
    openblas_set_num_threads(1);
    fmt::print("{}; {} thread(s) for jlcm, 1 for the others; GFLOP/s\n", cpu_backend().describe(),
               thread_count());
    fmt::print("{:<28} {:>21}  {:>8}  {:>8}  {:>8}  {:>8}\n", "product", "m x n x k", "float32", "bfloat16",
               "OpenBLAS", "Eigen");
    for (const std::int64_t tokens : {1024, 2048}) {
        measure({"forward, gate", tokens, 1536, 576, Transpose::no, Transpose::yes});
        measure({"forward, down", tokens, 576, 1536, Transpose::no, Transpose::yes});
        measure({"forward, key", tokens, 192, 576, Transpose::no, Transpose::yes});
        measure({"input gradient, gate", tokens, 576, 1536, Transpose::no, Transpose::no});
        measure({"input gradient, down", tokens, 1536, 576, Transpose::no, Transpose::no});
        measure({"weight gradient, gate", 1536, 576, tokens, Transpose::yes, Transpose::no});
        measure({"weight gradient, down", 576, 1536, tokens, Transpose::yes, Transpose::no});
        measure({"weight gradient, key", 192, 576, tokens, Transpose::yes, Transpose::no});
    }
    measure({"attention scores, one head", 256, 256, 64, Transpose::no, Transpose::yes});
    measure({"attention mix, one head", 256, 64, 256, Transpose::no, Transpose::no});
    measure({"logits of a tile", 128, 2048, 576, Transpose::no, Transpose::yes});
    return 0;
}
