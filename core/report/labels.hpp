#pragma once
// What a run is called along the axes of a sweep.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace jlcm {

/// {"estimator", "nearest"}, ..., in the order of the axes.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// "estimator=nearest seed=1".
[[nodiscard]] std::string to_string(const Labels& labels);

/// The value along an axis, or nullptr.
[[nodiscard]] const std::string* find(const Labels& labels, const std::string& axis);

/// The finite number that a value is, nothing if it is a word.
[[nodiscard]] std::optional<double> number_in(const std::string& text);

/// Which runs are meant: keys and their values, all of which have to hold.
using Selection = std::map<std::string, std::set<std::string>>;

/// From a command line's "KEY=VALUE[,VALUE...]" each; an input error where one is written otherwise.
[[nodiscard]] Selection parse_selection(const std::vector<std::string>& conditions);

}  // namespace jlcm
