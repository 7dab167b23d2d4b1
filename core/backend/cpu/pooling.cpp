#include "core/backend/cpu/pooling.hpp"

#include "core/backend/cpu/dense_kernels.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace jlcm::cpu {
namespace {

/// The input pixels of one window, and how many an average is taken over.
class Taps {
  public:
    Taps(const Windows& windows, Pooling pooling) : windows_(&windows), pooling_(pooling) {}

    void move_to(std::int64_t i, std::int64_t j) {
        pixels_.clear();
        count_ = 0;
        for (std::int64_t a = 0; a < windows_->kernel[0]; ++a) {
            const std::int64_t y = windows_->at(0, i, a);
            for (std::int64_t b = 0; b < windows_->kernel[1]; ++b) {
                const std::int64_t x = windows_->at(1, j, b);
                const bool inside = windows_->inside(0, y) && windows_->inside(1, x);
                if (inside) pixels_.push_back(y * windows_->size[1] + x);
                // What a window that is rounded up has beyond the padding counts for nobody.
                if (inside || (pooling_ == Pooling::average_with_padding && y < windows_->padded_size[0] &&
                               x < windows_->padded_size[1]))
                    ++count_;
            }
        }
    }
    [[nodiscard]] const std::vector<std::int64_t>& pixels() const { return pixels_; }
    [[nodiscard]] double share() const { return count_ == 0 ? 0.0 : 1.0 / static_cast<double>(count_); }

  private:
    const Windows* windows_;
    Pooling pooling_;
    std::vector<std::int64_t> pixels_;
    std::int64_t count_ = 0;
};

/// The larger of both, or a copy where it is the first.
template <class T>
void take_maximum(std::int64_t n, const T* in, bool is_first, T* out) {
    if (is_first)
        std::copy_n(in, n, out);
    else
        dense_kernels<T>().binary(static_cast<int>(Binary::maximum), n, out, in, out);
}

/// First over the lines of the windows, then along them.
template <class T>
void maximum_line(const Windows& windows, std::int64_t line, const T* image, T* out) {
    const std::int64_t channels = windows.channels;
    const std::int64_t width = windows.size[1] * channels;
    std::vector<T> highest(static_cast<std::size_t>(width));
    bool is_empty = true;
    for (std::int64_t a = 0; a < windows.kernel[0]; ++a) {
        const std::int64_t y = windows.at(0, line, a);
        if (!windows.inside(0, y)) continue;
        take_maximum(width, image + y * width, is_empty, highest.data());
        is_empty = false;
    }
    for (std::int64_t j = 0; j < windows.out_size[1]; ++j, out += channels) {
        bool is_first = true;
        for (std::int64_t b = 0; b < windows.kernel[1] && !is_empty; ++b) {
            const std::int64_t x = windows.at(1, j, b);
            if (!windows.inside(1, x)) continue;
            take_maximum(channels, highest.data() + x * channels, is_first, out);
            is_first = false;
        }
        if (is_first) std::fill_n(out, channels, -std::numeric_limits<T>::infinity());
    }
}

template <class T>
void average_line(const Windows& windows, Pooling pooling, std::int64_t line, const T* image, T* out) {
    const std::int64_t channels = windows.channels;
    Taps taps(windows, pooling);
    for (std::int64_t j = 0; j < windows.out_size[1]; ++j, out += channels) {
        taps.move_to(line, j);
        std::fill_n(out, channels, T(0));
        for (const std::int64_t pixel : taps.pixels())
            dense_kernels<T>().add_scaled(channels, image + pixel * channels, static_cast<T>(taps.share()),
                                          out);
    }
}

template <class T>
void pool_line(const Windows& windows, Pooling pooling, std::int64_t line, const T* image, T* out) {
    if (pooling == Pooling::maximum) return maximum_line(windows, line, image, out);
    average_line(windows, pooling, line, image, out);
}

template <class T>
void pool_image_backward(const Windows& windows, Pooling pooling, const T* image, const T* gradient, T* dx) {
    const std::int64_t channels = windows.channels;
    Taps taps(windows, pooling);
    for (std::int64_t i = 0; i < windows.out_size[0]; ++i) {
        for (std::int64_t j = 0; j < windows.out_size[1]; ++j, gradient += channels) {
            taps.move_to(i, j);
            if (pooling != Pooling::maximum) {
                for (const std::int64_t pixel : taps.pixels())
                    dense_kernels<T>().add_scaled(channels, gradient, static_cast<T>(taps.share()),
                                                  dx + pixel * channels);
                continue;
            }
            for (std::int64_t c = 0; c < channels && !taps.pixels().empty(); ++c) {
                std::int64_t best = taps.pixels().front();
                for (const std::int64_t pixel : taps.pixels())
                    if (image[pixel * channels + c] > image[best * channels + c]) best = pixel;
                dx[best * channels + c] += gradient[c];
            }
        }
    }
}

}  // namespace

Tensor pool(const Windows& windows, Pooling pooling, const Tensor& x) {
    Tensor y = Tensor::empty({windows.images, windows.out_size[0], windows.out_size[1], windows.channels},
                             x.dtype());
    const std::int64_t in = windows.in_pixels() * windows.channels;
    const std::int64_t line = windows.out_size[1] * windows.channels;
    parallel_for(windows.images * windows.out_size[0], 8, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
            const std::int64_t image = task / windows.out_size[0];
            const std::int64_t i = task % windows.out_size[0];
            if (x.dtype() == DType::f64)
                pool_line(windows, pooling, i, x.data<double>() + image * in, y.data<double>() + task * line);
            else
                pool_line(windows, pooling, i, x.data<float>() + image * in, y.data<float>() + task * line);
        }
    });
    return y;
}

Tensor pool_backward(const Windows& windows, Pooling pooling, const Tensor& x, const Tensor& gradient) {
    Tensor dx = Tensor::zeros(x.shape(), x.dtype());
    const std::int64_t in = windows.in_pixels() * windows.channels;
    const std::int64_t out = windows.out_pixels() * windows.channels;
    parallel_for(windows.images, 1, [&](std::int64_t image, std::int64_t) {
        if (x.dtype() == DType::f64)
            pool_image_backward(windows, pooling, x.data<double>() + image * in,
                                gradient.data<double>() + image * out, dx.data<double>() + image * in);
        else
            pool_image_backward(windows, pooling, x.data<float>() + image * in,
                                gradient.data<float>() + image * out, dx.data<float>() + image * in);
    });
    return dx;
}

}  // namespace jlcm::cpu
