#pragma once
// Plugin kind "model": files of a model as a checkpoint.

#include "core/formats/checkpoint.hpp"
#include "core/plugin/registry.hpp"

#include <filesystem>

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

}  // namespace jlcm
