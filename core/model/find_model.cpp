#include "core/model/find_model.hpp"

#include "core/base/cache.hpp"
#include "core/base/data_directories.hpp"
#include "core/base/error.hpp"

#include <cstdlib>
#include <vector>

namespace jlcm {

namespace fs = std::filesystem;

fs::path find_model(const std::string& source) {
    std::error_code ignored;
    if (fs::exists(source, ignored)) return source;
    std::vector<fs::path> places{cache_directory() / "models"};
    const auto add_assets = [&](const fs::path& assets) {
        for (const char* kind : {"lm", "vision"}) places.push_back((assets / kind).lexically_normal());
    };
    if (const char* assets = std::getenv("JLCM_ASSETS")) add_assets(assets);
    for (const fs::path& data : data_directories()) add_assets(data / "..");
    std::string listed;
    for (const fs::path& place : places) {
        for (const fs::path& path : {place / source / "model.onnx", place / source,
                                     place / (source + ".gguf"), place / (source + ".onnx")})
            if (fs::exists(path, ignored)) return path;
        listed += fmt::format("\n  {}", place.string());
    }
    fail(
        "the model {} is no file or folder, and none of that name is in these directories:{}\n"
        "Give a path, or put it there; scripts/fetch_model.sh fetches smollm2-135m-instruct",
        source, listed);
}

}  // namespace jlcm
