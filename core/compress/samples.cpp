#include "core/compress/samples.hpp"

#include "core/base/refusals.hpp"

#include <algorithm>

namespace jlcm {

nlohmann::json CalibrationData::describe() const {
    auto json = nlohmann::json::array();
    for (std::size_t i = 0; i < data.size(); ++i) {
        json.push_back(identity_of(data[i]));
        json.back()["share"] = shares[i];
    }
    return json;
}

CalibrationData load_calibration_data(const CalibrationOptions& options, const Directories& directories) {
    CalibrationData result;
    Refusals refusals;
    for (const DatasetChoice& choice : options.dataset)
        refusals.check([&] { result.data.push_back(choice.make()->load(directories)); });
    refusals.throw_if_any();
    result.shares = options.shares;
    result.shares.resize(result.data.size(), 1.0);
    return result;
}

void require_readable(const ModelInput& input, const CalibrationData& data, const CalibrationOptions& options,
                      const std::optional<DistillOptions>& distill) {
    const std::int64_t length = distill ? distill->length.value_or(0) : 0;
    require_readable(input, data.data, std::max(options.length, length));
}

CalibrationSamples draw_samples(const CalibrationOptions& options, const CompressOptions& compress,
                                std::uint64_t seed, const CalibrationData& data, const ModelInput& input) {
    const auto source = make_sample_source(input, data.data, data.shares, options.length, seed);
    CalibrationSamples samples;
    std::int64_t drawn = 0;
    if (compress.needs_calibration()) {
        drawn = options.sequences;
        samples.calibration = source->samples(0, drawn);
        samples.observed = options.observed();
    }
    const auto& distill = compress.distill;
    const std::int64_t length = distill ? distill->length.value_or(options.length) : options.length;
    if (!distill || length == options.length) {
        if (distill) {
            const std::int64_t count = distill->steps * distill->batch;
            samples.distillation = source->samples(options.sequences, count);
            drawn = options.sequences + count;
        }
        samples.distinct = source->distinct(drawn);
        return samples;
    }
    const std::int64_t count = distill->steps * distill->batch;
    const auto other = make_sample_source(input, data.data, data.shares, length, seed + 1);
    samples.distillation = other->samples(0, count);
    if (drawn > 0) samples.distinct = source->distinct(drawn) + " and ";
    samples.distinct += other->distinct(count);
    return samples;
}

}  // namespace jlcm
