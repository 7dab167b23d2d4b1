#include "core/vision/image_file.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include <spng.h>
#include <turbojpeg.h>

namespace jlcm {
namespace {

constexpr std::int64_t most_pixels = std::int64_t{1} << 28;
/// Bytes that deflate makes of one (RFC 1951: 258 from two bits).
constexpr std::int64_t most_deflated_from_a_byte = 1032;
/// Every block of 8 x 8 has a Huffman code of a bit at least, and the sampling of the components leaves no
/// more than twice as many pixels a block.
constexpr std::int64_t most_jpeg_pixels_in_a_byte = 1024;
constexpr std::array<unsigned char, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<unsigned char, 3> jpeg_signature{0xff, 0xd8, 0xff};

template <std::size_t n>
bool begins_with(std::span<const std::byte> bytes, const std::array<unsigned char, n>& signature) {
    return bytes.size() >= n && std::equal(signature.begin(), signature.end(), bytes.begin(),
                                           [](unsigned char a, std::byte b) { return std::byte{a} == b; });
}

/// `most_in_a_byte`: pixels that a byte of the file can stand for; what has more is refused before memory is
/// taken.
Image empty_image(std::int64_t height, std::int64_t width, std::size_t bytes, std::int64_t most_in_a_byte) {
    require(height > 0 && width > 0 && height <= most_pixels / width, "an image of {} x {} pixels", width,
            height);
    require(height * width / most_in_a_byte <= static_cast<std::int64_t>(bytes),
            "an image of {} x {} pixels in {} bytes: damaged or cut short", width, height, bytes);
    Image image{height, width, 3, {}};
    image.pixels.resize(static_cast<std::size_t>(height * width * 3));
    return image;
}

Image decode_jpeg(std::span<const std::byte> bytes) {
    const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), &tjDestroy);
    ensure(decoder != nullptr, "libjpeg-turbo gives no decoder: {}", tjGetErrorStr());
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());  // NOLINT: bytes for a C library
    const auto check = [&](int code) {
        // A warning (data that end early, say) is an error here: the pixels would be made up.
        require(code == 0, "the JPEG cannot be decoded: {}", tjGetErrorStr2(decoder.get()));
    };
    int width = 0;
    int height = 0;
    int sampling = 0;
    int colours = 0;
    check(tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height, &sampling, &colours));
    require(colours != TJCS_CMYK && colours != TJCS_YCCK, "a CMYK JPEG, which is not supported");
    Image image = empty_image(height, width, bytes.size(), most_jpeg_pixels_in_a_byte);
    check(tjDecompress2(decoder.get(), data, bytes.size(), image.pixels.data(), width, 0, height, TJPF_RGB,
                        TJFLAG_ACCURATEDCT));
    return image;
}

Image decode_png(std::span<const std::byte> bytes) {
    const std::unique_ptr<spng_ctx, void (*)(spng_ctx*)> decoder(spng_ctx_new(0), &spng_ctx_free);
    ensure(decoder != nullptr, "libspng gives no decoder");
    const auto check = [](int code) {
        require(code == 0, "the PNG cannot be decoded: {}", spng_strerror(code));
    };
    check(spng_set_png_buffer(decoder.get(), bytes.data(), bytes.size()));
    spng_ihdr header{};
    check(spng_get_ihdr(decoder.get(), &header));
    constexpr std::array channels_by_colour_type{1, 0, 3, 1, 2, 0, 4};
    const int bits = channels_by_colour_type.at(header.color_type) * header.bit_depth;
    Image image =
        empty_image(header.height, header.width, bytes.size(), 8 * most_deflated_from_a_byte / bits);
    check(spng_decode_image(decoder.get(), image.pixels.data(), image.pixels.size(), SPNG_FMT_RGB8, 0));
    return image;
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes) {
    if (begins_with(bytes, png_signature)) return decode_png(bytes);
    require(begins_with(bytes, jpeg_signature), "neither JPEG nor PNG");
    return decode_jpeg(bytes);
}

std::string encode_png(const Image& image) {
    ensure(image.channels == 3, "a PNG of {} channels", image.channels);
    const std::unique_ptr<spng_ctx, void (*)(spng_ctx*)> encoder(spng_ctx_new(SPNG_CTX_ENCODER),
                                                                 &spng_ctx_free);
    ensure(encoder != nullptr, "libspng gives no encoder");
    int code = 0;
    const auto check = [&] { ensure(code == 0, "the PNG cannot be encoded: {}", spng_strerror(code)); };
    spng_ihdr header{};
    header.width = static_cast<std::uint32_t>(image.width);
    header.height = static_cast<std::uint32_t>(image.height);
    header.bit_depth = 8;
    header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
    code = spng_set_option(encoder.get(), SPNG_ENCODE_TO_BUFFER, 1);
    check();
    code = spng_set_ihdr(encoder.get(), &header);
    check();
    code = spng_encode_image(encoder.get(), image.pixels.data(), image.pixels.size(), SPNG_FMT_PNG,
                             SPNG_ENCODE_FINALIZE);
    check();
    std::size_t size = 0;
    const std::unique_ptr<void, void (*)(void*)> bytes(spng_get_png_buffer(encoder.get(), &size, &code),
                                                       &std::free);
    check();
    return {static_cast<const char*>(bytes.get()), size};
}

}  // namespace jlcm
