#pragma once
// A weight as products read it: dense in memory, or packed as a file or a run holds it. Products of many rows
// decode one packed matrix at a time into scratch memory, products of few rows read codes.

#include "core/backend/coded_rows.hpp"
#include "core/tensor/tensor.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace jlcm {

/// A weight matrix that can be decoded some rows at a time. Immutable; all functions are thread-safe.
class PackedWeight {
  public:
    PackedWeight() = default;
    PackedWeight(const PackedWeight&) = delete;
    PackedWeight& operator=(const PackedWeight&) = delete;
    virtual ~PackedWeight() = default;

    [[nodiscard]] virtual std::int64_t rows() const = 0;
    [[nodiscard]] virtual std::int64_t cols() const = 0;
    /// Rows [begin, end), counted in the model's order, to `out`: (end - begin) * cols() floats. One thread.
    virtual void decode(std::int64_t begin, std::int64_t end, float* out) const = 0;
    /// The same, each value rounded to bfloat16 (to nearest, ties to even).
    virtual void decode_bfloat16(std::int64_t begin, std::int64_t end, std::uint16_t* out) const;
    /// What kernels on codes read in place (Products::fast); null if they cannot.
    [[nodiscard]] virtual const CodedRows* codes() const { return nullptr; }
    /// Why codes() is null, as the end of a sentence; empty if it is not.
    [[nodiscard]] virtual std::string no_codes_reason() const { return "its form has no kernel"; }
    /// How the matrix is held, e.g. "packed 2-bit codes" or "Q8_0".
    [[nodiscard]] virtual std::string describe() const = 0;
};

/// Rows [begin, end) of a packed weight to `rows` [end - begin, cols], float32 or bfloat16. One thread.
void decode(const PackedWeight& weight, std::int64_t begin, std::int64_t end, Tensor& rows);

/// How packed weights are multiplied. `exact`: as the dense weights that they decode to. `fast`: a few rows by
/// kernels on codes, which round activations to 8 bits, if there is one for the weight. `rounded`: any number of
/// rows by these kernels, which is slower: it measures what the rounding costs.
enum class Products : std::uint8_t { exact, fast, rounded };

/// A weight that is bound for products of one type. Copies share the memory.
class BoundWeight {
  public:
    BoundWeight() = default;
    /// Products are of the tensor's type.
    BoundWeight(Tensor dense) : type_(dense.dtype()), dense_(std::move(dense)) {}  // NOLINT: it is a weight
    /// `type`: float32 or bfloat16, what products are made of.
    BoundWeight(std::shared_ptr<const PackedWeight> packed, DType type, Products products = Products::exact)
        : type_(type), products_(products), packed_(std::move(packed)) {}

    [[nodiscard]] bool defined() const { return dense_.defined() || packed_ != nullptr; }
    [[nodiscard]] bool is_packed() const { return packed_ != nullptr; }
    [[nodiscard]] DType dtype() const { return type_; }
    [[nodiscard]] Products products() const { return products_; }
    [[nodiscard]] std::int64_t rows() const { return is_packed() ? packed_->rows() : dense_.rows(); }
    [[nodiscard]] std::int64_t cols() const { return is_packed() ? packed_->cols() : dense_.cols(); }
    [[nodiscard]] Shape shape() const { return is_packed() ? Shape{rows(), cols()} : dense_.shape(); }
    /// The tensor of a weight that is not packed.
    [[nodiscard]] const Tensor& dense() const {
        ensure(!is_packed(), "a packed weight is read as a dense one");
        return dense_;
    }
    [[nodiscard]] const PackedWeight& packed() const { return *packed_; }
    /// Rows [begin, end) as a dense matrix of dtype(): shared if the weight is dense, else decoded into
    /// `scratch`, which grows as needed and is overwritten. One thread.
    [[nodiscard]] Tensor tile(std::int64_t begin, std::int64_t end, Tensor& scratch) const;

  private:
    DType type_ = DType::f32;
    Products products_ = Products::exact;
    Tensor dense_;
    std::shared_ptr<const PackedWeight> packed_;
};

/// A packed weight whose rows and columns have another order: row i is row rows[i] of `base`, columns alike.
/// An empty order leaves them in place.
[[nodiscard]] std::shared_ptr<const PackedWeight> reordered(std::shared_ptr<const PackedWeight> base,
                                                            const std::vector<std::int32_t>& rows,
                                                            const std::vector<std::int32_t>& columns);

}  // namespace jlcm
