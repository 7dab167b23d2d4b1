#pragma once
// Sound files (libsndfile) and other sampling rates (libsamplerate).

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace jlcm {

/// Sound of one channel.
struct Sound {
    std::int64_t rate = 0;       ///< samples per second
    std::vector<float> samples;  ///< full scale is 1
};

/// What libsndfile reads as WAV or FLAC, the mean over its channels. Integers are divided by their full scale. An input
/// error names the file: it is missing, damaged or of another format, or holds numbers that are not finite.
[[nodiscard]] Sound read_sound(const std::filesystem::path& path);

/// The same sound at `rate` samples per second, round(samples * rate / sound.rate) of them, by libsamplerate's best
/// band-limited interpolation: what lies above half the lower rate is gone. The sound itself if it has this rate. An
/// input error if one rate is more than 256 times the other.
[[nodiscard]] Sound resampled(Sound sound, std::int64_t rate);

}  // namespace jlcm
