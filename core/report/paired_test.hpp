#pragma once
// Whether two runs differ, from what each predicted for the same items.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace jlcm {

/// Items by which of two models is right.
struct PairedCounts {
    std::int64_t both = 0;
    std::int64_t only_first = 0;
    std::int64_t only_second = 0;
    std::int64_t neither = 0;

    [[nodiscard]] std::int64_t items() const { return both + only_first + only_second + neither; }
    /// McNemar's test, exact and two-sided: how likely so uneven a split of the items on which one model
    /// alone is right would be if both were equally good (McNemar, Psychometrika 1947).
    [[nodiscard]] double p_value() const;
};

/// A model of a run: its directory, and "compressed" (what is meant where nothing is said), "original", ...:
/// "runs/X-0123456789ab" or "runs/X-0123456789ab:original". What exists as a whole is a directory.
struct RunModel {
    std::filesystem::path directory;
    std::string model = "compressed";

    [[nodiscard]] static RunModel parse(const std::string& text);
};

struct PairedComparison {
    std::string title;  ///< of the evaluation
    PairedCounts counts;
};

/// Of every evaluation with predictions that both runs have under one protocol; those with scores that are
/// not finite are left out. Input errors: a run without predictions.json (docs/result.md) or without that
/// model, or no evaluation in common.
[[nodiscard]] std::vector<PairedComparison> compare_runs(const RunModel& first, const RunModel& second);

/// As Markdown: a row an evaluation.
[[nodiscard]] std::string comparison_table(const std::vector<PairedComparison>& comparisons);

}  // namespace jlcm
