#pragma once
// Antialiased resizing of 8-bit images, byte for byte as Pillow does it (src/libImaging/Resample.c): the
// filter is stretched by the factor of reduction, and rows, then columns, are summed in fixed point.

#include "core/vision/image.hpp"

namespace jlcm {

enum class ResizeFilter : std::uint8_t { bilinear, bicubic };

/// `image` in another size (both sides at least 1).
[[nodiscard]] Image resize(const Image& image, std::int64_t height, std::int64_t width, ResizeFilter filter);

}  // namespace jlcm
