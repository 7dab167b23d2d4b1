// Preprocessing: the formula, crops, and what is refused.

#include "core/vision/preprocess.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Contains;
using nlohmann::json;

json imagenet() {
    return json::parse(R"json({"input_size": [3, 4, 4], "resize": {"mode": "short_side", "size": 6},
        "crop": {"mode": "center", "size": 4}, "interpolation": "bilinear (antialiased)",
        "channel_order": "BGR", "range": [0, 255], "mean": [104.0, 117.0, 123.0], "std": [1.0, 2.0, 4.0]})json");
}

/// Pixel (y, x) of channel c is 100 c + 10 y + x.
Image numbered(std::int64_t height, std::int64_t width, std::int64_t channels) {
    Image image{height, width, channels, {}};
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x)
            for (std::int64_t c = 0; c < channels; ++c)
                image.pixels.push_back(static_cast<std::uint8_t>(100 * c + 10 * y + x));
    return image;
}

std::string message_of(const json& given) {
    try {
        (void)Preprocess(given);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::input);
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("pixels are cropped, ordered and normalised") {
    const Preprocess preprocess(imagenet());
    CHECK(preprocess.shape() == Shape({3, 4, 4}));
    std::vector<float> sample(48);
    preprocess.apply(numbered(6, 9, 3), sample);  // 6 is the short side already; the crop begins at (1, 2)
    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t y = 0; y < 4; ++y)
            for (std::size_t x = 0; x < 4; ++x) {
                const double pixel = 100.0 * (2.0 - static_cast<double>(c)) +
                                     10.0 * (static_cast<double>(y) + 1) + static_cast<double>(x) + 2;
                const double mean = std::array{104.0, 117.0, 123.0}[c];
                const double deviation = std::array{1.0, 2.0, 4.0}[c];
                CHECK(sample[c * 16 + y * 4 + x] == Approx((pixel - mean) / deviation));
            }
    preprocess.apply(numbered(12, 24, 3), sample);  // resized to 6 x 12
}

TEST_CASE("grey images of the input's size need neither resize nor crop") {
    const Preprocess preprocess(json::parse(R"({"input_size": [1, 2, 3], "resize": null, "crop": null,
        "channel_order": "L", "range": [0, 1], "mean": [0.5], "std": [0.25]})"));
    std::vector<float> sample(6);
    preprocess.apply(numbered(2, 3, 1), sample);
    CHECK(sample[5] == Approx((12.0 / 255 - 0.5) / 0.25));
    CHECK_THROWS_WITH(preprocess.apply(numbered(3, 3, 1), sample), Contains("3 x 3 pixels"));
    CHECK_THROWS_WITH(preprocess.apply(numbered(2, 3, 3), sample), Contains("3 channels"));
}

TEST_CASE("preprocessing that is not understood is refused by its key") {
    const auto with = [](const char* key, const json& value) {
        json given = imagenet();
        given[key] = value;
        return message_of(given);
    };
    CHECK(message_of(imagenet()) == "no error");
    CHECK_THAT(message_of(json::array()), Contains("no object"));
    CHECK_THAT(message_of(json::object()), Contains("input_size"));
    CHECK_THAT(with("input_size", {3, 0, 4}), Contains("input_size"));
    CHECK_THAT(with("input_size", {3, "4", 4}), Contains("input_size"));
    CHECK_THAT(with("resize", {{"mode", "long_side"}, {"size", 4}}), Contains("long_side"));
    CHECK_THAT(with("resize", 256), Contains("resize"));
    CHECK_THAT(with("interpolation", "nearest"), Contains("nearest"));
    CHECK_THAT(with("crop", {{"mode", "center"}, {"size", 5}}), Contains("crop"));
    CHECK_THAT(with("crop", {{"mode", "five"}, {"size", 4}}), Contains("five"));
    CHECK_THAT(with("channel_order", "L"), Contains("channel_order"));
    CHECK_THAT(with("range", {0, 2}), Contains("range"));
    CHECK_THAT(with("mean", {1, 2}), Contains("mean"));
    CHECK_THAT(with("std", {1, 0, 1}), Contains("std"));
    CHECK_THAT(with("std", nullptr), Contains("std"));
}
