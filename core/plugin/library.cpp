#include "core/plugin/library.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/plugin/registry.hpp"
#include "jlcm_build_id.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include <boost/dll/shared_library.hpp>

namespace jlcm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view abi_mark = "jlcm plugin ABI: ";
constexpr const char* register_symbol = "jlcm_plugin_register";

/// The build id that the file carries; empty where it is no plugin. Read from the bytes: none of its code
/// runs.
std::string build_id_of(const fs::path& path) {
    const MappedFile file(path);
    const auto bytes = file.bytes();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t mark = text.find(abi_mark);
    if (mark == std::string_view::npos) return {};
    const std::string_view rest = text.substr(mark + abi_mark.size());
    constexpr std::size_t longest = 200;
    return std::string(rest.substr(0, std::min(rest.find('\0'), longest)));
}

std::set<fs::path>& loaded_paths() {
    static std::set<fs::path> paths;
    return paths;
}

std::vector<fs::path> libraries_at(const fs::path& path) {
    if (!fs::is_directory(path)) return {path};
    std::vector<fs::path> found;
    for (const auto& each : fs::directory_iterator(path))
        if (each.path().extension() == ".so") found.push_back(each.path());
    std::sort(found.begin(), found.end());
    require(!found.empty(), "{}: no shared object (*.so) in this directory", path.string());
    return found;
}

}  // namespace

std::string_view build_id() {
    return JLCM_BUILD_ID;
}

void load_plugin_library(const fs::path& path) {
    const std::string name = path.string();
    require(fs::is_regular_file(path), "{}: there is no such plugin library", name);
    const fs::path canonical = fs::canonical(path);
    if (loaded_paths().contains(canonical)) return;
    const std::string id = build_id_of(canonical);
    require(!id.empty(),
            "{}: not a jlcm plugin (compile it with JLCM_SHARED_PLUGIN defined, see docs/plugins.md)", name);
    require(id == build_id(),
            "{}: this plugin was built for jlcm {}, but this is jlcm {}; rebuild the plugin", name, id,
            build_id());
    try {
        const auto library = std::make_shared<boost::dll::shared_library>(
            canonical.string(), boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
        Registry::instance().keep(library);
        library->get<void()>(register_symbol)();
    } catch (const boost::system::system_error& error) {
        fail("{}: the plugin cannot be loaded: {}", name, error.what());
    }
    loaded_paths().insert(canonical);
}

void load_plugins(const Config& spec, Problems& problems) {
    const Config* plugins = spec.find("plugins");
    if (plugins == nullptr) return;
    const Problems::Scope scope(problems, *plugins, "plugins");
    for (const Config* each : decode_elements(*plugins, problems)) {
        if (each->kind != Config::Kind::scalar) {
            problems.here(*each, "expected the path of a plugin library or of a directory, got {}",
                          each->describe());
            continue;
        }
        const fs::path folder =
            each->origin.line > 0 ? fs::path(each->origin.source).parent_path() : fs::path();
        try {
            for (const fs::path& library : libraries_at(folder / each->text)) load_plugin_library(library);
        } catch (const Error& error) {
            problems.here(*each, "{}", error.what());
        }
    }
}

}  // namespace jlcm
