// Parts of image datasets, and samples as a model reads them.

#include "core/base/files.hpp"
#include "core/data/image_selection.hpp"
#include "core/data/samples.hpp"
#include "core/vision/image_sets.hpp"
#include "tests/support/assets.hpp"

#include <set>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Contains;

/// Images of one pixel with the values 0, 1, ..., each of its own class.
ImageData numbered(std::int64_t count) {
    ImageData data;
    std::vector<std::byte> pixels;
    for (std::int64_t i = 0; i < count; ++i) {
        pixels.push_back(static_cast<std::byte>(i));
        data.labels.push_back(static_cast<std::int32_t>(i));
    }
    data.name = "numbered";
    data.images = std::make_shared<PixelSet>(pixels, Shape{1, 1, 1}, PixelSet::Order::interleaved);
    return data;
}

std::vector<int> values_of(const ImageData& data) {
    std::vector<int> values;
    for (std::int64_t i = 0; i < data.images->count(); ++i) {
        values.push_back(data.images->image(i).pixels.front());
        CHECK(data.labels[static_cast<std::size_t>(i)] == values.back());
    }
    return values;
}

std::string text_of(const Image& image) {
    return {image.pixels.begin(), image.pixels.end()};
}

ModelInput reads_pixels() {
    const auto json = nlohmann::json::parse(R"({"input_size": [1, 1, 1], "channel_order": "L",
        "range": [0, 255], "mean": [0], "std": [1]})");
    return {.tokenizer = nullptr, .max_positions = 0, .preprocess = std::make_shared<Preprocess>(json)};
}

}  // namespace

TEST_CASE("a selection of images is a partition by number, and its name tells which part it is") {
    const auto part = [](Split split, std::int64_t first) {
        return select_images(numbered(12), {.split = split, .every = 5, .first = first});
    };
    CHECK(values_of(part(Split::calibration, 0)) == std::vector<int>{0, 5, 10});
    CHECK(values_of(part(Split::held_out, 0)) == std::vector<int>{1, 2, 3, 4, 6, 7, 8, 9, 11});
    CHECK(values_of(part(Split::held_out, 3)) == std::vector<int>{1, 2, 3});
    CHECK(values_of(part(Split::all, 0)).size() == 12);
    CHECK(values_of(part(Split::all, 20)).size() == 12);
    CHECK(part(Split::all, 12).name == "numbered");
    std::set<std::string> names;
    for (const Split split : {Split::all, Split::calibration, Split::held_out})
        for (const std::int64_t first : {0, 2}) names.insert(part(split, first).name);
    CHECK(names.size() == 6);
}

TEST_CASE("a part of images without labels has none either") {
    ImageData data = numbered(12);
    data.labels.clear();
    const ImageData part = select_images(std::move(data), {.split = Split::calibration});
    CHECK(part.images->count() == 3);
    CHECK(part.labels.empty());
}

TEST_CASE("a selection may pass images over, so that two of them have none in common") {
    const auto part = [](std::int64_t skip, std::int64_t first) {
        return select_images(numbered(22), {.split = Split::calibration, .skip = skip, .first = first});
    };
    CHECK(values_of(part(0, 2)) == std::vector<int>{0, 5});
    CHECK(values_of(part(2, 0)) == std::vector<int>{10, 15, 20});
    CHECK(values_of(part(2, 1)) == std::vector<int>{10});
    CHECK(part(2, 1).name == "numbered, only 1 in 5, without the first 2, first 1");
    CHECK_THROWS_WITH(part(5, 0), Catch::Contains("holds no image"));
}

TEST_CASE("image samples come by shares, each once before any comes again") {
    const std::vector<Data> data{numbered(4), select_images(numbered(12), {.split = Split::held_out})};
    const auto source = make_sample_source(reads_pixels(), data, {1.0, 3.0}, 0, 7);
    const Tensor samples = source->samples(0, 12);
    REQUIRE(samples.shape() == Shape({12, 1, 1, 1}));
    const auto values = samples.values<float>();
    CHECK(std::set<float>(values.begin(), values.end()).size() >= 9);
    CHECK(source->distinct(12) == "12 images");
    CHECK(source->distinct(100) == "13 images");
    const Tensor later = source->samples(5, 7);
    CHECK(std::ranges::equal(later.values<float>(), values.subspan(5)));
}

TEST_CASE("data that a model does not read is refused before anything is done") {
    const std::vector<Data> images{numbered(2)};
    const std::vector<Data> texts{TextData{.name = "prose", .documents = {"a"}, .sha256 = "", .source = ""}};
    CHECK_NOTHROW(require_readable(reads_pixels(), images, 1));
    CHECK_THROWS_WITH(require_readable(reads_pixels(), texts, 1),
                      Contains("prose") && Contains("reads images"));
    CHECK_THROWS_WITH(require_readable({}, images, 1), Contains("preprocess.json"));
    CHECK_THROWS_WITH(require_readable({}, texts, 1), Contains("no tokenizer"));
}

TEST_CASE("Fashion-MNIST is read from Debian's package") {
    const auto test_images = DatasetChoice::parse("fashion-mnist-test").make();
    JLCM_SKIP_UNLESS(test_images->is_available({}), "no Fashion-MNIST (scripts/setup.sh)");
    const ImageData data = load_images(*test_images, {});
    CHECK(data.images->count() == 10000);
    CHECK(std::vector<std::int32_t>(data.labels.begin(), data.labels.begin() + 5) ==
          std::vector<std::int32_t>{9, 2, 1, 1, 6});
    CHECK(data.classes.size() == 10);
    CHECK_THROWS_WITH(load_text(*test_images, {}), Contains("fashion-mnist-test holds images"));
    const auto some = DatasetChoice::parse("{type: fashion-mnist-train, first: 100}").make();
    CHECK(load_images(*some, {}).images->count() == 100);
}

TEST_CASE("files of images are found where named datasets are") {
    const auto assets = test::assets();
    JLCM_SKIP_UNLESS(assets && std::filesystem::exists(*assets / "data/cifar10"), "no images");
    const Directories directories{*assets / "data"};
    const auto load = [&](const std::string& yaml) {
        return load_images(*DatasetChoice::parse(yaml).make(), directories);
    };
    const ImageData cifar = load("{type: cifar10, path: cifar10/test_1000.bin}");
    CHECK(cifar.images->count() == 1000);
    CHECK(cifar.labels[0] == 3);
    CHECK(cifar.name == "cifar10 test_1000.bin");
    const ImageData folder =
        load("{type: image_folder, path: imagenet-samples, part: {split: held_out, every: 5}}");
    CHECK(folder.images->count() == 800);
    CHECK(folder.labels[0] == 1);
    CHECK(folder.classes.size() == 1000);
    CHECK(folder.name == "imagenet-samples, without 1 in 5");
    CHECK_THROWS_WITH(load("{type: cifar10, path: none.bin}"), Contains("none.bin"));
    CHECK_THROWS_WITH(load("{type: cifar10, path: imagenet-samples/labels.csv}"), Contains("labels.csv"));
    CHECK_THROWS_WITH(load("{type: image_folder, path: none}"), Contains("none: there is no such folder"));
}

TEST_CASE("augmented images are views of the same size, the same ones each time") {
    const auto load = [](const std::string& yaml) {
        return load_images(*DatasetChoice::parse(yaml).make(), data_directories());
    };
    const std::string base = "{type: fashion-mnist-test, first: 3}";
    const ImageData whole = load(base);
    const ImageData same =
        load("{type: augmented, dataset: " + base + ", copies: 1, least_area: 1, flip: false}");
    for (std::int64_t i = 0; i < 3; ++i) CHECK(same.images->image(i).pixels == whole.images->image(i).pixels);
    const ImageData views = load("{type: augmented, dataset: " + base + ", copies: 5}");
    REQUIRE(views.images->count() == 15);
    REQUIRE(views.labels.size() == 15);
    CHECK(views.name != whole.name);
    std::set<std::string> different;
    for (std::int64_t i = 0; i < 15; ++i) {
        const Image image = views.images->image(i);
        CHECK((image.height == 28 && image.width == 28 && image.pixels.size() == 784));
        CHECK(image.pixels == views.images->image(i).pixels);
        CHECK(views.labels[static_cast<std::size_t>(i)] == whole.labels[static_cast<std::size_t>(i % 3)]);
        different.insert(text_of(image));
    }
    CHECK(different.size() == 15);
    // A mirrored view of the whole image is the image, mirrored.
    const ImageData mirrored = load("{type: augmented, dataset: " + base + ", copies: 40, least_area: 1}");
    std::set<std::string> of_one;
    for (std::int64_t i = 0; i < 120; i += 3) of_one.insert(text_of(mirrored.images->image(i)));
    CHECK(of_one.size() == 2);
    CHECK(of_one.contains(text_of(whole.images->image(0))));
}

TEST_CASE("mixed images show a rectangle of another image where it was") {
    const auto load = [](const std::string& yaml) {
        return load_images(*DatasetChoice::parse(yaml).make(), data_directories());
    };
    const std::string base = "{type: fashion-mnist-test, first: 3}";
    const ImageData whole = load(base);
    const ImageData mixed =
        load("{type: augmented, dataset: " + base + ", copies: 20, least_area: 1, flip: false, mix: 1}");
    std::vector<Image> originals;
    for (std::int64_t i = 0; i < 3; ++i) originals.push_back(whole.images->image(i));
    std::int64_t changed = 0;
    for (std::int64_t i = 0; i < 60; ++i) {
        const Image image = mixed.images->image(i);
        // The rectangle that differs comes from one other image, all of it.
        const auto fits = [&](const Image& other) {
            std::int64_t top = 28, bottom = 0, left = 28, right = 0;
            const auto& own = originals[static_cast<std::size_t>(i % 3)];
            for (std::int64_t p = 0; p < 784; ++p) {
                const auto at = static_cast<std::size_t>(p);
                if (image.pixels[at] == own.pixels[at]) continue;
                top = std::min(top, p / 28), bottom = std::max(bottom, p / 28 + 1);
                left = std::min(left, p % 28), right = std::max(right, p % 28 + 1);
            }
            for (std::int64_t y = top; y < bottom; ++y)
                for (std::int64_t x = left; x < right; ++x)
                    if (const auto at = static_cast<std::size_t>(y * 28 + x);
                        image.pixels[at] != other.pixels[at])
                        return false;
            return true;
        };
        CHECK(std::ranges::any_of(originals, fits));
        changed += image.pixels == originals[static_cast<std::size_t>(i % 3)].pixels ? 0 : 1;
    }
    CHECK(changed > 20);
    CHECK(changed < 60);
}
