#include "core/codebook/tile_kernels.hpp"
#include "plugins/solver/lnq/lnq_kernels.hpp"

namespace jlcm::JLCM_ISA {
namespace {

constexpr std::int64_t panel =
    solver_columns;  // columns whose gradients are held while they are decided one by one

/// out = a panel of rows of H times the tile, all lanes. A stretch of the tile stays in cache for the whole
/// panel.
void product_panel(std::int64_t cols, const float* second_moments, const float* tile, float* out) {
    constexpr std::int64_t stretch = 4096;
    for (std::int64_t from = 0; from < cols; from += stretch) {
        const std::int64_t count = cols - from < stretch ? cols - from : stretch;
        for (std::int64_t c = 0; c < panel; c += tile_columns)
            for (std::int64_t l = 0; l < lanes; l += lane_vectors * width)
                product_tile(count, second_moments + c * cols + from, cols, tile + from * lanes + l,
                             out + c * lanes + l, from > 0);
    }
}

void multiply(std::int64_t cols, const float* second_moments, const float* tile, float* product) {
    for (std::int64_t j = 0; j < cols; j += panel)
        product_panel(cols, second_moments + j * cols, tile, product + j * lanes);
}

void descend(std::int64_t cols, const float* second_moments, const float* inverse_diagonal, int k,
             const float* codewords, const float* thresholds, float* value, float* residual,
             std::uint8_t* codes) {
    alignas(64) float gradient[panel * lanes];
    alignas(64) float target[lanes];
    alignas(64) float chosen[lanes];
    alignas(64) float change[lanes];
    alignas(64) std::int32_t code[lanes];
    for (std::int64_t begin = 0; begin < cols; begin += panel) {
        product_panel(cols, second_moments + begin * cols, residual, gradient);
        for (std::int64_t c = 0; c < panel; ++c) {
            const std::int64_t j = begin + c;
            const float inverse = inverse_diagonal[j];
            const float* row = second_moments + j * cols + begin;
            float* present = value + j * lanes;
            float* rest = residual + j * lanes;
            const float* slope = gradient + c * lanes;
            for (std::int64_t l = 0; l < lanes; ++l) target[l] = present[l] - slope[l] * inverse;
            nearest_codewords(k, codewords, thresholds, target, chosen, code);
            for (std::int64_t l = 0; l < lanes; ++l) {
                change[l] = chosen[l] - present[l];
                present[l] = chosen[l];
                rest[l] += change[l];
            }
            for (std::int64_t l = 0; l < lanes; ++l)
                codes[j * lanes + l] = static_cast<std::uint8_t>(code[l]);
            for (std::int64_t later = c + 1; later < panel; ++later) {
                const float h = row[later];
                float* g = gradient + later * lanes;
                for (std::int64_t l = 0; l < lanes; ++l) g[l] += h * change[l];
            }
        }
    }
}

void sum_by_code(std::int64_t cols, int k, const float* product, const std::uint8_t* codes, float* sums) {
    for (std::int64_t i = 0; i < k * lanes; ++i) sums[i] = 0;
    if (k <= 16) {
        for (std::int64_t j = 0; j < cols; ++j) {
            const float* p = product + j * lanes;
            const std::uint8_t* code = codes + j * lanes;
            for (int c = 0; c < k; ++c) {
                float* sum = sums + c * lanes;
                for (std::int64_t l = 0; l < lanes; ++l) sum[l] += code[l] == c ? p[l] : 0.0F;
            }
        }
        return;
    }
    for (std::int64_t j = 0; j < cols; ++j)
        for (std::int64_t l = 0; l < lanes; ++l)
            sums[codes[j * lanes + l] * lanes + l] += product[j * lanes + l];
}

// ---- P^T H P
// H is cut into chunks of 64 columns i and blocks of 128 rows j. Per row of codes, the rows j of a block are
// listed by code; the sum of H's rows over a list is K times cheaper than a product with an indicator matrix.
// The sum for a row's most frequent code, if it has its share of the columns, is what the other codes leave
// of the sum of all of H's rows, which all rows of codes share. (Of a rare one, rounding would be left.)
// By symmetry only j >= i is visited: pairs within a chunk's own 64 x 64 square count half, all others stand
// for (i, j) and (j, i).

constexpr std::int64_t chunk = solver_columns;
constexpr std::int64_t block = 2 * chunk;

struct GramScratch {
    float* packed;            // [block, chunk]
    float* sums;              // [rows, k, chunk]
    float* total;             // [chunk]: the sum over all codes
    std::uint16_t* frequent;  // [rows]: the code that most columns have; k: none is frequent
    std::uint16_t* columns;   // [rows, cols]: each block's columns sorted by code, relative to the block
    std::uint16_t* begins;  // [rows, blocks, 2 k + 1]: where a code's columns of the block's first and second
                            // chunk begin
};

GramScratch carve(void* memory, std::int64_t cols, std::int64_t rows, int k) {
    auto* at = static_cast<char*>(memory);
    const auto take = [&at](std::int64_t bytes) {
        char* part = at;
        at += (bytes + 63) / 64 * 64;
        return part;
    };
    GramScratch scratch{};
    scratch.packed = reinterpret_cast<float*>(take(block * chunk * 4));
    scratch.sums = reinterpret_cast<float*>(take(rows * k * chunk * 4));
    scratch.total = reinterpret_cast<float*>(take(chunk * 4));
    scratch.frequent = reinterpret_cast<std::uint16_t*>(take(rows * 2));
    scratch.columns = reinterpret_cast<std::uint16_t*>(take(rows * cols * 2));
    scratch.begins =
        reinterpret_cast<std::uint16_t*>(take(rows * ((cols + block - 1) / block) * (2 * k + 1) * 2));
    return scratch;
}

/// sum[0..chunk) += factor * the rows of `packed` that `list` names.
[[gnu::always_inline]] inline void add_rows(const float* packed, const std::uint16_t* list,
                                            std::int64_t count, float factor, float* sum) {
    constexpr std::int64_t vectors = chunk / width;
    constexpr std::int64_t at_once =
        vectors < 8 ? vectors : 8;  // accumulators: enough to hide an addition's latency
    for (std::int64_t first = 0; first < vectors; first += at_once) {
        Register a[at_once];
        Register b[at_once];
        for (int v = 0; v < at_once; ++v) a[v] = b[v] = Register{};
        std::int64_t i = 0;
        for (; i + 2 <= count; i += 2) {
            const float* x = packed + list[i] * chunk + first * width;
            const float* y = packed + list[i + 1] * chunk + first * width;
            for (int v = 0; v < at_once; ++v) a[v] += *reinterpret_cast<const Vector*>(x + v * width);
            for (int v = 0; v < at_once; ++v) b[v] += *reinterpret_cast<const Vector*>(y + v * width);
        }
        if (i < count) {
            const float* x = packed + list[i] * chunk + first * width;
            for (int v = 0; v < at_once; ++v) a[v] += *reinterpret_cast<const Vector*>(x + v * width);
        }
        for (int v = 0; v < at_once; ++v) {
            auto* s = reinterpret_cast<Vector*>(sum + (first + v) * width);
            *s = *s + factor * (a[v] + b[v]);
        }
    }
}

void list_columns(std::int64_t cols, std::int64_t rows, int k, const float* second_moments,
                  const std::uint8_t* codes, const GramScratch& scratch) {
    const std::int64_t blocks = (cols + block - 1) / block;
    for (std::int64_t row = 0; row < rows; ++row) {
        std::int32_t counts[256] = {};
        for (std::int64_t b = 0; b < blocks; ++b) {
            const std::int64_t size = cols - b * block < block ? cols - b * block : block;
            const std::uint8_t* code = codes + (row / lanes * cols + b * block) * lanes + row % lanes;
            std::uint16_t* begin = scratch.begins + (row * blocks + b) * (2 * k + 1);
            std::uint16_t* list = scratch.columns + row * cols + b * block;
            std::uint16_t next[513] = {};
            for (std::int64_t i = 0; i < size; ++i) ++next[2 * code[i * lanes] + i / chunk + 1];
            for (int q = 0; q < 2 * k; ++q) next[q + 1] = static_cast<std::uint16_t>(next[q + 1] + next[q]);
            for (int q = 0; q <= 2 * k; ++q) begin[q] = next[q];
            for (std::int64_t i = 0; i < size; ++i)
                list[next[2 * code[i * lanes] + i / chunk]++] = static_cast<std::uint16_t>(i);
            for (std::int64_t i = 0; i < size; ++i)
                counts[code[i * lanes]] += second_moments[(b * block + i) * (cols + 1)] != 0.0F;
        }
        int frequent = 0;
        for (int q = 1; q < k; ++q)
            if (counts[q] > counts[frequent]) frequent = q;
        const bool often = counts[frequent] * 8 >= cols;
        scratch.frequent[row] = static_cast<std::uint16_t>(often ? frequent : k);
    }
}

/// total[0..chunk) += factor * rows [first, end) of `packed`.
void add_all_rows(const float* packed, std::int64_t first, std::int64_t end, float factor, float* total) {
    for (std::int64_t j = first; j < end; ++j)
        for (std::int64_t i = 0; i < chunk; ++i) total[i] += factor * packed[j * chunk + i];
}

/// result[p] += sum of x over the columns that list names, for four x at once.
[[gnu::always_inline]] inline void sum_listed(const float* x, std::int64_t stride, int count,
                                              const std::uint16_t* list, std::int64_t first, std::int64_t n,
                                              double* result) {
    float even[4] = {};
    float odd[4] = {};
    std::int64_t i = 0;
    for (; i + 2 <= n; i += 2) {
        const float* a = x + (list[i] - first);
        const float* b = x + (list[i + 1] - first);
        for (int q = 0; q < count; ++q) even[q] += a[q * stride];
        for (int q = 0; q < count; ++q) odd[q] += b[q * stride];
    }
    if (i < n)
        for (int q = 0; q < count; ++q) even[q] += x[list[i] - first + q * stride];
    for (int q = 0; q < count; ++q) result[q] += static_cast<double>(even[q] + odd[q]);
}

/// A list by code would hold a column or two: a row of H is spread over K sums instead, which stay in the
/// first cache.
void add_pairs_by_code(std::int64_t cols, int k, const float* second_moments, const std::uint16_t* codes,
                       double* a) {
    constexpr int spreads = 4;  // sums that take turns, so that equal codes of neighbours need not wait
    for (std::int64_t i = 0; i < cols; ++i) {
        const float* h = second_moments + i * cols;
        float sums[spreads][256];
        for (int s = 0; s < spreads; ++s)
            for (int q = 0; q < k; ++q) sums[s][q] = 0;
        sums[0][codes[i]] = 0.5F * h[i];
        std::int64_t j = i + 1;
        for (; j + spreads <= cols; j += spreads)
            for (int s = 0; s < spreads; ++s) sums[s][codes[j + s]] += h[j + s];
        for (; j < cols; ++j) sums[0][codes[j]] += h[j];
        double* to = a + codes[i] * k;
        for (int q = 0; q < k; ++q)
            to[q] += static_cast<double>((sums[0][q] + sums[1][q]) + (sums[2][q] + sums[3][q]));
    }
}

void code_gram(std::int64_t cols, std::int64_t tiles, int k, const float* second_moments,
               const std::uint8_t* codes, double* a, void* memory) {
    const std::int64_t rows = tiles * lanes;
    const GramScratch scratch = carve(memory, cols, rows, k);
    const std::int64_t blocks = (cols + block - 1) / block;
    list_columns(cols, rows, k, second_moments, codes, scratch);
    for (std::int64_t i = 0; i < rows * k * k; ++i) a[i] = 0;
    for (std::int64_t ic = 0; ic < cols / chunk; ++ic) {
        const std::int64_t own = ic * chunk / block;       // the block that holds this chunk
        const std::int64_t second = ic % (block / chunk);  // whether it is the second one there
        for (std::int64_t i = 0; i < rows * k * chunk; ++i) scratch.sums[i] = 0;
        for (std::int64_t i = 0; i < chunk; ++i) scratch.total[i] = 0;
        for (std::int64_t b = own; b < blocks; ++b) {
            const std::int64_t height = cols - b * block < block ? cols - b * block : block;
            for (std::int64_t j = 0; j < height; ++j)
                for (std::int64_t i = 0; i < chunk; ++i)
                    scratch.packed[j * chunk + i] = second_moments[(b * block + j) * cols + ic * chunk + i];
            const std::int64_t counted =
                b == own ? (second + 1) * chunk : 0;  // pairs below it count half, or not
            if (b == own) add_all_rows(scratch.packed, second * chunk, counted, 0.5F, scratch.total);
            add_all_rows(scratch.packed, counted, height, 1.0F, scratch.total);
            for (std::int64_t row = 0; row < rows; ++row) {
                const std::uint16_t* begin = scratch.begins + (row * blocks + b) * (2 * k + 1);
                const std::uint16_t* list = scratch.columns + row * cols + b * block;
                for (int q = 0; q < k; ++q) {
                    if (q == scratch.frequent[row]) continue;
                    float* sum = scratch.sums + (row * k + q) * chunk;
                    std::int64_t from = begin[2 * q];
                    if (b == own) {
                        const std::int64_t at = begin[2 * q + second];
                        from = begin[2 * q + second + 1];
                        if (from > at) add_rows(scratch.packed, list + at, from - at, 0.5F, sum);
                    }
                    const std::int64_t to = begin[2 * q + 2];
                    if (to > from) add_rows(scratch.packed, list + from, to - from, 1.0F, sum);
                }
            }
        }
        for (std::int64_t row = 0; row < rows; ++row) {
            if (const int frequent = scratch.frequent[row]; frequent < k) {
                float* rest = scratch.sums + (row * k + frequent) * chunk;
                for (std::int64_t i = 0; i < chunk; ++i) rest[i] = scratch.total[i];
                for (int q = 0; q < k; ++q)
                    for (std::int64_t i = 0; i < chunk && q != frequent; ++i)
                        rest[i] -= scratch.sums[(row * k + q) * chunk + i];
            }
            const std::uint16_t* begin = scratch.begins + (row * blocks + own) * (2 * k + 1);
            const std::uint16_t* list = scratch.columns + row * cols + own * block;
            const float* sums = scratch.sums + row * k * chunk;
            for (int p = 0; p < k; ++p) {
                const std::int64_t at = begin[2 * p + second];
                const std::int64_t n = begin[2 * p + second + 1] - at;
                double* result = a + (row * k + p) * k;
                if (n == 0) continue;
                int q = 0;
                for (; q + 4 <= k; q += 4)
                    sum_listed(sums + q * chunk, chunk, 4, list + at, second * chunk, n, result + q);
                if (q < k)
                    sum_listed(sums + q * chunk, chunk, k - q, list + at, second * chunk, n, result + q);
            }
        }
    }
    for (std::int64_t row = 0; row < rows; ++row) {
        double* result = a + row * k * k;
        for (int p = 0; p < k; ++p)
            for (int q = 0; q <= p; ++q)
                result[p * k + q] = result[q * k + p] = result[p * k + q] + result[q * k + p];
    }
}

}  // namespace

extern const LnqKernels lnq;
const LnqKernels lnq{multiply, descend, sum_by_code, code_gram, add_pairs_by_code};

}  // namespace jlcm::JLCM_ISA
