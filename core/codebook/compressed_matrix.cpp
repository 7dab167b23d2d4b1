#include "core/codebook/compressed_matrix.hpp"

#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace jlcm {
namespace {

constexpr std::int64_t grain_weights = 1 << 16;  // weights a parallel chunk handles
constexpr std::int64_t largest_side = std::int64_t{1} << 31;
constexpr std::int64_t most_weights = std::int64_t{1} << 48;  // so that no product below overflows

std::int64_t row_grain(std::int64_t cols) {
    return std::max<std::int64_t>(1, grain_weights / std::max<std::int64_t>(1, cols));
}

void check_shape(const std::string& name, const char* what, const Tensor& tensor, DType type,
                 const Shape& shape) {
    require(tensor.defined() && tensor.dtype() == type && tensor.shape() == shape,
            "{}: {} must be {} {}, found {} {}", name, what, name_of(type), to_string(shape),
            tensor.defined() ? name_of(tensor.dtype()) : "nothing",
            tensor.defined() ? to_string(tensor.shape()) : "");
}

void check_finite(const std::string& name, const char* what, const Tensor& tensor) {
    for (const float v : tensor.values<float>())
        require(std::isfinite(v), "{}: {} hold a value that is not finite", name, what);
}

void check_permutation(const std::string& name, const std::vector<std::int32_t>& order, std::int64_t rows) {
    if (order.empty()) return;
    require(static_cast<std::int64_t>(order.size()) == rows, "{}: a row order of {} entries for {} rows",
            name, order.size(), rows);
    std::vector<bool> seen(order.size(), false);
    for (const auto row : order) {
        require(row >= 0 && row < rows && !seen[static_cast<std::size_t>(row)],
                "{}: the row order is no permutation (row {})", name, row);
        seen[static_cast<std::size_t>(row)] = true;
    }
}

void check_outliers(const std::string& name, const Outliers& outliers, const Layout& layout) {
    if (outliers.row_start.empty() && outliers.column.empty() && outliers.value.empty()) return;
    const auto& start = outliers.row_start;
    require(static_cast<std::int64_t>(start.size()) == layout.rows + 1 && start.front() == 0 &&
                static_cast<std::size_t>(start.back()) == outliers.column.size() &&
                outliers.column.size() == outliers.value.size(),
            "{}: outliers: row starts, columns and values do not fit together", name);
    for (std::size_t row = 0; row + 1 < start.size(); ++row) {
        require(start[row] <= start[row + 1] && start[row + 1] <= start.back(),
                "{}: outliers: row starts must ascend (row {})", name, row);
        for (auto i = static_cast<std::size_t>(start[row]); i < static_cast<std::size_t>(start[row + 1]);
             ++i) {
            const bool ascending =
                i == static_cast<std::size_t>(start[row]) || outliers.column[i - 1] < outliers.column[i];
            require(ascending && outliers.column[i] >= 0 && outliers.column[i] < layout.cols,
                    "{}: outliers: columns of row {} must ascend below {}", name, row, layout.cols);
            require(std::isfinite(outliers.value[i]), "{}: outliers hold a value that is not finite", name);
        }
    }
}

void round_to_f16(const std::string& name, const char* what, std::span<float> values) {
    for (float& value : values) {
        const float rounded = f16_rounded(value);
        require(std::isfinite(rounded), "{}: {} hold {}, which is beyond float16 (65504)", name, what, value);
        value = rounded;
    }
}

}  // namespace

Layout Layout::per_row(std::int64_t rows, std::int64_t cols, int bits) {
    Layout layout;
    layout.rows = layout.row_groups = rows;
    layout.cols = cols;
    layout.bits = bits;
    return layout;
}

Layout Layout::per_tensor(std::int64_t rows, std::int64_t cols, int bits) {
    Layout layout = per_row(rows, cols, bits);
    layout.row_groups = 1;
    return layout;
}

std::vector<std::int32_t> Layout::row_group_of_rows() const {
    std::vector<std::int32_t> groups(static_cast<std::size_t>(rows), 0);
    if (runs.empty()) {
        if (row_groups != 1) std::iota(groups.begin(), groups.end(), 0);
        return groups;
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const std::int64_t end = i + 1 < runs.size() ? runs[i + 1].start : rows;
        std::fill(groups.begin() + runs[i].start, groups.begin() + end,
                  static_cast<std::int32_t>(runs[i].group));
    }
    return groups;
}

void Layout::validate(const std::string& name) const {
    require(
        rows >= 1 && cols >= 1 && rows < largest_side && cols < largest_side && rows * cols < most_weights,
        "{}: a matrix of {} x {}", name, rows, cols);
    require(bits >= 1 && bits <= 8, "{}: {} bits a code; 1 to 8 are possible", name, bits);
    require(dimension >= 1 && cols % dimension == 0, "{}: codeword dimension {} does not divide {} columns",
            name, dimension, cols);
    require(residual >= 1 && residual <= 16, "{}: {} residual codebooks; 1 to 16 are possible", name,
            residual);
    require(column_group >= 0 && column_group <= cols && column_group % dimension == 0,
            "{}: column groups of {} for {} columns and dimension {}", name, column_group, cols, dimension);
    require(row_groups >= 1 && row_groups <= rows, "{}: {} row groups for {} rows", name, row_groups, rows);
    if (runs.empty()) {
        require(row_groups == 1 || row_groups == rows, "{}: {} row groups of {} rows without runs", name,
                row_groups, rows);
        return;
    }
    require(row_groups <= std::ssize(runs), "{}: {} row groups in {} runs", name, row_groups, runs.size());
    require(runs.front().start == 0, "{}: the first run starts at row {}, not 0", name, runs.front().start);
    std::vector<bool> used(static_cast<std::size_t>(row_groups), false);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        require(runs[i].start < rows && (i == 0 || runs[i].start > runs[i - 1].start),
                "{}: run {} starts at row {}", name, i, runs[i].start);
        require(runs[i].group >= 0 && runs[i].group < row_groups, "{}: run {} belongs to group {} of {}",
                name, i, runs[i].group, row_groups);
        used[static_cast<std::size_t>(runs[i].group)] = true;
    }
    const auto unused = std::find(used.begin(), used.end(), false);
    require(unused == used.end(), "{}: row group {} has no rows", name, unused - used.begin());
}

CompressedMatrix CompressedMatrix::zeros(Layout layout) {
    CompressedMatrix matrix;
    matrix.codebooks =
        Tensor::zeros({layout.codebooks(), layout.residual, layout.codewords(), layout.dimension});
    matrix.mapping = Tensor::zeros({layout.residual, layout.rows, layout.codes_per_row()}, DType::u8);
    matrix.layout = std::move(layout);
    return matrix;
}

void CompressedMatrix::validate_without_mapping(const std::string& name) const {
    layout.validate(name);
    const int k = layout.codewords();
    check_shape(name, "codebooks", codebooks, DType::f32,
                {layout.codebooks(), layout.residual, k, layout.dimension});
    check_finite(name, "codebooks", codebooks);
    if (layout.dimension == 1) {
        const float* c = codebooks.data<float>();
        for (std::int64_t i = 0; i + 1 < codebooks.size(); ++i) {
            require((i + 1) % k == 0 || c[i] <= c[i + 1],
                    "{}: codewords {} and {} of codebook {} do not ascend", name, i % k, i % k + 1, i / k);
        }
    }
    if (scales.defined()) {
        check_shape(name, "scales", scales, DType::f32, {layout.groups()});
        check_finite(name, "scales", scales);
    }
    if (offsets.defined()) {
        check_shape(name, "offsets", offsets, DType::f32, {layout.groups()});
        check_finite(name, "offsets", offsets);
    }
    check_permutation(name, row_order, layout.rows);
    check_outliers(name, outliers, layout);
}

void CompressedMatrix::validate(const std::string& name) const {
    validate_without_mapping(name);
    const int k = layout.codewords();
    check_shape(name, "the mapping", mapping, DType::u8,
                {layout.residual, layout.rows, layout.codes_per_row()});
    if (k < 256) {
        const auto codes = mapping.values<std::uint8_t>();
        const auto beyond =
            std::find_if(codes.begin(), codes.end(), [k](std::uint8_t code) { return code >= k; });
        if (beyond != codes.end())
            fail("{}: the mapping names codeword {} of {}", name, static_cast<int>(*beyond), k);
    }
}

void CompressedMatrix::round_to_storage(const std::string& name) {
    round_to_f16(name, "codebooks", codebooks.values<float>());
    if (scales.defined()) round_to_f16(name, "scales", scales.values<float>());
    if (offsets.defined()) round_to_f16(name, "offsets", offsets.values<float>());
    round_to_f16(name, "outliers", outliers.value);
}

CompressedMatrix CompressedMatrix::clone() const {
    CompressedMatrix copy = *this;
    for (Tensor* tensor : {&copy.codebooks, &copy.scales, &copy.offsets, &copy.mapping}) {
        if (tensor->defined()) *tensor = tensor->clone();
    }
    return copy;
}

bool CompressedMatrix::identical(const CompressedMatrix& other) const {
    const auto same = [](const Tensor& a, const Tensor& b) {
        if (a.defined() != b.defined()) return false;
        if (!a.defined()) return true;
        return a.dtype() == b.dtype() && a.shape() == b.shape() &&
               std::memcmp(a.bytes().data(), b.bytes().data(), a.byte_count()) == 0;
    };
    return layout == other.layout && same(codebooks, other.codebooks) && same(scales, other.scales) &&
           same(offsets, other.offsets) && same(mapping, other.mapping) && row_order == other.row_order &&
           outliers == other.outliers;
}

void CompressedMatrix::group_values(std::int64_t group, std::span<float> values) const {
    const float* codewords = codebook(group);
    const float factor = scale(group);
    const float shift = offset(group);
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = factor * codewords[k] + shift;
}

void decode_stored_row(const CompressedMatrix& matrix, const GroupMap& groups, std::int64_t row,
                       const std::uint8_t* codes, std::int64_t stage_stride, float* out) {
    const Layout& layout = matrix.layout;
    const bool scaled = matrix.scales.defined() || matrix.offsets.defined();
    const std::int64_t d = layout.dimension;
    groups.for_each_segment(row, [&](const Segment& segment) {
        for (int stage = 0; stage < layout.residual; ++stage) {
            const float* codebook = matrix.codebook(segment.group, stage);
            const std::uint8_t* code = codes + stage * stage_stride;
            for (std::int64_t i = segment.begin / d; i < segment.end / d; ++i) {
                for (std::int64_t e = 0; e < d; ++e)
                    out[i * d + e] =
                        stage == 0 ? codebook[code[i] * d + e] : out[i * d + e] + codebook[code[i] * d + e];
            }
        }
        if (!scaled) return;
        const float scale = matrix.scale(segment.group);
        const float offset = matrix.offset(segment.group);
        for (std::int64_t j = segment.begin; j < segment.end; ++j) out[j] = out[j] * scale + offset;
    });
    if (matrix.outliers.empty()) return;
    const auto& o = matrix.outliers;
    for (auto i = static_cast<std::size_t>(o.row_start[static_cast<std::size_t>(row)]);
         i < static_cast<std::size_t>(o.row_start[static_cast<std::size_t>(row) + 1]); ++i)
        out[o.column[i]] += o.value[i];
}

Tensor decode(const CompressedMatrix& matrix) {
    const Layout& layout = matrix.layout;
    const GroupMap groups = layout.group_map();
    Tensor result = Tensor::empty({layout.rows, layout.cols});
    const std::uint8_t* codes = matrix.mapping.data<std::uint8_t>();
    const std::int64_t per_row = layout.codes_per_row();
    float* out = result.data<float>();
    parallel_for(layout.rows, row_grain(layout.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row)
            decode_stored_row(matrix, groups, row, codes + row * per_row, layout.rows * per_row,
                              out + matrix.model_row(row) * layout.cols);
    });
    return result;
}

Tensor to_stored_order(const Tensor& matrix, const std::vector<std::int32_t>& row_order) {
    return reorder(matrix, row_order, {});
}

Tensor to_model_order(const Tensor& matrix, const std::vector<std::int32_t>& row_order) {
    return reorder(matrix, inverse_order(row_order), {});
}

Tensor sort_codewords(CompressedMatrix& matrix) {
    const Layout& layout = matrix.layout;
    ensure(layout.dimension == 1, "codewords of dimension {} have no order", layout.dimension);
    const std::int64_t k = layout.codewords();
    const std::int64_t books = layout.codebooks() * layout.residual;
    Tensor former = Tensor::empty({layout.codebooks(), layout.residual, k}, DType::u8);
    std::uint8_t* label = former.data<std::uint8_t>();
    float* codebooks = matrix.codebooks.data<float>();
    bool moved = false;
    for (std::int64_t book = 0; book < books; ++book) {
        std::uint8_t* l = label + book * k;
        float* c = codebooks + book * k;
        std::iota(l, l + k, std::uint8_t{0});
        if (std::is_sorted(c, c + k)) continue;
        moved = true;
        const std::vector<float> before(c, c + k);
        std::stable_sort(l, l + k, [&](std::uint8_t a, std::uint8_t b) { return before[a] < before[b]; });
        for (std::int64_t i = 0; i < k; ++i) c[i] = before[l[i]];
    }
    if (!moved) return {};
    std::vector<std::uint8_t> present(static_cast<std::size_t>(books * k));  // former label -> present label
    for (std::int64_t i = 0; i < books * k; ++i)
        present[static_cast<std::size_t>(i / k * k + label[i])] = static_cast<std::uint8_t>(i % k);
    const GroupMap groups = layout.group_map();
    for (int stage = 0; stage < layout.residual; ++stage) {
        std::uint8_t* codes = matrix.mapping.data<std::uint8_t>() + stage * layout.rows * layout.cols;
        groups.for_each_segment([&](const Segment& segment) {
            const std::int64_t book = layout.codebook_of(segment.group) * layout.residual + stage;
            const std::uint8_t* to = present.data() + book * k;
            for (std::int64_t i = segment.first; i < segment.first + segment.size(); ++i)
                codes[i] = to[codes[i]];
        });
    }
    return former;
}

void require_positive_scales(const std::string& name, const CompressedMatrix& matrix) {
    if (!matrix.scales.defined()) return;
    const auto scales = matrix.scales.values<float>();
    const auto negative = std::find_if(scales.begin(), scales.end(), [](float s) { return s < 0; });
    require(negative == scales.end(), "{}: the scale of group {} is negative", name,
            negative - scales.begin());
}

}  // namespace jlcm
