#include "core/codebook/compressed_matrix.hpp"

#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/codebook/kmeans.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>
#include <array>
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

/// The stored rows' positions in the codebook and scale tables.
struct GroupIndex {
    std::vector<std::int32_t> row_group;
    std::int64_t column_groups;
    std::int64_t group_codes;  ///< codes of a row in a column group
    bool shared;

    explicit GroupIndex(const Layout& layout)
        : row_group(layout.row_group_of_rows()),
          column_groups(layout.column_groups()),
          group_codes(layout.column_group == 0 ? std::max<std::int64_t>(1, layout.codes_per_row())
                                               : layout.column_group / layout.dimension),
          shared(layout.shared_codebook) {}
    [[nodiscard]] std::int64_t group(std::int64_t row, std::int64_t column_group) const {
        return row_group[static_cast<std::size_t>(row)] * column_groups + column_group;
    }
    [[nodiscard]] std::int64_t codebook(std::int64_t row, std::int64_t column_group) const {
        return shared ? 0 : group(row, column_group);
    }
};

/// Calls visit(codebook, residual stage, codes of one row of one column group) over the whole mapping.
template <class Mapping, class Visit>
void for_each_stretch(const Layout& layout, Mapping* codes, Visit visit) {
    const GroupIndex index(layout);
    const std::int64_t per_row = layout.codes_per_row();
    for (int stage = 0; stage < layout.residual; ++stage) {
        for (std::int64_t row = 0; row < layout.rows; ++row) {
            for (std::int64_t g = 0; g < index.column_groups; ++g) {
                const std::int64_t begin = g * index.group_codes;
                const std::int64_t end = std::min(per_row, begin + index.group_codes);
                visit(index.codebook(row, g), stage, row, begin,
                      std::span<Mapping>(codes + (stage * layout.rows + row) * per_row + begin,
                                         static_cast<std::size_t>(end - begin)));
            }
        }
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

void CompressedMatrix::validate(const std::string& name) const {
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
    check_shape(name, "the mapping", mapping, DType::u8,
                {layout.residual, layout.rows, layout.codes_per_row()});
    if (k < 256) {
        const auto codes = mapping.values<std::uint8_t>();
        const auto beyond =
            std::find_if(codes.begin(), codes.end(), [k](std::uint8_t code) { return code >= k; });
        if (beyond != codes.end())
            fail("{}: the mapping names codeword {} of {}", name, static_cast<int>(*beyond), k);
    }
    check_permutation(name, row_order, layout.rows);
    check_outliers(name, outliers, layout);
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

Tensor decode(const CompressedMatrix& matrix) {
    const Layout& layout = matrix.layout;
    const GroupIndex index(layout);
    Tensor result = Tensor::empty({layout.rows, layout.cols});
    const float* codebooks = matrix.codebooks.data<float>();
    const std::uint8_t* codes = matrix.mapping.data<std::uint8_t>();
    const float* scales = matrix.scales.defined() ? matrix.scales.data<float>() : nullptr;
    const float* offsets = matrix.offsets.defined() ? matrix.offsets.data<float>() : nullptr;
    const std::int64_t d = layout.dimension;
    const std::int64_t k = layout.codewords();
    const std::int64_t per_row = layout.codes_per_row();
    float* out = result.data<float>();
    parallel_for(layout.rows, row_grain(layout.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t to = matrix.model_row(row);
            float* w = out + to * layout.cols;
            for (std::int64_t g = 0; g < index.column_groups; ++g) {
                const std::int64_t first = g * index.group_codes;
                const std::int64_t last = std::min(per_row, first + index.group_codes);
                for (int stage = 0; stage < layout.residual; ++stage) {
                    const float* codebook =
                        codebooks + (index.codebook(row, g) * layout.residual + stage) * k * d;
                    const std::uint8_t* code = codes + (stage * layout.rows + row) * per_row;
                    for (std::int64_t i = first; i < last; ++i) {
                        for (std::int64_t e = 0; e < d; ++e)
                            w[i * d + e] = stage == 0 ? codebook[code[i] * d + e]
                                                      : w[i * d + e] + codebook[code[i] * d + e];
                    }
                }
                const float scale = scales != nullptr ? scales[index.group(row, g)] : 1.0F;
                const float offset = offsets != nullptr ? offsets[index.group(row, g)] : 0.0F;
                if (scales != nullptr || offsets != nullptr) {
                    for (std::int64_t j = first * d; j < last * d; ++j) w[j] = w[j] * scale + offset;
                }
            }
            if (!matrix.outliers.empty()) {
                const auto& o = matrix.outliers;
                for (auto i = static_cast<std::size_t>(o.row_start[static_cast<std::size_t>(row)]);
                     i < static_cast<std::size_t>(o.row_start[static_cast<std::size_t>(row) + 1]); ++i)
                    w[o.column[i]] += o.value[i];
            }
        }
    });
    return result;
}

Tensor to_stored_order(const Tensor& matrix, const std::vector<std::int32_t>& row_order) {
    return reorder(matrix, row_order, {});
}

Tensor to_model_order(const Tensor& matrix, const std::vector<std::int32_t>& row_order) {
    std::vector<std::int32_t> place(row_order.size());
    for (std::size_t i = 0; i < place.size(); ++i)
        place[static_cast<std::size_t>(row_order[i])] = static_cast<std::int32_t>(i);
    return reorder(matrix, place, {});
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
    for_each_stretch(
        layout, matrix.mapping.data<std::uint8_t>(),
        [&](std::int64_t book, int stage, std::int64_t, std::int64_t, std::span<std::uint8_t> codes) {
            const std::uint8_t* to = present.data() + (book * layout.residual + stage) * k;
            for (auto& code : codes) code = to[code];
        });
    return former;
}

void require_positive_scales(const std::string& name, const CompressedMatrix& matrix) {
    if (!matrix.scales.defined()) return;
    const auto scales = matrix.scales.values<float>();
    const auto negative = std::find_if(scales.begin(), scales.end(), [](float s) { return s < 0; });
    require(negative == scales.end(), "{}: the scale of group {} is negative", name,
            negative - scales.begin());
}

Tensor codeword_usage(const CompressedMatrix& matrix) {
    const Layout& layout = matrix.layout;
    const std::int64_t k = layout.codewords();
    Tensor usage = Tensor::zeros({layout.codebooks(), layout.residual, k}, DType::i32);
    std::int32_t* count = usage.data<std::int32_t>();
    for_each_stretch(
        layout, matrix.mapping.data<std::uint8_t>(),
        [&](std::int64_t book, int stage, std::int64_t, std::int64_t, std::span<const std::uint8_t> codes) {
            for (const auto code : codes) ++count[(book * layout.residual + stage) * k + code];
        });
    return usage;
}

namespace {

/// One weight of a codebook: where it is and what it should be, in units of the codebook.
struct Member {
    std::int64_t position;  ///< in the mapping
    float target;
    float importance;  ///< its scale squared
};

/// Splits the worst cells of one codebook for its unused codewords. Returns how many it could fill.
std::int64_t refill_codebook(std::span<float> codebook, std::vector<std::vector<Member>>& cells,
                             std::uint8_t* codes) {
    std::int64_t filled = 0;
    std::vector<double> error(cells.size(), 0.0);
    const auto measure = [&](std::size_t cell) {
        error[cell] = 0;
        for (const auto& m : cells[cell]) {
            const double distance = static_cast<double>(m.target) - static_cast<double>(codebook[cell]);
            error[cell] += static_cast<double>(m.importance) * distance * distance;
        }
    };
    for (std::size_t cell = 0; cell < cells.size(); ++cell) measure(cell);
    KMeans1d kmeans;
    for (std::size_t empty = 0; empty < cells.size(); ++empty) {
        if (!cells[empty].empty()) continue;
        const auto worst =
            static_cast<std::size_t>(std::max_element(error.begin(), error.end()) - error.begin());
        if (!(error[worst] > 0)) break;
        std::vector<float> values;
        std::vector<float> weights;
        for (const auto& m : cells[worst]) {
            values.push_back(m.target);
            weights.push_back(m.importance);
        }
        std::array<float, 2> halves{};
        kmeans.exact(values, weights, halves);
        if (halves[0] == halves[1]) {  // one distinct value: its codeword was off; nothing to split
            codebook[worst] = halves[0];
            error[worst] = 0;
            --empty;  // the same unused codeword gets another chance with the next worst cell
            continue;
        }
        const float threshold = std::midpoint(halves[0], halves[1]);
        std::vector<Member> kept;
        for (const auto& m : cells[worst]) {
            if (m.target > threshold) {
                codes[m.position] = static_cast<std::uint8_t>(empty);
                cells[empty].push_back(m);
            } else {
                kept.push_back(m);
            }
        }
        cells[worst] = std::move(kept);
        codebook[worst] = halves[0];
        codebook[empty] = halves[1];
        measure(worst);
        measure(empty);
        ++filled;
    }
    return filled;
}

}  // namespace

std::int64_t refill_unused_codewords(CompressedMatrix& matrix, const Tensor& weights) {
    const Layout& layout = matrix.layout;
    ensure(layout.dimension == 1 && layout.residual == 1,
           "unused codewords are refilled for scalar codewords only");
    ensure(weights.rows() == layout.rows && weights.cols() == layout.cols,
           "weights {} for a matrix of {} x {}", to_string(weights.shape()), layout.rows, layout.cols);
    const std::int64_t k = layout.codewords();
    const Tensor usage = codeword_usage(matrix);
    const auto used = usage.values<std::int32_t>();
    std::vector<bool> wanted(static_cast<std::size_t>(layout.codebooks()), false);
    bool any = false;
    for (std::size_t i = 0; i < used.size(); ++i) {
        if (used[i] == 0) wanted[i / static_cast<std::size_t>(k)] = any = true;
    }
    if (!any) return 0;

    const GroupIndex index(layout);
    const Tensor stored = to_stored_order(weights, matrix.row_order);
    std::uint8_t* codes = matrix.mapping.data<std::uint8_t>();
    const auto value_or = [](const Tensor& tensor, std::int64_t i, float otherwise) {
        const float* values = tensor.defined() ? tensor.data<float>() : nullptr;
        return values != nullptr ? values[i] : otherwise;
    };
    std::int64_t filled = 0;
    std::vector<std::vector<std::vector<Member>>> cells(wanted.size());
    for_each_stretch(
        layout, codes,
        [&](std::int64_t book, int, std::int64_t row, std::int64_t begin, std::span<std::uint8_t> stretch) {
            if (!wanted[static_cast<std::size_t>(book)]) return;
            auto& book_cells = cells[static_cast<std::size_t>(book)];
            book_cells.resize(static_cast<std::size_t>(k));
            const std::int64_t group = index.group(row, begin / index.group_codes);
            const float scale = value_or(matrix.scales, group, 1.0F);
            const float offset = value_or(matrix.offsets, group, 0.0F);
            if (scale == 0) return;
            for (std::size_t i = 0; i < stretch.size(); ++i) {
                const std::int64_t position = row * layout.cols + begin + static_cast<std::int64_t>(i);
                const float w = stored.data<float>()[position];
                book_cells[stretch[i]].push_back({position, (w - offset) / scale, scale * scale});
            }
        });
    for (std::size_t book = 0; book < cells.size(); ++book) {
        if (cells[book].empty()) continue;
        filled += refill_codebook({matrix.codebooks.data<float>() + static_cast<std::int64_t>(book) * k,
                                   static_cast<std::size_t>(k)},
                                  cells[book], codes);
    }
    sort_codewords(matrix);
    return filled;
}

}  // namespace jlcm
