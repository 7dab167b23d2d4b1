#pragma once
// Plugin kind "model": files of a model as a checkpoint; and where named models are found.

#include "core/formats/checkpoint.hpp"
#include "core/plugin/registry.hpp"

#include <filesystem>
#include <string>

namespace jlcm {

class ModelLoader {
  public:
    ModelLoader() = default;
    ModelLoader(const ModelLoader&) = delete;
    ModelLoader& operator=(const ModelLoader&) = delete;
    virtual ~ModelLoader() = default;

    /// Input errors name the path and what is wrong with it.
    [[nodiscard]] virtual Checkpoint load(const std::filesystem::path& path,
                                          const ReadOptions& options) const = 0;
};

template <>
struct KindOf<ModelLoader> {
    static constexpr std::string_view name = "model";
    static constexpr std::string_view doc = "Reads the model that is to be compressed.";
};

/// `source` as a path where it is one; else a model of that name (a folder, one with a model.onnx, NAME.gguf
/// or NAME.onnx) in the cache's models/, or in lm/ or vision/ of JLCM_ASSETS or beside a directory of
/// JLCM_DATA. An input error says where was looked.
[[nodiscard]] std::filesystem::path find_model(const std::string& source);

}  // namespace jlcm
