#pragma once
// Where downloaded models and texts are kept between runs.

#include <filesystem>

namespace jlcm {

/// JLCM_CACHE, or $XDG_CACHE_HOME/jlcm, or ~/.cache/jlcm; need not exist. An input error where none of the
/// variables (nor HOME) is set.
[[nodiscard]] std::filesystem::path cache_directory();

}  // namespace jlcm
