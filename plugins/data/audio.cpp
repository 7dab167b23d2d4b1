#include "core/base/file_list.hpp"
#include "core/base/files.hpp"
#include "core/base/parallel.hpp"
#include "core/data/dataset.hpp"
#include "core/data/sample_range.hpp"
#include "core/data/sound.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

enum class Normalise : std::uint8_t { none, peak, standard };

EnumNames<Normalise> enum_names(Normalise /*tag*/) {
    return {
        {Normalise::none, "none", "as it is stored; full scale is 1"},
        {Normalise::peak, "peak", "its largest absolute value becomes 1"},
        {Normalise::standard, "standard", "its mean becomes 0 and its variance 1, as wav2vec 2.0 has it"}};
}

struct AudioOptions {
    std::string path;
    std::int64_t rate = 16000;
    std::int64_t window = 0;
    std::int64_t step = 0;
    std::int64_t windows = 0;
    Normalise normalise = Normalise::none;
    SampleRange range;
    void fields(Fields& v) {
        v("path", path,
          Doc{"A WAV or FLAC file, or a folder of them; looked for in the current directory and then where "
              "named datasets are. Of several channels the mean is taken."},
          Required{});
        v("rate", rate, Doc{"Hz that the network wants; files of other rates are resampled."},
          Range{100, 1e6});
        v("window", window,
          Doc{"How many values at this rate the network reads at once. A file that is shorter is filled up with "
              "zeros; what is left at the end of a longer one is left out."},
          Required{}, Range{1, 1 << 26});
        v("step", step, Doc{"From the start of one window to that of the next; 0: as long as a window."},
          Range{0, 1 << 26});
        v("windows", windows,
          Doc{"Makes a sample of the network [windows, window]: 1 of one that reads channels, more of one that reads "
              "several windows in a row. 0: a sample is [window]."},
          Range{0, 1 << 20});
        v("normalise", normalise, Doc{"What is done to each window."});
        range.fields(v);
    }
};

/// Shifted and scaled in place; silence stays silence.
void normalise(std::span<float> window, Normalise how) {
    if (how == Normalise::none) return;
    double shift = 0;
    double scale = 0;
    const auto size = static_cast<double>(window.size());
    if (how == Normalise::peak) {
        for (const float value : window) scale = std::max(scale, std::abs(static_cast<double>(value)));
    } else {
        for (const float value : window) shift += static_cast<double>(value) / size;
        for (const float value : window) scale += std::pow(static_cast<double>(value) - shift, 2) / size;
        scale = std::sqrt(scale + 1e-7);  // as transformers' Wav2Vec2FeatureExtractor
    }
    if (scale == 0) return;
    for (float& value : window) value = static_cast<float>((static_cast<double>(value) - shift) / scale);
}

class Audio final : public Dataset {
  public:
    using Options = AudioOptions;
    explicit Audio(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        std::error_code ignored;
        return std::filesystem::exists(place_data(options_.path, directories), ignored);
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        const std::filesystem::path path = without_last_slash(place_data(options_.path, directories));
        std::error_code ignored;
        const bool is_folder = std::filesystem::is_directory(path, ignored);
        const std::filesystem::path folder = is_folder ? path : path.parent_path();
        const auto files = is_folder ? sounds_below(path) : std::vector{path.filename().string()};
        const auto sounds = read(folder, files);
        try {
            ImageData data;
            data.name =
                fmt::format("{}, {} values at {} Hz", path.stem().string(), options_.window, options_.rate);
            data.sha256 = sha256_of_files(folder, files);
            data.source = options_.path;
            return select_samples(std::move(data), {{"", cut(sounds)}}, options_.range);
        } catch (const Error& error) {
            throw error.within(path.string());
        }
    }

  private:
    using Sounds = std::vector<std::vector<float>>;

    [[nodiscard]] static std::vector<std::string> sounds_below(const std::filesystem::path& folder) {
        constexpr std::array<std::string_view, 2> endings{".wav", ".flac"};
        std::vector<std::string> files = files_below(folder);
        std::erase_if(files, [&](const std::string& file) { return !ends_in_one_of(file, endings); });
        require(!files.empty(), "{}: no sound file (*.wav, *.flac) lies below it", folder.string());
        return files;
    }

    [[nodiscard]] Sounds read(const std::filesystem::path& folder,
                              const std::vector<std::string>& files) const {
        Sounds sounds(files.size());
        parallel_for(std::ssize(files), 1, [&](std::int64_t i, std::int64_t) {
            const auto at = static_cast<std::size_t>(i);
            sounds[at] = resampled(read_sound(folder / files[at]), options_.rate).samples;
        });
        return sounds;
    }

    [[nodiscard]] std::int64_t step() const { return options_.step == 0 ? options_.window : options_.step; }
    [[nodiscard]] std::int64_t windows() const { return std::max<std::int64_t>(options_.windows, 1); }
    /// Samples that a sound has: none if it is empty, one if it is shorter than that.
    [[nodiscard]] std::int64_t samples_in(const std::vector<float>& sound) const {
        const std::int64_t last = std::max<std::int64_t>(std::ssize(sound) - options_.window, 0) / step();
        return sound.empty() ? 0 : std::max<std::int64_t>((last + 1) / windows(), 1);
    }

    [[nodiscard]] Tensor cut(const Sounds& sounds) const {
        std::int64_t count = 0;
        for (const auto& sound : sounds) count += samples_in(sound);
        require(count > 0, "no file holds a single value");
        constexpr std::int64_t most = std::int64_t{1} << 31;
        require(
            count <= most / options_.window / windows(),
            "{} samples of {} windows of {} values, which is more than 2^31 values: make 'step' longer or "
            "give fewer files",
            count, windows(), options_.window);
        Shape shape{count, options_.window};
        if (options_.windows > 0) shape.insert(shape.begin() + 1, options_.windows);
        Tensor samples = Tensor::zeros(shape);
        float* next = samples.data<float>();
        for (const auto& sound : sounds) {
            for (std::int64_t i = 0; i < samples_in(sound) * windows(); ++i, next += options_.window) {
                const std::span window(next, static_cast<std::size_t>(options_.window));
                copy_from(sound, i * step(), window);
                normalise(window, options_.normalise);
            }
        }
        return samples;
    }

    /// What lies beyond the sound's end is left as it is.
    static void copy_from(std::span<const float> sound, std::int64_t begin, std::span<float> window) {
        const auto start = std::min(sound.size(), static_cast<std::size_t>(begin));
        const auto rest = sound.subspan(start);
        std::ranges::copy(rest.first(std::min(rest.size(), window.size())), window.begin());
    }

    AudioOptions options_;
};

const Registrar<Dataset, Audio> registrar{
    "audio",
    "Windows of sound files, one channel at the network's sampling rate: for networks that read samples. Inputs "
    "beside it (a state, the rate) are given values in model.inputs."};

}  // namespace
}  // namespace jlcm
