// `plugins:` of a spec: what cannot be loaded is said at its place. The loading itself:
// tests/cases/shared_plugin.sh.
#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/plugin/load.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace jlcm;

namespace {

namespace fs = std::filesystem;

struct SmallSpec {
    std::vector<std::string> plugins;
    int count = 1;
    void fields(Fields& v) {
        v("plugins", plugins, Doc{"Shared plugins to load."});
        v("count", count, Doc{"How many."}, at_least(0));
    }
};

}  // namespace

TEST_CASE("a spec is loaded with overrides and its problems come together") {
    const fs::path folder = fs::temp_directory_path() / ("jlcm_library_" + std::to_string(getpid()));
    const fs::path file = folder / "spec.yaml";
    write_file(folder / "text.so", "no library at all");
    write_file(folder / "empty/readme.txt", "");

    write_file(file, "count: 4\n");
    CHECK(load_spec<SmallSpec>(file).value.count == 4);
    const auto spec = load_spec<SmallSpec>(file, {"count=5"});
    CHECK(to_yaml(spec.config) == "plugins: []\ncount: 5\n");
    CHECK(to_yaml_with_origins(spec.config) == "plugins: []  # default\ncount: 5     # --set count=5\n");

    write_file(file, "plugins: [missing.so, text.so, empty, [a]]\ncount: -1\n");
    const std::string at = file.string();
    const std::string in = folder.string();
    CHECK_THROWS_WITH(
        load_spec<SmallSpec>(file),
        at + ":1:11: plugins: " + in + "/missing.so: there is no such plugin library\n" + at +
            ":1:23: plugins: " + in +
            "/text.so: not a jlcm plugin (compile it with JLCM_SHARED_PLUGIN defined, see "
            "docs/plugins.md)\n" +
            at + ":1:32: plugins: " + in + "/empty: no shared object (*.so) in this directory\n" + at +
            ":1:39: plugins: expected the path of a plugin library or of a directory, got a list\n" + at +
            ":1:39: plugins.3: expected text, got a list\n" + at +
            ":2:8: count: -1 is out of range, expected an integer at least 0");
    fs::remove_all(folder);
}
