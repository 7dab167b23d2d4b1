#pragma once
// Windows that slide over images: what convolutions and pooling have in common.

#include <array>
#include <cstdint>

namespace jlcm {

/// Windows over images [images, height, width, channels], channels last. A pair is (vertical, horizontal).
struct Windows {
    using Pair = std::array<std::int64_t, 2>;

    std::int64_t images = 0;
    Pair size{};  ///< of an image
    std::int64_t channels = 0;
    Pair kernel{1, 1};
    Pair stride{1, 1};
    Pair dilation{1, 1};
    Pair pad{};          ///< above and left of the image
    Pair padded_size{};  ///< image and padding behind it: where padding below and right ends
    Pair out_size{};     ///< how many windows there are

    [[nodiscard]] std::int64_t taps() const { return kernel[0] * kernel[1]; }
    [[nodiscard]] std::int64_t out_pixels() const { return out_size[0] * out_size[1]; }
    [[nodiscard]] std::int64_t in_pixels() const { return size[0] * size[1]; }
    /// Where tap `tap` of window `window` lies along an axis; outside of [0, size) where it is padding.
    [[nodiscard]] std::int64_t at(int axis, std::int64_t window, std::int64_t tap) const {
        const auto a = static_cast<std::size_t>(axis);
        return window * stride[a] - pad[a] + tap * dilation[a];
    }
    [[nodiscard]] bool inside(int axis, std::int64_t position) const {
        return position >= 0 && position < size[static_cast<std::size_t>(axis)];
    }
};

/// A convolution; its weight is a matrix [outputs, channels / groups * taps], a row's columns in the order
/// [channel of the group][vertical tap][horizontal tap]. Group g makes outputs [g, g + 1) * outputs / groups.
struct Convolution {
    Windows windows;
    std::int64_t outputs = 0;
    std::int64_t groups = 1;

    [[nodiscard]] std::int64_t group_channels() const { return windows.channels / groups; }
    [[nodiscard]] std::int64_t group_outputs() const { return outputs / groups; }
    [[nodiscard]] std::int64_t columns() const { return windows.taps() * group_channels(); }
    /// One channel in, one out, in every group.
    [[nodiscard]] bool is_depthwise() const { return groups == windows.channels && groups == outputs; }
};

}  // namespace jlcm
