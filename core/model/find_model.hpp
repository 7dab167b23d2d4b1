#pragma once
// Where named models are found.

#include <filesystem>
#include <string>

namespace jlcm {

/// `source` as a path where it is one; else a model of that name (a folder, one with a model.onnx, NAME.gguf
/// or NAME.onnx) in the cache's models/, or in lm/ or vision/ of JLCM_ASSETS or beside a directory of
/// JLCM_DATA. An input error says where was looked.
[[nodiscard]] std::filesystem::path find_model(const std::string& source);

}  // namespace jlcm
