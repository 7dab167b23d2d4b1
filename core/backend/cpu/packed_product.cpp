#include "core/backend/packed_product.hpp"

#include "core/backend/cpu/packed_kernels.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jlcm {

JLCM_DECLARE_KERNELS_OF(JLCM_EVERY_LEVEL, PackedKernels, packed)
JLCM_DECLARE_KERNELS_OF(JLCM_EVERY_LEVEL, BlockKernels, packed_blocks)

const PackedKernels& packed_kernels() {
    return JLCM_SELECT_KERNELS_OF(JLCM_EVERY_LEVEL, packed);
}
const BlockKernels& block_kernels() {
    return JLCM_SELECT_KERNELS_OF(JLCM_EVERY_LEVEL, packed_blocks);
}

namespace {

constexpr std::int64_t most_bits = 4;
constexpr std::int64_t chunk_bytes = 1 << 16;  ///< of codes, that a thread takes at once
constexpr std::int64_t chunk_rows = 4;         ///< what a chunk is a multiple of: rows done at once
constexpr std::int64_t format_columns = 32;    ///< of a block of block formats

/// The width of the plane that holds the lowest bits of a code.
int plane_width(int bits) {
    return bits == 3 ? 2 : bits;
}

/// Columns of a block of codes: 64 bytes of that plane.
std::int64_t code_columns(int bits) {
    return 512 / plane_width(bits);
}

std::int64_t block_columns(ActivationOrder order) {
    switch (order) {
        case ActivationOrder::bits_1:
            return 512;
        case ActivationOrder::bits_2:
            return 256;
        case ActivationOrder::bits_4:
            return 128;
        case ActivationOrder::blocks:
            break;
    }
    return format_columns;
}

BlockKernels::Product product_of(Encoding encoding) {
    const BlockKernels& kernels = block_kernels();
    switch (encoding) {
        case Encoding::q8_0:
            return kernels.q8_0;
        case Encoding::q4_0:
            return kernels.q4_0;
        case Encoding::q4_1:
            return kernels.q4_1;
        case Encoding::q4_k:
            return kernels.q4_k;
        case Encoding::q5_k:
            return kernels.q5_k;
        case Encoding::q6_k:
            return kernels.q6_k;
        default:
            return nullptr;
    }
}

const std::uint8_t* octets(const std::byte* bytes) {
    return reinterpret_cast<const std::uint8_t*>(bytes);  // NOLINT: bytes as unsigned integers
}
const std::int8_t* signed_octets(const Tensor& values) {
    return reinterpret_cast<const std::int8_t*>(values.data<std::uint8_t>());  // NOLINT: int8 kept as u8
}

/// A table's line: value = scale * level + offset.
struct Line {
    double scale = 0;
    double offset = 0;
};

/// Writes the levels of values [K].
Line fit_levels(std::span<const float> values, std::span<std::int8_t> levels) {
    std::ranges::fill(levels, std::int8_t{0});
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
        const double none = std::numeric_limits<double>::quiet_NaN();
        return {none, none};
    }
    const auto [least, greatest] = std::ranges::minmax(values);
    const Line line{(static_cast<double>(greatest) - static_cast<double>(least)) / 254,
                    (static_cast<double>(greatest) + static_cast<double>(least)) / 2};
    if (line.scale > 0)
        for (std::size_t k = 0; k < values.size(); ++k)
            levels[k] = static_cast<std::int8_t>(std::clamp(
                std::nearbyint((static_cast<double>(values[k]) - line.offset) / line.scale), -127.0, 127.0));
    return line;
}

void check_codewords(int codewords) {
    ensure(codewords >= 2 && codewords <= (1 << most_bits) && (codewords & (codewords - 1)) == 0,
           "a table of {} codewords", codewords);
}

/// Blocks of a column group.
std::int64_t group_blocks(const CodedRows& weight, const QuantisedRows& x) {
    return weight.column_groups() == 1 ? x.blocks : weight.column_group / code_columns(weight.bits);
}

/// The sums over the blocks of each column group: [tokens, column groups].
std::vector<float> group_sums(const CodedRows& weight, const QuantisedRows& x) {
    const std::int64_t groups = weight.column_groups();
    const std::int64_t width = group_blocks(weight, x);
    std::vector<float> sums;
    for (std::int64_t token = 0; token < x.tokens; ++token) {
        const float* of_blocks = x.sums.data<float>() + token * x.blocks;
        for (std::int64_t g = 0; g < groups; ++g) {
            float sum = 0;
            for (std::int64_t b = g * width; b < std::min(x.blocks, (g + 1) * width); ++b)
                sum += of_blocks[b];
            sums.push_back(sum);
        }
    }
    return sums;
}

PackedActivations activations_of(const QuantisedRows& x) {
    return {x.tokens,
            x.blocks,
            signed_octets(x.values),
            x.minus_lane_sums.data<std::int32_t>(),
            x.steps.data<float>(),
            x.sums.data<float>(),
            nullptr};
}

PackedCodes codes_of(const CodedRows& weight, const QuantisedRows& x, float* y) {
    const CodeTables& tables = *weight.tables;
    return {.cols = weight.cols,
            .bits = weight.bits,
            .codes = octets(weight.bytes),
            .row_bytes = weight.row_bytes(),
            .levels = tables.levels.data(),
            .level_step = tables.is_shared() ? 0 : tables.codewords,
            .scales = tables.scales.data(),
            .offsets = tables.offsets.data(),
            .row_groups = weight.row_groups,
            .row_group_step = tables.groups() == weight.column_groups() ? 0 : 1,
            .column_groups = weight.column_groups(),
            .group_blocks = group_blocks(weight, x),
            .row_order = weight.row_order,
            .y = y,
            .y_step = weight.rows};
}

/// Rows of a chunk; of the matrix's shape alone.
std::int64_t rows_of_chunk(const CodedRows& weight) {
    const std::int64_t rows = chunk_bytes / std::max<std::int64_t>(1, weight.row_bytes());
    return std::max(chunk_rows, rows / chunk_rows * chunk_rows);
}

/// One product of several, ready to run: its chunks are `first_chunk` and those up to the next one's.
struct Job {
    const CodedRows* weight;
    PackedActivations x;
    std::vector<float> group_sums;
    std::optional<PackedCodes> codes;
    PackedBlocks blocks{};
    std::int64_t first_chunk;
    std::int64_t chunk;  ///< rows

    void run(std::int64_t begin, std::int64_t end) const {
        if (codes) {
            packed_kernels().product(*codes, x, begin, end);
        } else if (weight->encoding) {
            product_of (*weight->encoding)(blocks, x, begin, end);
        }
    }
};

void check_product(const CodedRows& weight, const QuantisedRows& x) {
    const std::string reason = no_kernel_reason(weight);
    ensure(reason.empty(), "a packed product without a kernel: {}", reason);
    ensure(x.cols == weight.cols && x.order == activation_order(weight),
           "activations of {} columns in order {} for a weight of {} columns in order {}", x.cols,
           static_cast<int>(x.order), weight.cols, static_cast<int>(activation_order(weight)));
}

}  // namespace

CodeTables CodeTables::of(std::span<const float> values, int codewords) {
    check_codewords(codewords);
    const auto width = static_cast<std::size_t>(codewords);
    ensure(values.size() % width == 0, "{} values for tables of {}", values.size(), codewords);
    CodeTables tables;
    tables.codewords = codewords;
    tables.levels.resize(values.size());
    tables.scales.reserve(values.size() / width);
    tables.offsets.reserve(values.size() / width);
    for (std::size_t first = 0; first < values.size(); first += width) {
        const Line line =
            fit_levels(values.subspan(first, width), std::span(tables.levels).subspan(first, width));
        tables.scales.push_back(static_cast<float>(line.scale));
        tables.offsets.push_back(static_cast<float>(line.offset));
    }
    return tables;
}

CodeTables CodeTables::of_shared(std::span<const float> codebook, std::span<const float> scales,
                                 std::span<const float> offsets) {
    const auto codewords = static_cast<int>(codebook.size());
    check_codewords(codewords);
    ensure(offsets.empty() || offsets.size() == scales.size(), "{} scales and {} offsets", scales.size(),
           offsets.size());
    CodeTables tables;
    tables.codewords = codewords;
    tables.levels.resize(codebook.size());
    const Line line = fit_levels(codebook, tables.levels);
    tables.scales.reserve(scales.size());
    tables.offsets.reserve(scales.size());
    for (std::size_t g = 0; g < scales.size(); ++g) {
        const double scale = scales[g];
        const double offset = offsets.empty() ? 0.0 : static_cast<double>(offsets[g]);
        tables.scales.push_back(static_cast<float>(scale * line.scale));
        tables.offsets.push_back(static_cast<float>(scale * line.offset + offset));
    }
    return tables;
}

std::int64_t CodedRows::row_bytes() const {
    if (encoding) return cols / block_values(*encoding) * static_cast<std::int64_t>(block_bytes(*encoding));
    return cols * bits / 8;
}

std::string no_kernel_reason(const CodedRows& weight) {
    if (weight.rows < 1 || weight.cols < 1) return "it has no elements";
    if (weight.encoding) {
        if (product_of(*weight.encoding) == nullptr)
            return fmt::format("there are kernels for Q8_0, Q4_0, Q4_1, Q4_K, Q5_K and Q6_K, not for {}",
                               name_of(*weight.encoding));
        if (weight.cols % block_values(*weight.encoding) != 0)
            return fmt::format("rows of {} columns are no whole blocks of {}", weight.cols,
                               name_of(*weight.encoding));
        return "";
    }
    if (weight.bits < 1 || weight.bits > most_bits)
        return fmt::format("there are kernels for codes of 1 to {} bits, not of {}", most_bits, weight.bits);
    const int narrowest = weight.bits == 3 ? 1 : weight.bits;
    if (weight.cols * narrowest % 32 != 0)
        return fmt::format("rows of {} codes of {} bits share words", weight.cols, weight.bits);
    const std::int64_t block = code_columns(weight.bits);
    if (weight.column_group % block != 0 && weight.column_group < weight.cols)
        return fmt::format("column groups of {} are no multiple of {}, the columns of a block",
                           weight.column_group, block);
    return "";
}

ActivationOrder activation_order(const CodedRows& weight) {
    if (weight.encoding) return ActivationOrder::blocks;
    switch (plane_width(weight.bits)) {
        case 1:
            return ActivationOrder::bits_1;
        case 2:
            return ActivationOrder::bits_2;
        default:
            return ActivationOrder::bits_4;
    }
}

QuantisedRows quantise_activations(const float* x, std::int64_t tokens, std::int64_t cols,
                                   ActivationOrder order) {
    const std::int64_t width = block_columns(order);
    const bool in_place = order == ActivationOrder::blocks;
    QuantisedRows rows;
    rows.order = order;
    rows.tokens = tokens;
    rows.cols = cols;
    rows.blocks = (cols + width - 1) / width;
    if (in_place) rows.blocks += rows.blocks % 2;  // kernels take two at once
    const std::int64_t lanes = in_place ? 8 : 16;
    rows.values = Tensor::empty({tokens, rows.blocks, width}, DType::u8);
    rows.minus_lane_sums = Tensor::empty({tokens, rows.blocks, lanes}, DType::i32);
    rows.steps = Tensor::empty({tokens, rows.blocks});
    rows.sums = Tensor::empty({tokens, rows.blocks});
    for (std::int64_t token = 0; token < tokens; ++token) {
        const std::int64_t first = token * rows.blocks;
        // NOLINTNEXTLINE: int8 kept as u8
        auto* values = reinterpret_cast<std::int8_t*>(rows.values.data<std::uint8_t>()) + first * width;
        auto* minus_lane_sums = rows.minus_lane_sums.data<std::int32_t>() + first * lanes;
        auto* steps = rows.steps.data<float>() + first;
        auto* sums = rows.sums.data<float>() + first;
        if (in_place) {
            block_kernels().quantise(x + token * cols, cols, values, minus_lane_sums, steps, sums);
        } else {
            packed_kernels().quantise(static_cast<int>(512 / width), x + token * cols, cols, values,
                                      minus_lane_sums, steps, sums);
        }
    }
    return rows;
}

void rounding_remainder(const float* x, const QuantisedRows& rounded, float* remainder) {
    const std::int64_t width = block_columns(rounded.order);
    const bool in_place = rounded.order == ActivationOrder::blocks;
    // Of codes, lane l of byte b after shift s has column (shifts b + s) words + l (core/codebook/packing.hpp).
    const std::int64_t shifts = in_place ? 1 : width / 64;
    const std::int64_t stride = in_place ? 1 : 4;
    for (std::int64_t token = 0; token < rounded.tokens; ++token)
        for (std::int64_t first = 0; first < rounded.cols; first += width) {
            const std::int64_t block = token * rounded.blocks + first / width;
            const float step = rounded.steps.data<float>()[block];
            const std::int64_t count = std::min(width, rounded.cols - first);
            const std::int64_t words = in_place ? count : count / (4 * shifts);
            for (std::int64_t turn = 0; turn * words < count; ++turn) {
                const std::int8_t* values =
                    signed_octets(rounded.values) + block * width + turn % shifts * 64 + turn / shifts;
                const std::int64_t at = token * rounded.cols + first + turn * words;
                for (std::int64_t l = 0; l < words; ++l)
                    remainder[at + l] = x[at + l] - step * static_cast<float>(values[stride * l]);
            }
        }
}

void packed_products(std::span<const PackedProduct> products, const QuantisedRows& x) {
    std::vector<Job> jobs;
    std::int64_t chunks = 0;
    for (const auto& [weight, y] : products) {
        check_product(*weight, x);
        Job job{weight, activations_of(x), {}, std::nullopt, {}, chunks, rows_of_chunk(*weight)};
        if (weight->encoding) {
            job.blocks = {weight->cols, octets(weight->bytes), weight->row_bytes(), weight->row_order, y,
                          weight->rows};
        } else {
            job.group_sums = group_sums(*weight, x);
            job.codes = codes_of(*weight, x, y);
        }
        chunks += (weight->rows + job.chunk - 1) / job.chunk;
        jobs.push_back(std::move(job));
    }
    for (Job& job : jobs) job.x.group_sums = job.group_sums.data();
    if (x.tokens == 0) return;
    parallel_for(chunks, 1, [&](std::int64_t chunk, std::int64_t) {
        const auto next = std::ranges::upper_bound(jobs, chunk, {}, &Job::first_chunk);
        const Job& job = *std::prev(next);
        const std::int64_t begin = (chunk - job.first_chunk) * job.chunk;
        job.run(begin, std::min(job.weight->rows, begin + job.chunk));
    });
}

const char* packed_kernels_name() {
    return packed_kernels().name;
}

}  // namespace jlcm
