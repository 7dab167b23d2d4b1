#include "core/data/sound.hpp"

#include "core/base/error.hpp"

#include <array>
#include <cmath>
#include <memory>

#include <samplerate.h>
#include <sndfile.h>

namespace jlcm {
namespace {

struct Close {
    void operator()(SNDFILE* file) const { sf_close(file); }
};

/// The next frames of `file`, as many as fit, each as the mean of its channels.
void append_frames(SNDFILE& file, std::size_t channels, std::vector<float>& samples) {
    std::vector<float> frames(std::size_t{4096} * channels);
    while (const sf_count_t count = sf_readf_float(&file, frames.data(), 4096)) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
            double sum = 0;
            for (std::size_t c = 0; c < channels; ++c) sum += static_cast<double>(frames[i * channels + c]);
            require(std::isfinite(sum), "the value {} is not a finite number", samples.size());
            samples.push_back(static_cast<float>(sum / static_cast<double>(channels)));
        }
    }
}

bool is_read(const SF_INFO& info) {
    constexpr std::array formats{SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_RF64, SF_FORMAT_FLAC};
    for (const int format : formats)
        if ((info.format & SF_FORMAT_TYPEMASK) == format) return true;
    return false;
}

}  // namespace

Sound read_sound(const std::filesystem::path& path) {
    try {
        SF_INFO info{};
        const std::unique_ptr<SNDFILE, Close> file(sf_open(path.c_str(), SFM_READ, &info));
        require(file != nullptr, "no sound file that can be read ({}); WAV and FLAC are",
                sf_strerror(nullptr));
        require(is_read(info), "a sound file of another format; WAV and FLAC are read");
        Sound sound{info.samplerate, {}};
        append_frames(*file, static_cast<std::size_t>(info.channels), sound.samples);
        require(std::ssize(sound.samples) == info.frames, "damaged: {} values of {} can be read",
                sound.samples.size(), info.frames);
        return sound;
    } catch (const Error& error) {
        throw error.within(path.string());
    }
}

Sound resampled(Sound sound, std::int64_t rate) {
    if (sound.rate == rate) return sound;
    const double ratio = static_cast<double>(rate) / static_cast<double>(sound.rate);
    require(src_is_valid_ratio(ratio) != 0,
            "{} samples per second cannot become {}: more than 256 times as many or few", sound.rate, rate);
    const auto count = std::llround(static_cast<double>(sound.samples.size()) * ratio);
    Sound result{rate, std::vector<float>(static_cast<std::size_t>(count))};
    if (count == 0) return result;
    SRC_DATA data{};
    data.data_in = sound.samples.data();
    data.data_out = result.samples.data();
    data.input_frames = static_cast<long>(sound.samples.size());
    data.output_frames = static_cast<long>(count);
    data.src_ratio = ratio;
    const int status = src_simple(&data, SRC_SINC_BEST_QUALITY, 1);
    ensure(status == 0, "libsamplerate: {}", src_strerror(status));
    return result;
}

}  // namespace jlcm
