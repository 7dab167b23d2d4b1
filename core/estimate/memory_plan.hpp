#pragma once
// How much memory each stage of a run will take, before it starts.

#include "core/compress/compression_plan.hpp"
#include "core/graph/cost.hpp"
#include "core/model/model.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// Upper estimates. Pages of mapped files are counted for a block at a time: the system takes back the rest.
struct MemoryPlan {
    std::vector<StageCost> stages;

    /// The stage that takes most.
    [[nodiscard]] const StageCost& largest() const;
    /// A line a stage, the largest's parts below: "learn 1.93 GB".
    [[nodiscard]] std::string describe() const;
    /// An input error that names the largest stage and its largest parts where it is above `limit` bytes.
    void require_within(double limit) const;
};

/// What of a run decides what it takes.
struct RunSizes {
    const CompressOptions& compress;
    const std::optional<CalibrationOptions>& calibration;
    const Model& model;
    const std::map<ParameterId, MatrixPlan>& plan;
    DType compute = DType::f32;
    std::int64_t longest_evaluated = 0;  ///< Evaluation::longest_sample; 0: nothing is evaluated
    bool has_noise_floor = false;        ///< Evaluation::has_noise_floor of any
};

/// What the stages of a run say that they take, in the order in which they begin.
[[nodiscard]] std::vector<StageCost> stage_costs(const RunSizes& run);

/// `program`: bytes that the process holds already, model and data read.
[[nodiscard]] MemoryPlan plan_memory(const RunSizes& run, double program);

/// "8G", "512M", "1.5GiB": bytes; G and GB are 10^9, GiB 2^30. An input error on anything else.
[[nodiscard]] double parse_bytes(const std::string& text);
/// "1.93 GB"
[[nodiscard]] std::string format_bytes(double bytes);

}  // namespace jlcm
