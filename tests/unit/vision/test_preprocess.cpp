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
    CHECK_THROWS_WITH(preprocess.apply(Image{2, 3, 2, std::vector<std::uint8_t>(12)}, sample),
                      Contains("2 channels"));
}

TEST_CASE("colour becomes grey by the weights of ITU-R 601, grey becomes colour by repetition") {
    json given =
        json::parse(R"({"input_size": [1, 1, 4], "channel_order": "L", "range": [0, 255], "mean": [0],
        "std": [1]})");
    std::vector<float> grey(4);
    const Image colours{1, 4, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30}};
    Preprocess(given).apply(colours, grey);
    CHECK(grey == std::vector<float>{76, 150, 29, 18});  // Pillow's convert("L")
    given["input_size"] = {3, 1, 4};
    given["channel_order"] = "BGR";
    given["mean"] = {0, 0, 0};
    given["std"] = {1, 1, 1};
    std::vector<float> sample(12);
    Preprocess(given).apply(Image{1, 4, 1, {1, 2, 3, 4}}, sample);
    CHECK(sample == std::vector<float>{1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4});
}

TEST_CASE("channels may lie last, in either order of input_size") {
    json given = json::parse(R"({"input_size": [3, 1, 2], "layout": "NHWC", "channel_order": "BGR",
        "range": [0, 255], "mean": [0, 1, 2], "std": [1, 1, 1]})");
    const Image image{1, 2, 3, {10, 20, 30, 40, 50, 60}};
    for (const json& size : {json{3, 1, 2}, json{1, 2, 3}}) {
        given["input_size"] = size;
        const Preprocess preprocess(given, {1, 2, 3});
        CHECK(preprocess.shape() == Shape{1, 2, 3});
        std::vector<float> sample(6);
        preprocess.apply(image, sample);
        CHECK(sample == std::vector<float>{30, 19, 8, 60, 49, 38});
    }
}

TEST_CASE("preprocessing that contradicts the network or itself is refused with all that is wrong") {
    const auto with_network = [](const json& given, const Shape& network) {
        try {
            (void)Preprocess(given, network);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::input);
            return std::string(error.what());
        }
        return std::string("no error");
    };
    CHECK(with_network(imagenet(), {3, 4, 4}) == "no error");
    CHECK_THAT(with_network(imagenet(), {3, 12, 12}), Contains("[3,4,4]") && Contains("[3, 12, 12]"));
    CHECK_THAT(with_network(imagenet(), {1, 4, 4}), Contains("[1, 4, 4]"));
    CHECK_THAT(with_network(imagenet(), {48}), Contains("no images"));
    CHECK_THAT(with_network(imagenet(), {4, 4, 3}), Contains("NHWC"));
    json turned = imagenet();
    turned["layout"] = "NHWC";
    CHECK_THAT(with_network(turned, {3, 4, 4}), Contains("NCHW"));
    CHECK(with_network(turned, {4, 4, 3}) == "no error");

    const auto message = with_network({{"input_size", {3, 24, 24}},
                                       {"chanel_order", "RGB"},
                                       {"range", {0, 1}},
                                       {"mean", {123.7, 116.3, 103.5}},
                                       {"std", {58.4, 57.1}}},
                                      {3, 12, 12});
    for (const char* part : {"[3, 12, 12]", "'chanel_order'", "did you mean", "'channel_order' is null",
                             "'std' is [58.4,57.1]; it wants 3"})
        CHECK_THAT(message, Contains(part));
    json given = imagenet();
    given["range"] = {0, 1};
    CHECK_THAT(message_of(given), Contains("'mean'") && Contains("[0, 255]"));
    given["range"] = {0, 255};
    given["mean"] = {0.485, 0.456, 0.406};
    given["std"] = {0.229, 0.224, 0.225};
    CHECK_THAT(message_of(given), Contains("'std'") && Contains("[0, 1]"));
    given = imagenet();
    given["resize"]["size"] = 3;
    CHECK_THAT(message_of(given), Contains("'crop.size'") && Contains("'resize.size' 3"));
    given = imagenet();
    given["notes"] = "for people";
    CHECK(message_of(given) == "no error");
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
