#include "core/vision/image_file.hpp"

#include <algorithm>
#include <array>

#include <spng.h>
#include <turbojpeg.h>

namespace jlcm {
namespace {

constexpr std::int64_t most_pixels = std::int64_t{1} << 28;
constexpr std::array<unsigned char, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<unsigned char, 3> jpeg_signature{0xff, 0xd8, 0xff};

template <std::size_t n>
bool begins_with(std::span<const std::byte> bytes, const std::array<unsigned char, n>& signature) {
    return bytes.size() >= n && std::equal(signature.begin(), signature.end(), bytes.begin(),
                                           [](unsigned char a, std::byte b) { return std::byte{a} == b; });
}

Image empty_image(std::int64_t height, std::int64_t width) {
    require(height > 0 && width > 0 && height <= most_pixels / width, "an image of {} x {} pixels", width,
            height);
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
    Image image = empty_image(height, width);
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
    Image image = empty_image(header.height, header.width);
    check(spng_decode_image(decoder.get(), image.pixels.data(), image.pixels.size(), SPNG_FMT_RGB8, 0));
    return image;
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes) {
    if (begins_with(bytes, png_signature)) return decode_png(bytes);
    require(begins_with(bytes, jpeg_signature), "neither JPEG nor PNG");
    return decode_jpeg(bytes);
}

}  // namespace jlcm
