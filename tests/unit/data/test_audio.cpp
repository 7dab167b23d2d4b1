// Sound files as samples of networks.

#include "core/base/files.hpp"
#include "core/data/samples.hpp"
#include "core/data/sound.hpp"
#include "tests/support/temporary.hpp"

#include <cmath>
#include <cstring>
#include <numbers>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;
using Catch::Contains;
using jlcm::test::TemporaryDirectory;

const std::filesystem::path golden = std::filesystem::path(JLCM_SOURCE_DIR) / "tests/golden/sounds";

void append(std::string& text, auto value) {
    std::array<char, sizeof value> bytes{};
    std::memcpy(bytes.data(), &value, sizeof value);
    text.append(bytes.data(), bytes.size());
}

/// A WAV file of 32-bit floats, the channels of a moment side by side.
void write_wave(const std::filesystem::path& path, std::uint32_t rate, const std::vector<float>& values,
                std::uint16_t channels = 1) {
    const auto size = static_cast<std::uint32_t>(4 * values.size());
    std::string text = "RIFF";
    append(text, 36 + size);
    text += "WAVEfmt ";
    append(text, std::uint32_t{16});
    append(text, std::uint16_t{3});  // IEEE float
    append(text, channels);
    append(text, rate);
    append(text, rate * channels * 4);
    append(text, static_cast<std::uint16_t>(channels * 4));
    append(text, std::uint16_t{32});
    text += "data";
    append(text, size);
    for (const float value : values) append(text, value);
    write_file(path, text);
}

std::vector<float> tone(double frequency, double rate, std::int64_t count) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < count; ++i)
        values.push_back(static_cast<float>(
            0.5 * std::sin(2 * std::numbers::pi * frequency * static_cast<double>(i) / rate)));
    return values;
}

/// Away from the ends, beyond which nothing is known.
double largest_difference(const std::vector<float>& a, const std::vector<float>& b, std::size_t margin) {
    REQUIRE(a.size() == b.size());
    double largest = 0;
    for (std::size_t i = margin; i + margin < a.size(); ++i)
        largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    return largest;
}

ImageData load(const std::string& options) {
    return load_images(*DatasetChoice::parse("{type: audio, " + options + "}").make(), {});
}

const Tensor& windows_of(const ImageData& data) {
    return dynamic_cast<const TensorSet&>(*data.images).arrays().front().second;
}

std::vector<float> values_of(const ImageData& data) {
    const auto values = windows_of(data).values<float>();
    return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("sound files of every width are what soundfile reads, the mean over their channels") {
    const auto expected = nlohmann::json::parse(read_file(golden / "sounds.json"));
    for (const auto& each : expected) {
        const auto file = each.at("file").get<std::string>();
        CAPTURE(file);
        const Sound sound = read_sound(golden / file);
        CHECK(sound.rate == each.at("rate").get<int>());
        CHECK(largest_difference(sound.samples, each.at("mono").get<std::vector<float>>(), 0) < 1e-7);
        // SciPy's filter is another one, as wide as a tenth of the band; what lies well below is the same.
        const Sound slower = resampled(sound, each.at("slower_rate").get<int>());
        CHECK(largest_difference(slower.samples, each.at("slower").get<std::vector<float>>(), 100) < 2e-3);
    }
}

TEST_CASE("a tone at another sampling rate is the same tone; what the rate cannot hold is gone") {
    for (const auto& [from, to] : {std::pair(44100, 16000), {8000, 16000}, {16000, 8000}, {48000, 22050}}) {
        CAPTURE(from, to);
        const Sound same = resampled({from, tone(440, from, from)}, to);
        CHECK(same.rate == to);
        CHECK(largest_difference(same.samples, tone(440, to, to), 200) < 1e-4);
    }
    const Sound gone = resampled({44100, tone(10000, 44100, 44100)}, 16000);
    CHECK(largest_difference(gone.samples, std::vector<float>(16000), 200) < 1e-4);
    CHECK(resampled({8000, {1, 2, 3}}, 8000).samples == std::vector<float>{1, 2, 3});
    CHECK(resampled({8000, {}}, 16000).samples.empty());
    CHECK_THROWS_WITH(resampled({100, {1}}, 100000), Contains("256 times"));
}

TEST_CASE("sounds are cut into windows, and their normalisation is what the option says") {
    const TemporaryDirectory directory;
    const std::string place = directory.path().string();
    write_wave(directory.path() / "a.wav", 16000, {1, 3, 2, 4, 5, 5, -8}, 1);
    write_wave(directory.path() / "b.WAV", 16000, {1, 3, 2, 4}, 2);
    write_wave(directory.path() / "c.wav", 16000, {});
    write_file(directory.path() / "notes.txt", "no sound");

    const ImageData whole = load("path: " + place + ", window: 3");
    CHECK(windows_of(whole).shape() == Shape{3, 3});
    CHECK(values_of(whole) == std::vector<float>{1, 3, 2, 4, 5, 5, 2, 3, 0});
    CHECK(values_of(load("path: " + place + "/a.wav, window: 3, step: 2")) ==
          std::vector<float>{1, 3, 2, 2, 4, 5, 5, 5, -8});
    CHECK(windows_of(load("path: " + place + ", window: 3, windows: 1")).shape() == Shape{3, 1, 3});
    const ImageData rows = load("path: " + place + ", window: 3, step: 2, windows: 2");
    CHECK(windows_of(rows).shape() == Shape{2, 2, 3});
    CHECK(values_of(rows) == std::vector<float>{1, 3, 2, 2, 4, 5, 2, 3, 0, 0, 0, 0});

    const ImageData part = load("path: " + place + ", window: 2, first: 1, samples: 2");
    CHECK(values_of(part) == std::vector<float>{2, 4, 5, 5});
    CHECK_THAT(part.name, Contains("2 values at 16000 Hz [1, 3)"));

    CHECK(values_of(load("path: " + place + "/a.wav, window: 7, normalise: peak")) ==
          std::vector<float>{0.125, 0.375, 0.25, 0.5, 0.625, 0.625, -1});
    const auto standard = values_of(load("path: " + place + "/b.WAV, window: 2, normalise: standard"));
    CHECK(standard[0] == Approx(-1).epsilon(1e-5));
    CHECK(standard[1] == Approx(1).epsilon(1e-5));
    write_wave(directory.path() / "silence.wav", 16000, {0, 0});
    for (const std::string how : {"none", "peak", "standard"})
        CHECK(values_of(load(fmt::format("path: {}/silence.wav, window: 2, normalise: {}", place, how))) ==
              std::vector<float>{0, 0});
    CHECK(load("path: " + place + ", window: 3").sha256 != whole.sha256);
}

TEST_CASE("sounds that cannot be read are refused with the file's name") {
    const TemporaryDirectory directory;
    const auto refused = [&](const std::string& file, const std::string& says) {
        CHECK_THROWS_WITH(load("path: " + (directory.path() / file).string() + ", window: 2"),
                          Contains(file) && Contains(says));
    };
    refused("none.wav", "No such file");
    write_file(directory.path() / "text.wav", "no sound at all");
    refused("text.wav", "WAV and FLAC are");
    const float nan = std::numeric_limits<float>::quiet_NaN();
    write_wave(directory.path() / "nan.wav", 16000, {1, nan});
    refused("nan.wav", "the value 1 is not a finite number");
    write_wave(directory.path() / "infinite.wav", 16000, {std::numeric_limits<float>::infinity()});
    refused("infinite.wav", "the value 0 is not a finite number");
    write_wave(directory.path() / "empty.wav", 16000, {});
    refused("empty.wav", "no file holds a single value");
    std::filesystem::create_directory(directory.path() / "folder");
    refused("folder", "no sound file (*.wav, *.flac) lies below it");
    write_wave(directory.path() / "long.wav", 100, std::vector<float>(100'000));
    CHECK_THROWS_WITH(
        load("path: " + (directory.path() / "long.wav").string() + ", rate: 100, window: 50000, step: 1"),
        Contains("make 'step' longer"));
}

TEST_CASE("a network with other inputs reads the sound as the one that the spec leaves open") {
    const TemporaryDirectory directory;
    write_wave(directory.path() / "a.wav", 16000, {1, 2, 3, 4});
    const std::vector<Data> data{load("path: " + directory.path().string() + ", window: 2")};
    const auto reads = [](const std::vector<GraphInput>& inputs) {
        return ModelInput{nullptr, 0, std::make_shared<Preprocess>(Preprocess::of_tensors(inputs))};
    };
    const ModelInput one = reads({{"input", {2}}});
    require_readable(one, data, 0);
    const auto source = make_sample_source(one, data, {1}, 0, 0);
    CHECK(source->samples(0, 2).shape() == Shape{2, 2});
    CHECK_THROWS_WITH(require_readable(reads({{"input", {3}}}), data, 0), Contains("[2, 2]"));
    CHECK_THROWS_WITH(require_readable(reads({{"input", {2}}, {"state", {2, 4}}}), data, 0),
                      Contains("'state'"));
}
