#pragma once
// The options about the stage cache that several programs take.

#include "core/estimate/memory_plan.hpp"
#include "core/store/stage_cache.hpp"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace jlcm {

struct CacheArguments {
    std::string directory;
    std::string limit = default_stage_cache_limit;
    bool is_off = false;

    void add_to(CLI::App& app) {
        auto* place = app.add_option("--cache", directory,
                                     "Where stages that runs have in common are kept; JLCM_STAGE_CACHE, or "
                                     "~/.cache/jlcm/stages, if it is not given");
        place->type_name("DIR");
        app.add_option("--cache-limit", limit, "How large that may become")
            ->type_name("SIZE")
            ->capture_default_str();
        app.add_flag("--no-cache", is_off, "Compute every stage anew")->excludes(place);
    }
    [[nodiscard]] StageCache open() const { return open_stage_cache(!is_off, directory, parse_bytes(limit)); }
    /// The same for a program that this one starts.
    [[nodiscard]] std::vector<std::string> words() const {
        if (is_off) return {"--no-cache"};
        std::vector<std::string> words{"--cache-limit", limit};
        if (!directory.empty()) words.insert(words.end(), {"--cache", directory});
        return words;
    }
};

}  // namespace jlcm
