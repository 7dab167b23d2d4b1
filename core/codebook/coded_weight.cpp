#include "core/codebook/coded_weight.hpp"

#include "core/base/half.hpp"
#include "core/codebook/decoding_kernels.hpp"
#include "core/codebook/packing.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>
#include <array>
#include <mutex>

namespace jlcm {
namespace {

/// What both ways to hold codes share.
class CodedWeight : public PackedWeight {
  public:
    explicit CodedWeight(CompressedMatrix values)
        : values_(std::move(values)),
          groups_(values_.layout.group_map()),
          stored_(inverse_order(values_.row_order)),
          is_table_(values_.layout.dimension == 1 && values_.layout.residual == 1 &&
                    values_.outliers.empty()) {}

    std::int64_t rows() const override { return values_.layout.rows; }
    std::int64_t cols() const override { return values_.layout.cols; }

    void decode(std::int64_t begin, std::int64_t end, float* out) const override {
        each_row(begin, end, [&](std::int64_t row, const Codes& codes) {
            if (is_table_) {
                look_up(
                    row, codes.first, out, [](float value) { return value; }, decoding_kernels().look_up);
            } else {
                decode_stored_row(values_, groups_, row, codes.first, codes.stage_stride, out);
            }
            out += cols();
        });
    }

    void decode_bfloat16(std::int64_t begin, std::int64_t end, std::uint16_t* out) const override {
        if (!is_table_) return PackedWeight::decode_bfloat16(begin, end, out);
        each_row(begin, end, [&](std::int64_t row, const Codes& codes) {
            look_up(row, codes.first, out, bf16_from_float, decoding_kernels().look_up_16);
            out += cols();
        });
    }

  protected:
    struct Codes {
        const std::uint8_t* first;  ///< of the first stage
        std::int64_t stage_stride;
    };
    [[nodiscard]] const CompressedMatrix& values() const { return values_; }
    [[nodiscard]] const GroupMap& groups() const { return groups_; }
    /// Whether each group has one table of scalar values.
    [[nodiscard]] bool is_table() const { return is_table_; }
    /// The codes of a stored row; they may lie in memory that the next call on this thread overwrites.
    [[nodiscard]] virtual Codes codes_of(std::int64_t row) const = 0;

  private:
    template <class Body>
    void each_row(std::int64_t begin, std::int64_t end, Body body) const {
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t stored = stored_.empty() ? row : stored_[static_cast<std::size_t>(row)];
            body(stored, codes_of(stored));
        }
    }

    /// Scalar codewords in one stage: one table of values a group.
    template <class T, class Round, class Kernel>
    void look_up(std::int64_t row, const std::uint8_t* codes, T* out, Round round, Kernel kernel) const {
        constexpr std::size_t most_codewords = 256;
        std::array<float, most_codewords> values{};
        std::array<T, most_codewords> table{};
        const auto k = static_cast<std::size_t>(values_.layout.codewords());
        const bool is_scaled = values_.scales.defined() || values_.offsets.defined();
        std::int64_t last = -1;
        groups_.for_each_segment(row, [&](const Segment& segment) {
            if (segment.group != last) {
                if (is_scaled) {
                    values_.group_values(segment.group, std::span(values).first(k));
                } else {
                    std::copy_n(values_.codebook(segment.group), k, values.begin());
                }
                for (std::size_t i = 0; i < k; ++i) table[i] = round(values[i]);
                last = segment.group;
            }
            kernel(values_.layout.codewords(), table.data(), segment.size(), codes + segment.begin,
                   out + segment.begin);
        });
    }

    CompressedMatrix values_;
    GroupMap groups_;
    std::vector<std::int32_t> stored_;  ///< the stored row of each of the model's; empty: in place
    bool is_table_;
};

/// A byte a code, as a run holds them.
class UnpackedWeight final : public CodedWeight {
  public:
    using CodedWeight::CodedWeight;
    std::string describe() const override { return fmt::format("{}-bit codes", values().layout.bits); }
    std::string no_codes_reason() const override { return "its codes are unpacked"; }

  protected:
    Codes codes_of(std::int64_t row) const override {
        const Layout& layout = values().layout;
        return {values().mapping.data<std::uint8_t>() + row * layout.codes_per_row(),
                layout.rows * layout.codes_per_row()};
    }
};

/// As the file has them.
class MappedWeight final : public CodedWeight {
  public:
    explicit MappedWeight(PackedMatrix matrix)
        : CodedWeight(std::move(matrix.values)),
          codes_(matrix.codes),
          owner_(std::move(matrix.owner)),
          lines_(
              PackedLines::of(values().layout.rows, values().layout.codes_per_row(), values().layout.bits)),
          stage_bytes_(static_cast<std::size_t>(lines_.bytes(values().layout.bits))) {}
    std::string describe() const override { return fmt::format("packed {}-bit codes", values().layout.bits); }
    const CodedRows* codes() const override {
        std::call_once(once_, [&] { make_coded_rows(); });
        return no_kernel_.empty() ? &rows_ : nullptr;
    }
    std::string no_codes_reason() const override {
        (void)codes();
        return no_kernel_;
    }

  protected:
    Codes codes_of(std::int64_t row) const override {
        const Layout& layout = values().layout;
        const std::int64_t per_row = layout.codes_per_row();
        thread_local std::vector<std::uint8_t> line;
        line.resize(static_cast<std::size_t>(layout.residual * per_row));
        for (std::size_t stage = 0; stage < static_cast<std::size_t>(layout.residual); ++stage)
            unpack_codes(codes_.subspan(stage * stage_bytes_, stage_bytes_), lines_, layout.bits,
                         row * per_row, per_row, line.data() + static_cast<std::int64_t>(stage) * per_row);
        return {line.data(), per_row};
    }

  private:
    /// Tables of codewords in 8 bits: some bytes a row, where the codes have hundreds.
    void make_coded_rows() const {
        const Layout& layout = values().layout;
        constexpr int most_bits = 4;
        if (layout.dimension > 1)
            no_kernel_ = fmt::format("codewords are of {} weights", layout.dimension);
        else if (layout.residual > 1)
            no_kernel_ = fmt::format("{} codewords are added up", layout.residual);
        else if (!values().outliers.empty())
            no_kernel_ = "it has outliers";
        else if (layout.bits > most_bits)
            no_kernel_ = fmt::format("codes have {} bits", layout.bits);
        else if (lines_.lines != layout.rows)
            no_kernel_ = fmt::format("rows of {} columns share words", layout.cols);
        if (!no_kernel_.empty()) return;
        const auto k = static_cast<std::size_t>(layout.codewords());
        const auto count = static_cast<std::size_t>(layout.groups());
        std::vector<float> table(count * k);
        for (std::size_t group = 0; group < count; ++group)
            values().group_values(static_cast<std::int64_t>(group), std::span(table).subspan(group * k, k));
        tables_ = CodeTables::of(table, layout.codewords());
        rows_ = {.rows = layout.rows,
                 .cols = layout.cols,
                 .bytes = std::as_bytes(codes_).data(),
                 .row_order = values().row_order.empty() ? nullptr : values().row_order.data(),
                 .encoding = std::nullopt,
                 .bits = layout.bits,
                 .tables = &tables_,
                 .row_groups = groups().row_groups().data(),
                 .column_group = layout.column_group};
        no_kernel_ = no_kernel_reason(rows_);
    }

    std::span<const std::uint8_t> codes_;
    std::shared_ptr<const void> owner_;
    PackedLines lines_;
    std::size_t stage_bytes_;
    mutable std::once_flag once_;
    mutable CodeTables tables_;
    mutable CodedRows rows_;
    mutable std::string no_kernel_;
};

}  // namespace

std::shared_ptr<const PackedWeight> make_packed_weight(const CompressedMatrix& matrix) {
    return std::make_shared<const UnpackedWeight>(matrix);
}

std::shared_ptr<const PackedWeight> make_packed_weight(PackedMatrix matrix) {
    return std::make_shared<const MappedWeight>(std::move(matrix));
}

}  // namespace jlcm
