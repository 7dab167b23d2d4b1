#include "core/backend/weight.hpp"

#include "core/backend/cpu/dense_kernels.hpp"

namespace jlcm {
namespace {

class ReorderedWeight final : public PackedWeight {
  public:
    ReorderedWeight(std::shared_ptr<const PackedWeight> base, std::vector<std::int32_t> rows,
                    std::vector<std::int32_t> columns)
        : base_(std::move(base)), rows_(std::move(rows)), columns_(std::move(columns)) {}

    std::int64_t rows() const override { return base_->rows(); }
    std::int64_t cols() const override { return base_->cols(); }
    std::string describe() const override { return base_->describe() + ", re-ordered"; }
    std::string no_codes_reason() const override { return "its rows are re-ordered as they are read"; }

    void decode(std::int64_t begin, std::int64_t end, float* out) const override {
        const std::int64_t n = cols();
        thread_local std::vector<float> line;
        line.resize(static_cast<std::size_t>(n));
        for (std::int64_t row = begin; row < end; ++row, out += n) {
            const std::int64_t from = rows_.empty() ? row : rows_[static_cast<std::size_t>(row)];
            if (columns_.empty()) {
                base_->decode(from, from + 1, out);
                continue;
            }
            base_->decode(from, from + 1, line.data());
            for (std::size_t j = 0; j < columns_.size(); ++j)
                out[j] = line[static_cast<std::size_t>(columns_[j])];
        }
    }

  private:
    std::shared_ptr<const PackedWeight> base_;
    std::vector<std::int32_t> rows_;
    std::vector<std::int32_t> columns_;
};

}  // namespace

void PackedWeight::decode_bfloat16(std::int64_t begin, std::int64_t end, std::uint16_t* out) const {
    const std::int64_t n = cols();
    thread_local std::vector<float> line;
    line.resize(static_cast<std::size_t>(n));
    for (std::int64_t row = begin; row < end; ++row, out += n) {
        decode(row, row + 1, line.data());
        vocabulary_kernels().to_bfloat16(n, line.data(), out);
    }
}

void decode(const PackedWeight& weight, std::int64_t begin, std::int64_t end, Tensor& rows) {
    if (rows.dtype() == DType::bf16) {
        weight.decode_bfloat16(begin, end, rows.data<std::uint16_t>());
    } else {
        weight.decode(begin, end, rows.data<float>());
    }
}

Tensor BoundWeight::tile(std::int64_t begin, std::int64_t end, Tensor& scratch) const {
    if (!is_packed()) return dense_.slice(begin, end);
    const std::int64_t count = end - begin;
    if (!scratch.defined() || scratch.dtype() != type_ || scratch.size() < count * cols())
        scratch = Tensor::empty({count * cols()}, type_);
    Tensor tile = scratch.slice(0, count * cols()).reshape({count, cols()});
    decode(*packed_, begin, end, tile);
    return tile;
}

std::shared_ptr<const PackedWeight> reordered(std::shared_ptr<const PackedWeight> base,
                                              const std::vector<std::int32_t>& rows,
                                              const std::vector<std::int32_t>& columns) {
    if (base == nullptr || (rows.empty() && columns.empty())) return base;
    return std::make_shared<const ReorderedWeight>(std::move(base), rows, columns);
}

}  // namespace jlcm
