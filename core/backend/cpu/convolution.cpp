#include "core/backend/cpu/convolution.hpp"

#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/gemm.hpp"
#include "core/backend/cpu/onednn_convolution.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <cstring>

namespace jlcm::cpu {
namespace {

/// Output pixels whose patches are made at once: enough for a product, few enough for the cache.
constexpr std::int64_t tile_pixels = 256;

/// Lines of windows [first, end) of one image.
struct Lines {
    std::int64_t image = 0;
    std::int64_t first = 0;
    std::int64_t end = 0;
};

std::int64_t lines_per_tile(const Windows& windows) {
    return std::max<std::int64_t>(1, tile_pixels / std::max<std::int64_t>(windows.out_size[1], 1));
}

template <class Body>
void for_each_tile(const Windows& windows, Body body) {
    const std::int64_t step = lines_per_tile(windows);
    const std::int64_t tiles = (windows.out_size[0] + step - 1) / step;
    parallel_for(windows.images * tiles, 1, [&](std::int64_t task, std::int64_t) {
        const std::int64_t first = task % tiles * step;
        body(Lines{task / tiles, first, std::min(first + step, windows.out_size[0])});
    });
}

/// Calls `body(row, column tap number, input pixel)` for every tap of the lines' windows; pixel -1: padding.
template <class Body>
void for_each_tap(const Windows& windows, const Lines& lines, Body body) {
    std::int64_t row = 0;
    for (std::int64_t i = lines.first; i < lines.end; ++i) {
        for (std::int64_t j = 0; j < windows.out_size[1]; ++j, ++row) {
            std::int64_t tap = 0;
            for (std::int64_t a = 0; a < windows.kernel[0]; ++a) {
                const std::int64_t y = windows.at(0, i, a);
                for (std::int64_t b = 0; b < windows.kernel[1]; ++b, ++tap) {
                    const std::int64_t x = windows.at(1, j, b);
                    const bool inside = windows.inside(0, y) && windows.inside(1, x);
                    body(row, tap, inside ? lines.image * windows.in_pixels() + y * windows.size[1] + x : -1);
                }
            }
        }
    }
}

/// The patches of group g: [pixels of the lines, columns], at `out`.
void make_patches(const Convolution& shape, const Tensor& x, std::int64_t group, const Lines& lines,
                  std::byte* out) {
    const std::size_t element = size_of(x.dtype());
    const std::size_t run = static_cast<std::size_t>(shape.group_channels()) * element;
    const std::size_t pixel = static_cast<std::size_t>(shape.windows.channels) * element;
    const std::byte* base = x.bytes().data() + static_cast<std::size_t>(group) * run;
    const auto taps = static_cast<std::size_t>(shape.windows.taps());
    for_each_tap(shape.windows, lines, [&](std::int64_t row, std::int64_t tap, std::int64_t from) {
        std::byte* to = out + (static_cast<std::size_t>(row) * taps + static_cast<std::size_t>(tap)) * run;
        if (from < 0)
            std::memset(to, 0, run);
        else
            std::memcpy(to, base + static_cast<std::size_t>(from) * pixel, run);
    });
}

/// The input is its own patches: a window is a pixel.
bool is_pointwise(const Convolution& shape) {
    const Windows& w = shape.windows;
    return shape.groups == 1 && w.taps() == 1 && w.stride == Windows::Pair{1, 1} && w.size == w.out_size &&
           w.pad == Windows::Pair{0, 0};
}

Tensor& scratch(std::int64_t elements, DType type) {
    thread_local std::array<Tensor, 3> kept;
    Tensor& tensor = kept[type == DType::f64 ? 0 : (type == DType::f32 ? 1 : 2)];
    if (!tensor.defined() || tensor.size() < elements) tensor = Tensor::empty({elements}, type);
    return tensor;
}

/// Calls `body` with an element of the type's size.
template <class Body>
void by_size(DType type, Body body) {
    if (type == DType::f64) return body(std::uint64_t{});
    if (type == DType::bf16) return body(std::uint16_t{});
    body(std::uint32_t{});
}

/// `rows` rows of `inner` lists of `outer` elements as `outer` lists of `inner`, from one place to another.
void transpose_rows(DType type, std::int64_t rows, std::int64_t inner, std::int64_t outer,
                    const std::byte* from, std::byte* to) {
    by_size(type, [&](auto element) {
        const std::size_t size = sizeof element;
        for (std::int64_t r = 0; r < rows; ++r) {
            const auto row = static_cast<std::size_t>(r * inner * outer);
            for (std::int64_t i = 0; i < inner; ++i)
                for (std::int64_t o = 0; o < outer; ++o)
                    std::memcpy(to + (row + static_cast<std::size_t>(o * inner + i)) * size,
                                from + (row + static_cast<std::size_t>(i * outer + o)) * size, size);
        }
    });
}

/// Weights with columns [tap][channel], as the pixels lie.
Tensor by_taps(const Convolution& shape, const Tensor& weight) {
    if (shape.windows.taps() == 1 || shape.group_channels() == 1) return weight;
    Tensor result = Tensor::empty(weight.shape(), weight.dtype());
    transpose_rows(weight.dtype(), shape.outputs, shape.group_channels(), shape.windows.taps(),
                   weight.bytes().data(), result.bytes().data());
    return result;
}

/// Rows of a matrix inside of `tensor`, from `first` on.
HostMatrix rows_of(const Tensor& tensor, std::int64_t first, std::int64_t rows, std::int64_t cols,
                   std::int64_t stride, std::int64_t column = 0) {
    return {
        tensor.bytes().data() + static_cast<std::size_t>(first * stride + column) * size_of(tensor.dtype()),
        tensor.dtype(), rows, cols, stride};
}

/// The weight of a depthwise convolution as [taps, channels].
template <class T>
Tensor transposed(const Tensor& weight) {
    const std::int64_t rows = weight.rows();
    const std::int64_t cols = weight.cols();
    Tensor result = Tensor::empty({cols, rows}, weight.dtype());
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < cols; ++c)
            result.data<T>()[c * rows + r] = weight.data<T>()[r * cols + c];
    return result;
}

template <class T>
Tensor depthwise(const Convolution& shape, const Tensor& x, const Tensor& weight) {
    const std::int64_t channels = shape.outputs;
    const Tensor by_tap = transposed<T>(weight);
    const Windows& windows = shape.windows;
    Tensor y = Tensor::zeros({windows.images, windows.out_size[0], windows.out_size[1], channels}, x.dtype());
    for_each_tile(windows, [&](const Lines& lines) {
        T* out =
            y.data<T>() + (lines.image * windows.out_pixels() + lines.first * windows.out_size[1]) * channels;
        for_each_tap(windows, lines, [&](std::int64_t row, std::int64_t tap, std::int64_t from) {
            if (from < 0) return;
            dense_kernels<T>().multiply_add(channels, x.data<T>() + from * channels,
                                            by_tap.data<T>() + tap * channels, out + row * channels);
        });
    });
    return y;
}

template <class T>
Tensor depthwise_input_gradient(const Convolution& shape, const Tensor& weight, const Tensor& gradient) {
    const std::int64_t channels = shape.outputs;
    const Tensor by_tap = transposed<T>(weight);
    const Windows& windows = shape.windows;
    Tensor dx = Tensor::zeros({windows.images, windows.size[0], windows.size[1], channels}, gradient.dtype());
    parallel_for(windows.images, 1, [&](std::int64_t image, std::int64_t) {
        const T* g = gradient.data<T>() + image * windows.out_pixels() * channels;
        for_each_tap(windows, {image, 0, windows.out_size[0]},
                     [&](std::int64_t row, std::int64_t tap, std::int64_t from) {
                         if (from < 0) return;
                         dense_kernels<T>().multiply_add(channels, g + row * channels,
                                                         by_tap.data<T>() + tap * channels,
                                                         dx.data<T>() + from * channels);
                     });
    });
    return dx;
}

template <class T>
void depthwise_weight_gradient(const Convolution& shape, const Tensor& x, const Tensor& gradient,
                               Tensor& weight_gradient) {
    const std::int64_t channels = shape.outputs;
    const Windows& windows = shape.windows;
    // One sum an image; added in the order of images.
    Tensor partial = Tensor::zeros({windows.images, windows.taps(), channels}, x.dtype());
    parallel_for(windows.images, 1, [&](std::int64_t image, std::int64_t) {
        const T* g = gradient.data<T>() + image * windows.out_pixels() * channels;
        T* sums = partial.data<T>() + image * windows.taps() * channels;
        for_each_tap(windows, {image, 0, windows.out_size[0]},
                     [&](std::int64_t row, std::int64_t tap, std::int64_t from) {
                         if (from < 0) return;
                         dense_kernels<T>().multiply_add(channels, g + row * channels,
                                                         x.data<T>() + from * channels,
                                                         sums + tap * channels);
                     });
    });
    T* out = weight_gradient.data<T>();
    for (std::int64_t image = 0; image < windows.images; ++image)
        for (std::int64_t tap = 0; tap < windows.taps(); ++tap)
            for (std::int64_t c = 0; c < channels; ++c)
                out[c * windows.taps() + tap] +=
                    partial.data<T>()[(image * windows.taps() + tap) * channels + c];
}

Tensor by_products(const Convolution& shape, const Tensor& x, const Tensor& weights) {
    const Tensor weight = by_taps(shape, weights);
    const Windows& windows = shape.windows;
    const std::int64_t columns = shape.columns();
    const std::int64_t outputs = shape.group_outputs();
    Tensor y = Tensor::empty({windows.images, windows.out_size[0], windows.out_size[1], shape.outputs},
                             x.dtype() == DType::f64 ? DType::f64 : DType::f32);
    for_each_tile(windows, [&](const Lines& lines) {
        const std::int64_t rows = (lines.end - lines.first) * windows.out_size[1];
        const std::int64_t pixel = lines.image * windows.out_pixels() + lines.first * windows.out_size[1];
        for (std::int64_t g = 0; g < shape.groups; ++g) {
            HostMatrix input;
            if (is_pointwise(shape)) {
                input = rows_of(x, pixel, rows, columns, columns);
            } else {
                Tensor& buffer = scratch(rows * columns, x.dtype());
                make_patches(shape, x, g, lines, buffer.bytes().data());
                input = rows_of(buffer, 0, rows, columns, columns);
            }
            gemm_tile(input, Transpose::no, rows_of(weight, g * outputs, outputs, columns, columns),
                      Transpose::yes,
                      y.bytes().data() +
                          static_cast<std::size_t>(pixel * shape.outputs + g * outputs) * size_of(y.dtype()),
                      shape.outputs, false);
        }
    });
    return y;
}

template <class T>
void add_to_pixels(const Convolution& shape, std::int64_t group, const Lines& lines, const Tensor& patches,
                   Tensor& dx) {
    const std::int64_t run = shape.group_channels();
    for_each_tap(shape.windows, lines, [&](std::int64_t row, std::int64_t tap, std::int64_t to) {
        if (to < 0) return;
        dense_kernels<T>().add_scaled(run, patches.data<T>() + (row * shape.windows.taps() + tap) * run, T(1),
                                      dx.data<T>() + to * shape.windows.channels + group * run);
    });
}

/// Patches with columns [tap][channel].
Tensor patches_by_taps(const Convolution& shape, const Tensor& x) {
    const Windows& windows = shape.windows;
    const std::int64_t rows = windows.images * windows.out_pixels();
    const std::int64_t columns = shape.columns();
    if (is_pointwise(shape)) return x.reshape({rows, columns});
    Tensor result = Tensor::empty(
        shape.groups == 1 ? Shape{rows, columns} : Shape{shape.groups, rows, columns}, x.dtype());
    for_each_tile(windows, [&](const Lines& lines) {
        const std::int64_t pixel = lines.image * windows.out_pixels() + lines.first * windows.out_size[1];
        for (std::int64_t g = 0; g < shape.groups; ++g)
            make_patches(shape, x, g, lines,
                         result.bytes().data() +
                             static_cast<std::size_t>((g * rows + pixel) * columns) * size_of(x.dtype()));
    });
    return result;
}

void check(const Convolution& shape, const Tensor& x, const Tensor& weight) {
    if (weight.rows() == shape.outputs && weight.size() == shape.outputs * shape.columns() &&
        x.dtype() == weight.dtype() &&
        x.size() == shape.windows.images * shape.windows.in_pixels() * shape.windows.channels)
        return;
    ensure(false, "a convolution of {} {} with {} {}", name_of(x.dtype()), shown(x.shape()),
           name_of(weight.dtype()), shown(weight.shape()));
}

Tensor followed_by(Backend& backend, const Epilogue& epilogue, Tensor y) {
    if (epilogue.scale.defined()) y = backend.scale_and_shift(y, epilogue.scale, epilogue.shift);
    if (epilogue.residual.defined()) backend.add_scaled(y, epilogue.residual.reshape(y.shape()), 1.0);
    return epilogue.function ? backend.unary(*epilogue.function, y) : y;
}

}  // namespace

Tensor convolution(Backend& backend, const Convolution& shape, const Tensor& x, const Tensor& weight,
                   const Tensor* bias, const Epilogue& epilogue, PreparedWeight* prepared) {
    check(shape, x, weight);
    if (x.dtype() != DType::f64)
        if (auto y = onednn_convolution(shape, x, weight, bias, epilogue, prepared)) return std::move(*y);
    Tensor y;
    if (shape.is_depthwise() && x.dtype() == DType::bf16)
        y = depthwise<float>(shape, backend.convert(x, DType::f32), backend.convert(weight, DType::f32));
    else if (shape.is_depthwise())
        y = x.dtype() == DType::f64 ? depthwise<double>(shape, x, weight)
                                    : depthwise<float>(shape, x, weight);
    else
        y = by_products(shape, x, weight);
    if (bias != nullptr) backend.add_bias(y, *bias);
    return followed_by(backend, epilogue, std::move(y));
}

Tensor convolution_input_gradient(Backend& backend, const Convolution& shape, const Tensor& weights,
                                  const Tensor& gradient) {
    const Tensor weight = by_taps(shape, weights);
    const Windows& windows = shape.windows;
    if (shape.is_depthwise() && weight.dtype() == DType::bf16)
        return depthwise_input_gradient<float>(shape, backend.convert(weight, DType::f32),
                                               backend.convert(gradient, DType::f32));
    if (shape.is_depthwise())
        return weight.dtype() == DType::f64 ? depthwise_input_gradient<double>(shape, weight, gradient)
                                            : depthwise_input_gradient<float>(shape, weight, gradient);
    const DType type = weight.dtype() == DType::f64 ? DType::f64 : DType::f32;
    const std::int64_t columns = shape.columns();
    const std::int64_t outputs = shape.group_outputs();
    Tensor dx = Tensor::zeros({windows.images, windows.size[0], windows.size[1], windows.channels}, type);
    const std::int64_t step = lines_per_tile(windows);
    parallel_for(windows.images, 1, [&](std::int64_t image, std::int64_t) {
        for (std::int64_t first = 0; first < windows.out_size[0]; first += step) {
            const Lines lines{image, first, std::min(first + step, windows.out_size[0])};
            const std::int64_t rows = (lines.end - lines.first) * windows.out_size[1];
            const std::int64_t pixel = image * windows.out_pixels() + first * windows.out_size[1];
            for (std::int64_t g = 0; g < shape.groups; ++g) {
                Tensor& buffer = scratch(rows * columns, type);
                gemm_tile(rows_of(gradient, pixel, rows, outputs, shape.outputs, g * outputs), Transpose::no,
                          rows_of(weight, g * outputs, outputs, columns, columns), Transpose::no,
                          buffer.bytes().data(), columns, false);
                if (type == DType::f64)
                    add_to_pixels<double>(shape, g, lines, buffer, dx);
                else
                    add_to_pixels<float>(shape, g, lines, buffer, dx);
            }
        }
    });
    return dx;
}

Tensor patches(const Convolution& shape, const Tensor& x) {
    Tensor raw = patches_by_taps(shape, x);
    const std::int64_t taps = shape.windows.taps();
    if (taps == 1 || shape.group_channels() == 1) return raw;
    Tensor result = Tensor::empty(raw.shape(), x.dtype());
    const std::int64_t bytes = shape.columns() * static_cast<std::int64_t>(size_of(x.dtype()));
    parallel_for(raw.size() / shape.columns(), tile_pixels, [&](std::int64_t begin, std::int64_t end) {
        transpose_rows(x.dtype(), end - begin, taps, shape.group_channels(),
                       raw.bytes().data() + begin * bytes, result.bytes().data() + begin * bytes);
    });
    return result;
}

void convolution_weight_gradient(Backend& backend, const Convolution& shape, const Tensor& x,
                                 const Tensor& gradient, Tensor& weight_gradient) {
    if (shape.is_depthwise() && x.dtype() == DType::bf16)
        return depthwise_weight_gradient<float>(shape, backend.convert(x, DType::f32),
                                                backend.convert(gradient, DType::f32), weight_gradient);
    if (shape.is_depthwise())
        return x.dtype() == DType::f64
                   ? depthwise_weight_gradient<double>(shape, x, gradient, weight_gradient)
                   : depthwise_weight_gradient<float>(shape, x, gradient, weight_gradient);
    const std::int64_t columns = shape.columns();
    const std::int64_t outputs = shape.group_outputs();
    // Some images at a time, so that patches stay small.
    constexpr std::int64_t rows_at_once = 4096;
    const std::int64_t pixels = shape.windows.out_pixels();
    const std::int64_t step = std::max<std::int64_t>(1, rows_at_once / std::max<std::int64_t>(pixels, 1));
    const Tensor images =
        x.reshape({shape.windows.images, shape.windows.in_pixels() * shape.windows.channels});
    Tensor sums = Tensor::zeros(weight_gradient.shape(), weight_gradient.dtype());
    for (std::int64_t first = 0; first < shape.windows.images; first += step) {
        Convolution some = shape;
        some.windows.images = std::min(step, shape.windows.images - first);
        const std::int64_t rows = some.windows.images * pixels;
        const Tensor inputs = patches_by_taps(some, images.slice(first, first + some.windows.images));
        for (std::int64_t g = 0; g < shape.groups; ++g) {
            Tensor part = sums.slice(g * outputs, (g + 1) * outputs);
            backend.gemm(submatrix(gradient, first * pixels, rows, g * outputs, outputs), Transpose::yes,
                         submatrix(inputs, g * rows, rows, 0, columns), Transpose::no, part, true);
        }
    }
    Tensor ordered = Tensor::empty(sums.shape(), sums.dtype());
    transpose_rows(sums.dtype(), shape.outputs, shape.windows.taps(), shape.group_channels(),
                   sums.bytes().data(), ordered.bytes().data());
    backend.add_scaled(weight_gradient, ordered, 1.0);
}

}  // namespace jlcm::cpu
