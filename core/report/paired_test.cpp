#include "core/report/paired_test.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/base/json_error.hpp"
#include "core/report/run_table.hpp"

#include <algorithm>

#include <boost/math/distributions/binomial.hpp>

namespace jlcm {
namespace {

using nlohmann::json;

json predictions_of(const RunModel& run) {
    const auto path = run.directory / "predictions.json";
    std::error_code ignored;
    require(std::filesystem::exists(path, ignored),
            "{} has no predictions.json: it is no finished run, or none of its evaluations keeps its items",
            run.directory.string());
    try {
        return json::parse(read_file(path));
    } catch (const json::exception& error) {
        fail("{}: {}", path.string(), json_error(error));
    }
}

const json& items_of(const json& record, const RunModel& run) {
    const json& models = record.at("models");
    require(models.contains(run.model), "{} has no predictions of '{}'", run.directory.string(), run.model);
    return models.at(run.model);
}

/// Whether a prediction is missing since its scores were not finite.
bool has_gaps(const json& items) {
    return std::ranges::any_of(items, [](const json& item) { return item.is_null(); });
}

PairedCounts count(const json& expected, const json& first, const json& second) {
    require(expected.size() == first.size() && expected.size() == second.size(),
            "predictions of {} and {} for {} items", first.size(), second.size(), expected.size());
    PairedCounts counts;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const bool a = first[i] == expected[i];
        const bool b = second[i] == expected[i];
        ++(a && b ? counts.both : a ? counts.only_first : b ? counts.only_second : counts.neither);
    }
    return counts;
}

}  // namespace

double PairedCounts::p_value() const {
    const std::int64_t n = only_first + only_second;
    const std::int64_t fewer = std::min(only_first, only_second);
    if (2 * fewer == n) return 1.0;
    const boost::math::binomial_distribution even(static_cast<double>(n), 0.5);
    return std::min(1.0, 2 * boost::math::cdf(even, static_cast<double>(fewer)));
}

RunModel RunModel::parse(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    std::error_code ignored;
    if (std::filesystem::exists(text, ignored)) return {.directory = text};
    if (colon == std::string::npos || text.find('/', colon) != std::string::npos) return {.directory = text};
    return {.directory = text.substr(0, colon), .model = text.substr(colon + 1)};
}

std::vector<PairedComparison> compare_runs(const RunModel& first, const RunModel& second) {
    const json ours = predictions_of(first);
    const json theirs = predictions_of(second);
    std::vector<PairedComparison> result;
    bool are_finite = true;
    try {
        for (const json& a : ours) {
            for (const json& b : theirs) {
                if (!a.contains("expected") || a.at("protocol") != b.at("protocol")) continue;
                const json& one = items_of(a, first);
                const json& other = items_of(b, second);
                const bool has_all = !has_gaps(one) && !has_gaps(other);
                are_finite = are_finite && has_all;
                if (has_all) result.push_back({a.at("title"), count(a.at("expected"), one, other)});
            }
        }
    } catch (const json::exception& error) {
        fail("{} or {}: damaged predictions.json: {}", first.directory.string(), second.directory.string(),
             json_error(error));
    }
    require(are_finite || !result.empty(),
            "{} or {}: some scores are not finite, so predictions do not compare", first.directory.string(),
            second.directory.string());
    require(!result.empty(), "{} and {} have no evaluation of one protocol in common",
            first.directory.string(), second.directory.string());
    return result;
}

std::string comparison_table(const std::vector<PairedComparison>& comparisons) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& [title, counts] : comparisons) {
        const auto per_cent = [all = counts.items()](std::int64_t right) {
            return fmt::format("{:.2f}", 100.0 * static_cast<double>(right) / static_cast<double>(all));
        };
        rows.push_back({title, std::to_string(counts.items()), per_cent(counts.both + counts.only_first),
                        per_cent(counts.both + counts.only_second), std::to_string(counts.only_first),
                        std::to_string(counts.only_second), fmt::format("{:.3g}", counts.p_value())});
    }
    return markdown_table({"evaluation", "items", "first %", "second %", "only the first is right",
                           "only the second", "p (McNemar)"},
                          rows);
}

}  // namespace jlcm
