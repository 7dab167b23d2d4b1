#pragma once
// How much memory each stage of a run will take, before it starts.

#include "core/compress/compression_plan.hpp"
#include "core/compress/options.hpp"
#include "core/model/model.hpp"

#include <map>
#include <string>
#include <vector>

namespace jlcm {

/// Bytes of one stage, by what holds them.
struct MemoryStage {
    struct Part {
        std::string what;
        double bytes = 0;
    };
    std::string name;  ///< as in Stages
    std::vector<Part> parts;
    [[nodiscard]] double total() const;
};

/// Upper estimates. Pages of mapped files are counted for a block at a time: the system takes back the rest.
struct MemoryPlan {
    std::vector<MemoryStage> stages;

    /// The stage that takes most.
    [[nodiscard]] const MemoryStage& largest() const;
    /// A line a stage, the largest's parts below: "learn 1.93 GB".
    [[nodiscard]] std::string describe() const;
    /// An input error that names the largest stage and its largest parts where it is above `limit` bytes.
    void require_within(double limit) const;
};

/// Of a run on `model`. `program`: bytes that the process holds already, model and data read.
[[nodiscard]] MemoryPlan plan_memory(const RunSpec& spec, const Model& model,
                                     const std::map<ParameterId, MatrixPlan>& plan, DType compute,
                                     double program);

/// "8G", "512M", "1.5GiB": bytes; G and GB are 10^9, GiB 2^30. An input error on anything else.
[[nodiscard]] double parse_bytes(const std::string& text);
/// "1.93 GB"
[[nodiscard]] std::string format_bytes(double bytes);

}  // namespace jlcm
