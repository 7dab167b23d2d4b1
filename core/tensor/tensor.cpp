#include "core/tensor/tensor.hpp"

#include "core/base/half.hpp"
#include "core/base/parallel.hpp"
#include "core/tensor/memory.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

namespace jlcm {
namespace {

constexpr std::int64_t conversion_grain = 1 << 16;

double read_element(const Tensor& tensor, std::int64_t i) {
    switch (tensor.dtype()) {
        case DType::f32:
            return static_cast<double>(tensor.data<float>()[i]);
        case DType::f64:
            return tensor.data<double>()[i];
        case DType::f16:
            return static_cast<double>(float_from_f16(tensor.data<std::uint16_t>()[i]));
        case DType::bf16:
            return static_cast<double>(float_from_bf16(tensor.data<std::uint16_t>()[i]));
        default:
            break;
    }
    ensure(false, "conversion from {}", name_of(tensor.dtype()));
    return 0;
}

void write_element(Tensor& tensor, std::int64_t i, double value) {
    switch (tensor.dtype()) {
        case DType::f32:
            tensor.data<float>()[i] = static_cast<float>(value);
            return;
        case DType::f64:
            tensor.data<double>()[i] = value;
            return;
        case DType::f16:
            tensor.data<std::uint16_t>()[i] = f16_from_float(static_cast<float>(value));
            return;
        case DType::bf16:
            tensor.data<std::uint16_t>()[i] = bf16_from_float(static_cast<float>(value));
            return;
        default:
            break;
    }
    ensure(false, "conversion to {}", name_of(tensor.dtype()));
}

}  // namespace

std::size_t size_of(DType type) {
    switch (type) {
        case DType::f64:
            return 8;
        case DType::f32:
        case DType::i32:
            return 4;
        case DType::f16:
        case DType::bf16:
            return 2;
        case DType::u8:
            return 1;
    }
    return 0;
}

std::string_view name_of(DType type) {
    switch (type) {
        case DType::f32:
            return "float32";
        case DType::f64:
            return "float64";
        case DType::f16:
            return "float16";
        case DType::bf16:
            return "bfloat16";
        case DType::i32:
            return "int32";
        case DType::u8:
            return "uint8";
    }
    return "unknown";
}

std::string to_string(const Shape& shape) {
    return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::int64_t element_count(const Shape& shape) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape)
        require(!__builtin_mul_overflow(count, size, &count), "a shape of {} is too large", shown(shape));
    return count;
}

Tensor Tensor::empty(Shape shape, DType type) {
    Tensor tensor;
    tensor.shape_ = std::move(shape);
    tensor.type_ = type;
    tensor.memory_ = allocate_tensor_memory(tensor.byte_count());
    return tensor;
}

Tensor Tensor::zeros(Shape shape, DType type) {
    Tensor tensor = empty(std::move(shape), type);
    std::memset(tensor.memory_.get(), 0, tensor.byte_count());
    return tensor;
}

Tensor Tensor::view(Shape shape, DType type, std::span<const std::byte> bytes,
                    const std::shared_ptr<const void>& owner) {
    Tensor tensor;
    auto* memory = const_cast<std::byte*>(bytes.data());  // NOLINT: a view is not written, by contract
    tensor.memory_ = std::shared_ptr<std::byte>(std::const_pointer_cast<void>(owner), memory);
    tensor.shape_ = std::move(shape);
    tensor.type_ = type;
    ensure(tensor.byte_count() == bytes.size(), "{} bytes for shape {}", bytes.size(),
           to_string(tensor.shape_));
    return tensor;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
    ensure(defined() && !shape_.empty() && begin >= 0 && begin <= end && end <= rows(),
           "rows {}..{} of shape {}", begin, end, shown(shape_));
    Tensor view = *this;
    view.offset_ += static_cast<std::size_t>(begin * cols()) * size_of(type_);
    view.shape_.front() = end - begin;
    return view;
}

Tensor Tensor::reshape(Shape shape) const {
    ensure(element_count(shape) == size(), "shape {} seen as {}", shown(shape_), shown(shape));
    Tensor view = *this;
    view.shape_ = std::move(shape);
    return view;
}

Tensor Tensor::clone() const {
    Tensor copy = empty(shape_, type_);
    if (byte_count() > 0) std::memcpy(copy.memory_.get(), memory_.get() + offset_, byte_count());
    return copy;
}

Tensor Tensor::to(DType type) const {
    if (type == type_) return clone();
    Tensor result = empty(shape_, type);
    parallel_for(size(), conversion_grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) write_element(result, i, read_element(*this, i));
    });
    return result;
}

}  // namespace jlcm
