// Products of one token with weights that stay packed, in the shape of a 7B model's attention: how near they
// come to the speed at which the same memory can be read, and how they stand to a bfloat16 product.
// Usage: packed [matrices] [repetitions]. Every matrix is read, multiplied and timed in turn, and the least
// time of each counts, so that other work on the machine disturbs all columns alike.
#include "core/backend/backend.hpp"
#include "core/backend/packed_product.hpp"
#include "core/base/log.hpp"
#include "core/base/parallel.hpp"
#include "core/base/rng.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>

namespace {

using namespace jlcm;

constexpr std::int64_t side = 4096;

/// The sum of the least times of a piece of work on each matrix.
class LeastTimes {
  public:
    explicit LeastTimes(std::int64_t matrices)
        : seconds_(static_cast<std::size_t>(matrices), std::numeric_limits<double>::infinity()) {}
    void time(std::int64_t matrix, const std::function<void()>& work) {
        const double begin = now_seconds();
        work();
        auto& least = seconds_[static_cast<std::size_t>(matrix)];
        least = std::min(least, now_seconds() - begin);
    }
    [[nodiscard]] double total() const { return std::accumulate(seconds_.begin(), seconds_.end(), 0.0); }

  private:
    std::vector<double> seconds_;
};

/// Reads bytes and does nothing else.
void read(const std::byte* bytes, std::int64_t count) {
    static std::atomic<std::uint64_t> sink;
    parallel_for(count, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
        std::uint64_t sums[32] = {};
        for (std::int64_t at = begin; at + 256 <= end; at += 256) {
            std::uint64_t words[32];
            std::memcpy(words, bytes + at, sizeof words);
            for (int i = 0; i < 32; ++i) sums[i] += words[i];
        }
        sink += std::accumulate(sums, sums + 32, std::uint64_t{0});
    });
}

/// Bytes of weights a second and token, and what they are compared with.
void measure(const char* name, CodedRows weight, std::int64_t matrices, int repetitions) {
    weight.rows = weight.cols = side;
    const std::int64_t size = side * weight.row_bytes();
    Tensor bytes = Tensor::empty({matrices, size}, DType::u8);
    const Rng rng(1, "codes");
    for (std::int64_t i = 0; i < bytes.size(); i += 8) {
        const std::uint64_t bits = rng.bits(static_cast<std::uint64_t>(i));
        std::memcpy(bytes.data<std::uint8_t>() + i, &bits, 8);
    }
    const Tensor dense = Tensor::zeros({side, side}, DType::bf16);
    Tensor x = Tensor::empty({1, side});
    for (std::int64_t i = 0; i < side; ++i)
        x.data<float>()[i] = static_cast<float>(rng.normal(static_cast<std::uint64_t>(i)));
    const Tensor x16 = x.to(DType::bf16);
    Tensor y = Tensor::empty({1, side});
    for (const int threads : {1, 2}) {
        set_thread_count(threads);
        LeastTimes reading(matrices);
        LeastTimes product(matrices);
        LeastTimes dense_product(1);
        for (int repetition = 0; repetition < repetitions; ++repetition) {
            for (std::int64_t matrix = 0; matrix < matrices; ++matrix)
                reading.time(matrix, [&] { read(bytes.bytes().data() + matrix * size, size); });
            for (std::int64_t matrix = 0; matrix < matrices; ++matrix) {
                weight.bytes = bytes.bytes().data() + matrix * size;
                product.time(matrix, [&] {
                    packed_product(weight,
                                   quantise_activations(x.data<float>(), 1, side, activation_order(weight)),
                                   y.data<float>());
                });
            }
            if (cpu_backend().has_bfloat16())
                dense_product.time(0, [&] {
                    cpu_backend().gemm(matrix(x16), Transpose::no, matrix(dense), Transpose::yes, y, false);
                });
        }
        const double gigabytes = static_cast<double>(matrices * size) / 1e9;
        fmt::print("{:<8} {:>7} {:>10.1f} {:>10.1f} {:>8.0f} % {:>12.0f} {:>12.0f}\n", name, threads,
                   gigabytes / product.total(), gigabytes / reading.total(),
                   100 * reading.total() / product.total(),
                   1e6 * product.total() / static_cast<double>(matrices), 1e6 * dense_product.total());
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::int64_t matrices = argc > 1 ? std::atoi(argv[1]) : 96;
    const int repetitions = argc > 2 ? std::atoi(argv[2]) : 10;
    fmt::print("{}; packed products by {}; {} matrices of {} x {}, one token\n", cpu_backend().describe(),
               packed_kernels_name(), matrices, side, side);
    fmt::print("{:<8} {:>7} {:>10} {:>10} {:>10} {:>12} {:>12}\n", "weights", "threads", "GB/s", "read GB/s",
               "of it", "us a matrix", "us bfloat16");
    for (const int bits : {1, 2, 3, 4}) {
        std::vector<float> values(static_cast<std::size_t>(side << bits));
        const Rng rng(1, "values");
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(i));
        const CodeTables tables = CodeTables::of(values, 1 << bits);
        CodedRows weight;
        weight.bits = bits;
        weight.tables = &tables;
        measure(fmt::format("{} bits", bits).c_str(), weight, matrices, repetitions);
    }
    for (const Encoding encoding :
         {Encoding::q8_0, Encoding::q4_0, Encoding::q4_1, Encoding::q4_k, Encoding::q5_k, Encoding::q6_k}) {
        CodedRows weight;
        weight.encoding = encoding;
        measure(std::string(name_of(encoding)).c_str(), weight, matrices / 2, repetitions);
    }
    return 0;
}
