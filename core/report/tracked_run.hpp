#pragma once
// A run as experiment trackers see it: parameters, tags, metrics over steps.

#include "core/report/run_records.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace jlcm {

/// A metric's values in the order of the steps.
struct TrackedMetric {
    std::string name;                                     ///< "learn/block-003/loss", "perplexity/compressed"
    std::vector<std::pair<std::int64_t, double>> values;  ///< step and value; a final figure has step 0
};

struct TrackedRun {
    std::string id;     ///< SHA-256 of the run's identity
    std::string name;   ///< of the spec
    std::string title;  ///< its labels, or its directory's name
    std::filesystem::path directory;
    std::int64_t begin = 0;  ///< milliseconds since 1970: when it ended, less the seconds of its stages
    std::int64_t end = 0;
    std::string spec;  ///< every value, YAML
    std::vector<std::pair<std::string, std::string>>
        parameters;                                         ///< every value by its path: "compress.bits"
    std::vector<std::pair<std::string, std::string>> tags;  ///< hashes, versions, labels, protocols
    std::vector<TrackedMetric> metrics;
};

/// Metrics are those of metrics.jsonl (`solve/WEIGHT`, `learn/block-NNN/loss`, `distill/loss`, the same with
/// `moved`), the figures of each model (`METRIC/MODEL`, `kl/MODEL`, `agreement/MODEL`; with several
/// evaluations of a metric `METRIC.N/MODEL`), `footprint/...`, `seconds/STAGE`. Names hold letters, digits
/// and `_ - . /`.
[[nodiscard]] TrackedRun tracked(const RunRecord& run);

}  // namespace jlcm
