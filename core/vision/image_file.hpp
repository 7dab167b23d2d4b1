#pragma once
// JPEG and PNG files (libjpeg-turbo, libspng).

#include "core/vision/image.hpp"

namespace jlcm {

/// The file's image in red, green and blue; grey is spread over the three, transparency dropped, 16 bits
/// rounded down to 8. An input error says what is wrong with the bytes: another format, damaged, CMYK, or
/// more than 2^28 pixels.
[[nodiscard]] Image decode_image(std::span<const std::byte> bytes);

/// An image in red, green and blue as a PNG file's bytes.
[[nodiscard]] std::string encode_png(const Image& image);

}  // namespace jlcm
