#pragma once
// The samples that calibration, learning and distillation look at, drawn from the datasets.

#include "core/compress/options.hpp"
#include "core/data/samples.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// The datasets of the spec, read.
struct CalibrationData {
    std::vector<Data> data;
    std::vector<double> shares;
    /// [{"text", "text_sha256", "share"}], "images" in place of "text" if it is those
    [[nodiscard]] nlohmann::json describe() const;
};
/// An input error names all that cannot be read.
[[nodiscard]] CalibrationData load_calibration_data(const CalibrationOptions& options,
                                                    const Directories& directories);

/// An input error unless the model can read the samples that are drawn.
void require_readable(const ModelInput& input, const CalibrationData& data, const CalibrationOptions& options,
                      const std::optional<DistillOptions>& distill);

/// Samples as the model reads them: int32 [n, length] or float32 [n, channels, height, width].
struct CalibrationSamples {
    Tensor calibration;         ///< undefined if no stage reads them
    std::int64_t observed = 0;  ///< of these, the first that the layer-wise stages see
    Tensor distillation;  ///< undefined without distillation; none of calibration's samples, if the data last
    std::string distinct;  ///< of both: "51200 tokens"
};
/// Draws what the stages of `compress` read, which is something.
[[nodiscard]] CalibrationSamples draw_samples(const CalibrationOptions& options,
                                              const CompressOptions& compress, std::uint64_t seed,
                                              const CalibrationData& data, const ModelInput& input);

}  // namespace jlcm
