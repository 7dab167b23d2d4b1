// Decoding and resizing against Pillow (tests/golden/make_images.py), byte for byte.

#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/json.hpp"
#include "core/vision/image_file.hpp"
#include "core/vision/preprocess.hpp"
#include "core/vision/resize.hpp"
#include "tests/support/assets.hpp"
#include "tests/support/mutation.hpp"

#include <boost/crc.hpp>
#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

const std::filesystem::path golden = std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden";

nlohmann::json fixtures() {
    return nlohmann::json::parse(read_file(golden / "images.json"));
}

std::string digest(const Image& image) {
    return sha256(std::as_bytes(std::span(image.pixels)));
}

/// The image as a network of one channel reads it, in whole numbers.
Image grey(const Image& image) {
    const Preprocess preprocess({{"input_size", {1, image.height, image.width}},
                                 {"channel_order", "L"},
                                 {"range", {0, 255}},
                                 {"mean", {0}},
                                 {"std", {1}}});
    std::vector<float> sample(static_cast<std::size_t>(image.height * image.width));
    preprocess.apply(image, sample);
    return {image.height, image.width, 1, {sample.begin(), sample.end()}};
}

/// Whether a file is decoded and resized as the record says; how many sizes were compared.
std::size_t compare(const std::filesystem::path& directory, const nlohmann::json& record) {
    const MappedFile file(directory / record.at("file").get<std::string>());
    const Image image = decode_image(file.bytes());
    INFO(file.path().string());
    REQUIRE(image.height == record.at("height"));
    REQUIRE(image.width == record.at("width"));
    CHECK(digest(image) == record.at("sha256"));
    CHECK(digest(grey(image)) == record.at("grey_sha256"));
    for (const auto& each : record.at("resized")) {
        const auto filter = each.at("filter") == "bilinear" ? ResizeFilter::bilinear : ResizeFilter::bicubic;
        INFO(each.dump());
        const Image resized = resize(image, each.at("height"), each.at("width"), filter);
        CHECK(digest(resized) == each.at("sha256"));
    }
    return record.at("resized").size();
}

std::string message_of(std::span<const std::byte> bytes) {
    try {
        (void)decode_image(bytes);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("JPEG and PNG files are decoded and resized as Pillow does it") {
    std::size_t compared = 0;
    const auto records = fixtures().at("files");
    for (const auto& record : records) compared += compare(golden / "images", record);
    CHECK(compared == 20 * 12);
}

TEST_CASE("photographs are decoded and resized as Pillow does it") {
    const auto assets = test::assets();
    JLCM_SKIP_UNLESS(assets && std::filesystem::exists(*assets / "data/imagenet-samples"), "no photographs");
    const auto records = fixtures().at("photographs");
    CHECK(records.size() == 30);
    for (const auto& record : records) compare(*assets / "data/imagenet-samples", record);
}

TEST_CASE("an image of its own size stays as it is, and one colour stays that colour") {
    Image image{5, 7, 3, std::vector<std::uint8_t>(5 * 7 * 3)};
    for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(37 * i);
    for (const auto filter : {ResizeFilter::bilinear, ResizeFilter::bicubic})
        CHECK(resize(image, 5, 7, filter).pixels == image.pixels);
    const Image flat{3, 4, 1, std::vector<std::uint8_t>(12, 201)};
    for (const auto& [height, width] : {std::pair(1, 1), std::pair(2, 9), std::pair(50, 3)})
        for (const auto filter : {ResizeFilter::bilinear, ResizeFilter::bicubic})
            for (const std::uint8_t pixel : resize(flat, height, width, filter).pixels) CHECK(pixel == 201);
}

TEST_CASE("no memory is taken for pixels that the file cannot hold") {
    const auto bytes_of = [](const char* name) {
        const MappedFile file(golden / "images" / name);
        return test::Bytes(file.bytes().begin(), file.bytes().end());
    };
    test::Bytes jpeg = bytes_of("04.jpg");
    constexpr std::array frame_header{std::byte{0xff}, std::byte{0xc0}};
    const auto frame = std::ranges::search(jpeg, frame_header).begin();
    REQUIRE(frame != jpeg.end());
    for (const int at : {5, 7}) frame[at] = std::byte{0x3f};  // 16 thousand lines of as many pixels
    CHECK(message_of(jpeg).find("damaged or cut short") != std::string::npos);

    test::Bytes png = bytes_of("12.png");
    for (const int at : {18, 22}) png[static_cast<std::size_t>(at)] = std::byte{0x3f};
    boost::crc_32_type checksum;
    checksum.process_bytes(png.data() + 12, 17);
    for (int i = 0; i < 4; ++i)
        png[static_cast<std::size_t>(29 + i)] = static_cast<std::byte>(checksum.checksum() >> (24 - 8 * i));
    CHECK(message_of(png).find("damaged or cut short") != std::string::npos);
}

TEST_CASE("damaged images are refused or read, and never crash") {
    const auto read = [](std::span<const std::byte> bytes) { (void)decode_image(bytes); };
    for (const char* name : {"images/04.jpg", "images/03.jpg", "images/12.png", "images/14.png"}) {
        const MappedFile file(golden / name);
        const test::Bytes bytes(file.bytes().begin(), file.bytes().end());
        INFO(name);
        CHECK(test::refuses(read, test::Bytes(bytes.begin(), bytes.begin() + std::ssize(bytes) / 2)));
        CHECK(test::mutate(read, bytes, bytes.size(), 300) > 0);
    }
    CHECK(message_of({}) == "neither JPEG nor PNG");
    CHECK(message_of(std::as_bytes(std::span("GIF89a and more"))) == "neither JPEG nor PNG");
}
