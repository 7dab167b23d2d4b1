#include "core/graph/grid_sample.hpp"

#include "core/graph/operators/loops.hpp"
#include "core/graph/permutation.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace jlcm {
namespace {

/// A coordinate in pixels, and how fast it goes with the given one.
template <class T>
struct Place {
    T at;
    T slope;
};

/// A pixel and its weight; `along_x`, `along_y`: how fast that goes with the coordinates.
template <class T>
struct Tap {
    std::int64_t x;
    std::int64_t y;
    T weight;
    T along_x;
    T along_y;
};

class GridSample final : public Operator {
  public:
    explicit GridSample(GridSampleAttributes attributes) : grid_(attributes) {}
    std::string_view kind() const override { return "grid_sample"; }
    Shape infer(std::span<const Shape> inputs, std::span<const Shape>) const override {
        const Shape& image = inputs[0];
        const Shape& grid = inputs[1];
        require(image.size() == 4 && grid.size() == 4 && grid[3] == 2 && image[0] == grid[0] &&
                    image[1] > 0 && image[2] > 0,
                "grid_sample: places of shape {} in images of shape {}", to_string(grid), to_string(image));
        return {grid[0], grid[1], grid[2], image[3]};
    }
    Tensor forward(const ForwardContext& context) const override {
        const Tensor image = loops::numbers(context.input(0));
        const Tensor grid = loops::numbers(context.input(1)).to(image.dtype());
        Tensor y = Tensor::empty(infer(std::vector<Shape>{image.shape(), grid.shape()}, {}), image.dtype());
        loops::with_type(image.dtype(), [&]<class T>(T) {
            const Pixels<T> pixels(image);
            const std::int64_t channels = pixels.channels;
            const std::int64_t places = grid.shape()[1] * grid.shape()[2];
            parallel_for(places * grid.shape()[0],
                         loops::grain / std::clamp<std::int64_t>(4 * channels, 1, loops::grain),
                         [&](std::int64_t begin, std::int64_t end) {
                             for (std::int64_t p = begin; p < end; ++p) {
                                 const T* at = grid.data<T>() + 2 * p;
                                 T* out = y.data<T>() + p * channels;
                                 const bool is_nan = std::isnan(at[0]) || std::isnan(at[1]);
                                 std::fill_n(out, channels,
                                             is_nan ? std::numeric_limits<T>::quiet_NaN() : T{0});
                                 for (const Tap<T>& tap : taps(pixels, at)) {
                                     const T* pixel = pixels.find(image, p / places, tap);
                                     if (pixel == nullptr) continue;
                                     for (std::int64_t c = 0; c < channels; ++c)
                                         out[c] += tap.weight * pixel[c];
                                 }
                             }
                         });
        });
        return y;
    }
    void backward(const BackwardContext& context) const override {
        const Tensor image = loops::numbers(context.input(0));
        const Tensor grid = loops::numbers(context.input(1)).to(image.dtype());
        const Tensor slope = context.gradient().to(image.dtype());
        Tensor to_image = Tensor::zeros(image.shape(), image.dtype());
        Tensor to_grid = Tensor::zeros(grid.shape(), image.dtype());
        loops::with_type(image.dtype(), [&]<class T>(T) {
            const Pixels<T> pixels(image);
            const std::int64_t places = grid.shape()[1] * grid.shape()[2];
            parallel_for(grid.shape()[0], 1, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t p = begin * places; p < end * places; ++p) {
                    const T* upstream = slope.data<T>() + p * pixels.channels;
                    T* towards = to_grid.data<T>() + 2 * p;
                    for (const Tap<T>& tap : taps(pixels, grid.data<T>() + 2 * p)) {
                        const T* pixel = pixels.find(image, p / places, tap);
                        if (pixel == nullptr) continue;
                        T* into = to_image.data<T>() + (pixel - image.data<T>());
                        T product = 0;
                        for (std::int64_t c = 0; c < pixels.channels; ++c) {
                            into[c] += tap.weight * upstream[c];
                            product += pixel[c] * upstream[c];
                        }
                        towards[0] += tap.along_x * product;
                        towards[1] += tap.along_y * product;
                    }
                }
            });
        });
        if (context.wants_input(0)) context.add_input_gradient(0, to_image);
        if (context.wants_input(1)) context.add_input_gradient(1, to_grid);
    }
    void permutation_rule(PermutationRule& rule) const override {
        constexpr const char* reason = "places in an image go by the position";
        rule.fix_dimensions(0, 0, 3, reason);
        rule.fix_dimensions(1, 0, 4, reason);
        rule.fix_output_dimensions(0, 3, reason);
        rule.tie(rule.input(0, 3), rule.output(3));
        rule.beside({rule.input(0, 3)});
    }
    nlohmann::json attributes() const override { return grid_; }

  private:
    template <class T>
    struct Pixels {
        explicit Pixels(const Tensor& image)
            : height(image.shape()[1]), width(image.shape()[2]), channels(image.shape()[3]) {}
        /// Null outside of the image.
        [[nodiscard]] const T* find(const Tensor& image, std::int64_t number, const Tap<T>& tap) const {
            if (tap.x < 0 || tap.x >= width || tap.y < 0 || tap.y >= height) return nullptr;
            return image.data<T>() + ((number * height + tap.y) * width + tap.x) * channels;
        }
        std::int64_t height;
        std::int64_t width;
        std::int64_t channels;
    };

    /// Of a coordinate from -1 to 1 along `size` pixels.
    template <class T>
    [[nodiscard]] Place<T> place_of(T given, std::int64_t size) const {
        const auto extent = static_cast<T>(size);
        const T half = (grid_.align_corners ? extent - 1 : extent) / 2;
        Place<T> place{(given + 1) * half - (grid_.align_corners ? T{0} : T{0.5}), half};
        if (grid_.outside == Outside::reflection) place = reflected(place, extent);
        if (grid_.outside != Outside::zeros && (place.at < 0 || place.at > extent - 1))
            place = {std::clamp<T>(place.at, 0, extent - 1), 0};
        return place;
    }
    template <class T>
    [[nodiscard]] Place<T> reflected(Place<T> place, T extent) const {
        const T low = grid_.align_corners ? T{0} : T{-0.5};
        const T length = grid_.align_corners ? extent - 1 : extent;
        if (length <= 0) return {0, 0};
        const T distance = place.at - low;
        const T turns = std::floor(std::abs(distance) / length);
        const T rest = std::abs(distance) - turns * length;
        const bool is_odd = std::fmod(turns, T{2}) != 0;
        const T sign = (distance < 0) != is_odd ? T{-1} : T{1};
        return {low + (is_odd ? length - rest : rest), sign * place.slope};
    }

    template <class T>
    [[nodiscard]] std::array<Tap<T>, 4> taps(const Pixels<T>& pixels, const T* at) const {
        constexpr Tap<T> nowhere{-1, -1, 0, 0, 0};
        std::array<Tap<T>, 4> result{nowhere, nowhere, nowhere, nowhere};
        const Place<T> x = place_of(at[0], pixels.width);
        const Place<T> y = place_of(at[1], pixels.height);
        // Far outside, or no number at all.
        constexpr T far = 1 << 24;
        if (!(std::abs(x.at) < far && std::abs(y.at) < far)) return result;
        if (grid_.nearest) {
            result[0] = {static_cast<std::int64_t>(std::nearbyint(x.at)),
                         static_cast<std::int64_t>(std::nearbyint(y.at)), 1, 0, 0};
            return result;
        }
        const T left = std::floor(x.at);
        const T top = std::floor(y.at);
        for (std::size_t i = 0; i < result.size(); ++i) {
            const bool is_right = i % 2 == 1;
            const bool is_below = i >= 2;
            const T along_x = is_right ? x.at - left : left + 1 - x.at;
            const T along_y = is_below ? y.at - top : top + 1 - y.at;
            result[i] = {static_cast<std::int64_t>(left) + (is_right ? 1 : 0),
                         static_cast<std::int64_t>(top) + (is_below ? 1 : 0), along_x * along_y,
                         (is_right ? x.slope : -x.slope) * along_y,
                         (is_below ? y.slope : -y.slope) * along_x};
        }
        return result;
    }

    GridSampleAttributes grid_;
};

}  // namespace

OperatorPtr make_grid_sample(GridSampleAttributes attributes) {
    return std::make_shared<GridSample>(attributes);
}

}  // namespace jlcm
