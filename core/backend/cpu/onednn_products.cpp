#include "core/backend/cpu/onednn.hpp"
#include "core/backend/cpu/product_library.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <tuple>
#include <unordered_map>

#include <cpuid.h>

namespace jlcm {
namespace cpu {
namespace {

struct CpuidLeaf7 {
    bool amx_bf16 = false;
    bool avx512_bf16 = false;
    CpuidLeaf7() {
        unsigned a = 0;
        unsigned b = 0;
        unsigned c = 0;
        unsigned d = 0;
        if (!__builtin_cpu_supports("avx512bw")) return;
        if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) amx_bf16 = ((d >> 22) & 1U) != 0;
        if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) avx512_bf16 = ((a >> 5) & 1U) != 0;
    }
};

const CpuidLeaf7& features() {
    static const CpuidLeaf7 leaf;
    return leaf;
}

const dnnl::engine& engine() {
    return onednn_engine();
}

struct MatmulKey {
    std::int64_t m, n, k, a_stride, b_stride, c_stride;
    bool ta, tb, accumulate;
    auto operator<=>(const MatmulKey&) const = default;
};

struct Matmul {
    dnnl::matmul primitive;
    dnnl::memory::desc a, b, c, scratch;
};

Matmul make_bfloat16_matmul(const MatmulKey& key) {
    using dnnl::memory;
    const auto strides = [](bool transposed, std::int64_t stride) {
        return transposed ? memory::dims{1, stride} : memory::dims{stride, 1};
    };
    const memory::desc a({key.m, key.k}, memory::data_type::bf16, strides(key.ta, key.a_stride));
    const memory::desc b({key.k, key.n}, memory::data_type::bf16, strides(key.tb, key.b_stride));
    const memory::desc c({key.m, key.n}, memory::data_type::f32, memory::dims{key.c_stride, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (key.accumulate) {
        dnnl::post_ops sum;
        sum.append_sum(1.0F);
        attributes.set_post_ops(sum);
    }
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, engine());
    return {dnnl::matmul(description), a, b, c, description.scratchpad_desc()};
}

/// Shapes that are kept. Prompts and texts of every length have shapes of their own: beyond this all are forgotten,
/// and compiled again if they come again.
constexpr std::size_t kept_shapes = 256;

/// Compiled once for each shape.
Matmul bfloat16_matmul(const MatmulKey& key) {
    static std::shared_mutex mutex;
    static std::map<MatmulKey, Matmul> made;
    {
        const std::shared_lock lock(mutex);
        const auto found = made.find(key);
        if (found != made.end()) return found->second;
    }
    Matmul matmul = make_bfloat16_matmul(key);
    const std::unique_lock lock(mutex);
    if (made.size() >= kept_shapes) made.clear();
    return made.try_emplace(key, std::move(matmul)).first->second;
}

/// A product with its arguments made: attention makes a thousand small ones a step.
class PreparedMatmul {
  public:
    explicit PreparedMatmul(const Matmul& matmul)
        : primitive_(matmul.primitive),
          a_(matmul.a, engine(), DNNL_MEMORY_NONE),
          b_(matmul.b, engine(), DNNL_MEMORY_NONE),
          c_(matmul.c, engine(), DNNL_MEMORY_NONE),
          scratch_(matmul.scratch, engine(), DNNL_MEMORY_NONE),
          scratch_bytes_(static_cast<std::int64_t>(matmul.scratch.get_size())),
          arguments_{{DNNL_ARG_SRC, a_},
                     {DNNL_ARG_WEIGHTS, b_},
                     {DNNL_ARG_DST, c_},
                     {DNNL_ARG_SCRATCHPAD, scratch_}} {}

    void run(dnnl::stream& stream, const void* a, const void* b, float* c, Tensor& scratch) {
        if (!scratch.defined() || scratch.size() < scratch_bytes_)
            scratch = Tensor::empty({std::max<std::int64_t>(scratch_bytes_, 1)}, DType::u8);
        // oneDNN's memory objects take mutable pointers even for what they only read.
        a_.set_data_handle(const_cast<void*>(a));  // NOLINT
        b_.set_data_handle(const_cast<void*>(b));  // NOLINT
        c_.set_data_handle(c);
        scratch_.set_data_handle(scratch.data<std::uint8_t>());
        cpu::run(primitive_, stream, arguments_);
    }

  private:
    dnnl::matmul primitive_;
    dnnl::memory a_, b_, c_, scratch_;
    std::int64_t scratch_bytes_;
    std::unordered_map<int, dnnl::memory> arguments_;
};

void multiply_bfloat16(const MatmulKey& key, const HostMatrix& a, const HostMatrix& b, float* c) {
    thread_local dnnl::stream stream(engine());
    thread_local Tensor scratch;
    thread_local std::map<MatmulKey, PreparedMatmul> prepared;
    auto found = prepared.find(key);
    if (found == prepared.end()) {
        if (prepared.size() >= kept_shapes) prepared.clear();
        found = prepared.emplace(key, bfloat16_matmul(key)).first;
    }
    found->second.run(stream, a.data, b.data, c, scratch);
}

}  // namespace

void multiply(const HostMatrix& a, Transpose ta, const HostMatrix& b, Transpose tb, float* c,
              std::int64_t c_stride, bool accumulate) {
    const auto [m, k] = ta == Transpose::no ? std::pair(a.rows, a.cols) : std::pair(a.cols, a.rows);
    const std::int64_t n = tb == Transpose::no ? b.cols : b.rows;
    use_one_openmp_thread();
    if (a.type == DType::bf16)
        return multiply_bfloat16(
            {m, n, k, a.stride, b.stride, c_stride, ta == Transpose::yes, tb == Transpose::yes, accumulate},
            a, b, c);
    const auto status =
        dnnl_sgemm(ta == Transpose::no ? 'N' : 'T', tb == Transpose::no ? 'N' : 'T', m, n, k, 1.0F,
                   static_cast<const float*>(a.data), a.stride, static_cast<const float*>(b.data), b.stride,
                   accumulate ? 1.0F : 0.0F, c, c_stride);
    if (status != dnnl_success) refuse_product(fmt::format("status {}", static_cast<int>(status)));
}

}  // namespace cpu

bool cpu_has_bfloat16() {
    return cpu::features().amx_bf16 || cpu::features().avx512_bf16;
}
const char* cpu_bfloat16_unit() {
    return cpu::features().amx_bf16 ? "AMX" : (cpu::features().avx512_bf16 ? "AVX512_BF16" : "none");
}

}  // namespace jlcm
