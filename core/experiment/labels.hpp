#pragma once
// What a run is called along the axes of a sweep.

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

}  // namespace jlcm
