#pragma once
// Dense row-major tensors: a shape, an element type, and shared ownership of the memory. Copies of a Tensor
// are cheap and see the same elements; clone() copies elements. A row range of a tensor is a view without a
// copy.

#include "core/base/error.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

enum class DType : std::uint8_t { f32, f64, f16, bf16, i32, u8 };

[[nodiscard]] std::size_t size_of(DType type);
[[nodiscard]] std::string_view name_of(DType type);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
    static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
    static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<std::int32_t> {
    static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::uint8_t> {
    static constexpr DType value = DType::u8;
};

using Shape = std::vector<std::int64_t>;

/// "[2048, 576]"
[[nodiscard]] std::string to_string(const Shape& shape);
[[nodiscard]] std::int64_t element_count(const Shape& shape);
/// The same text, made only if it is formatted: for messages of checks that mostly hold.
struct ShapeText {
    const Shape& shape;
};
[[nodiscard]] inline ShapeText shown(const Shape& shape) {
    return {shape};
}

class Tensor {
  public:
    /// No memory, no shape; `defined()` is false.
    Tensor() = default;

    /// Elements are not initialised. Memory is aligned to 64 bytes.
    [[nodiscard]] static Tensor empty(Shape shape, DType type = DType::f32);
    [[nodiscard]] static Tensor zeros(Shape shape, DType type = DType::f32);
    /// A copy of `values`.
    template <class T>
    [[nodiscard]] static Tensor from(const Shape& shape, std::span<const T> values) {
        Tensor tensor = empty(shape, DTypeOf<T>::value);
        ensure(tensor.size() == static_cast<std::int64_t>(values.size()), "{} values for shape {}",
               values.size(), to_string(tensor.shape()));
        std::copy(values.begin(), values.end(), tensor.data<T>());
        return tensor;
    }

    /// Elements that lie in foreign memory, which `owner` keeps. They must not be written.
    [[nodiscard]] static Tensor view(Shape shape, DType type, std::span<const std::byte> bytes,
                                     const std::shared_ptr<const void>& owner);

    [[nodiscard]] bool defined() const { return memory_ != nullptr; }
    [[nodiscard]] const Shape& shape() const { return shape_; }
    [[nodiscard]] DType dtype() const { return type_; }
    [[nodiscard]] std::int64_t size() const { return element_count(shape_); }
    [[nodiscard]] std::size_t byte_count() const { return static_cast<std::size_t>(size()) * size_of(type_); }
    /// Length of the first dimension.
    [[nodiscard]] std::int64_t rows() const { return shape_.empty() ? 1 : shape_.front(); }
    /// Elements of one row: the product of all dimensions but the first.
    [[nodiscard]] std::int64_t cols() const { return rows() == 0 ? 0 : size() / rows(); }

    /// The elements; T must be the tensor's type. f16 and bf16 are read as std::uint16_t.
    template <class T>
    [[nodiscard]] T* data() {
        check_type<T>();
        return reinterpret_cast<T*>(memory_.get() + offset_);  // NOLINT: typed view of raw memory
    }
    template <class T>
    [[nodiscard]] const T* data() const {
        check_type<T>();
        return reinterpret_cast<const T*>(memory_.get() + offset_);  // NOLINT: typed view of raw memory
    }
    template <class T>
    [[nodiscard]] std::span<T> values() {
        return {data<T>(), static_cast<std::size_t>(size())};
    }
    template <class T>
    [[nodiscard]] std::span<const T> values() const {
        return {data<T>(), static_cast<std::size_t>(size())};
    }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {memory_.get() + offset_, byte_count()}; }
    [[nodiscard]] std::span<std::byte> bytes() { return {memory_.get() + offset_, byte_count()}; }

    /// Rows [begin, end) of the first dimension, sharing memory.
    [[nodiscard]] Tensor slice(std::int64_t begin, std::int64_t end) const;
    /// The same elements under another shape of the same size, sharing memory.
    [[nodiscard]] Tensor reshape(Shape shape) const;
    [[nodiscard]] Tensor clone() const;
    /// A copy converted to `type`, between the floating-point types (round to nearest even).
    [[nodiscard]] Tensor to(DType type) const;

  private:
    template <class T>
    void check_type() const {
        if constexpr (std::is_same_v<T, std::uint16_t>) {
            ensure(type_ == DType::f16 || type_ == DType::bf16, "a {} tensor read as 16-bit floats",
                   name_of(type_));
        } else {
            ensure(type_ == DTypeOf<T>::value, "a {} tensor read as {}", name_of(type_),
                   name_of(DTypeOf<T>::value));
        }
    }

    std::shared_ptr<std::byte> memory_;
    std::size_t offset_ = 0;  ///< bytes
    Shape shape_;
    DType type_ = DType::f32;
};

}  // namespace jlcm

template <>
struct fmt::formatter<jlcm::ShapeText> : fmt::formatter<std::string> {
    template <class Context>
    auto format(const jlcm::ShapeText& text, Context& context) const {
        return fmt::formatter<std::string>::format(jlcm::to_string(text.shape), context);
    }
};
