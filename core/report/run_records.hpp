#pragma once
// Finished runs as tables and plots read them.

#include "core/base/json.hpp"
#include "core/report/labels.hpp"
#include "core/spec/config.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// What metrics.jsonl says of learning, over blocks and steps.
/// A loss that was not finite is NaN.
struct LearningMetrics {
    /// "learn" or "distill" -> the mean over blocks of each step's loss.
    std::map<std::string, std::vector<double>> losses;
    /// How many times a weight's code moved by one, two, ... codewords.
    std::vector<double> jumps;
    /// "learn" or "distill" -> the same for each step, summed over blocks.
    std::map<std::string, std::vector<std::vector<double>>> jumps_of_steps;
    /// Weight -> the solver's objective before and after each round, in the order of the work.
    std::vector<std::pair<std::string, std::vector<double>>> objectives;
    /// The last step's loss of each block that was learned.
    std::map<int, double> block_losses;
    /// What the solver left of each matrix, in the order of the work.
    struct SolvedMatrix {
        std::string weight;
        int block = 0;
        /// Squared error of the weights over their squares, both weighted by how large their inputs are; NaN:
        /// not recorded (earlier versions).
        double error = 0;
    };
    std::vector<SolvedMatrix> solved;
};

struct RunRecord {
    std::filesystem::path directory;
    Labels labels;
    /// result.json. Each evaluation has a title, a metric, a protocol and models, and no two of a run have
    /// one title: what was measured twice is there once, and titles are told apart by what differs in their
    /// protocols.
    nlohmann::json result;
    nlohmann::json items;  ///< predictions.json, or null
    Config spec;           ///< every value
    /// What metrics() has read.
    mutable std::shared_ptr<const LearningMetrics> read_metrics = {};

    [[nodiscard]] std::string name() const { return directory.filename().string(); }
    [[nodiscard]] std::string hash() const { return result.at("hash").get<std::string>(); }
    /// The part of the hash that names a run on pages.
    [[nodiscard]] std::string id() const { return hash().substr(0, 12); }
    /// Whether learning did, so that there are neither figures nor an artifact.
    [[nodiscard]] bool diverged() const { return result.contains("diverged"); }
    /// metrics.jsonl, which the first call reads; an input error if there is none.
    [[nodiscard]] const LearningMetrics& metrics() const;
};

/// The runs at and below `places`: directories with a result.json, directories of such, or the
/// NAME.sweep.json of a sweep. Labels come from the sweep's file where there is one in the same directory as
/// the run, else from `pattern`, if it isn't empty: "{objective}/{estimator}/{seed}/*" names parts of a run's
/// path below its place. Sorted as the sweep has them, then by path; a run that is found twice counts once.
/// Input errors: no run, an unreadable result, one that lacks what tables need, a path that the pattern does
/// not fit.
[[nodiscard]] std::vector<RunRecord> read_runs(const std::vector<std::filesystem::path>& places,
                                               const std::string& pattern = {});

/// The text under a key of a record, "-" where there is none.
[[nodiscard]] std::string text_at(const nlohmann::json& record, const char* key);

/// What tables call a run: its labels, or else its directory's name.
[[nodiscard]] std::string title_of(const RunRecord& run);

}  // namespace jlcm
