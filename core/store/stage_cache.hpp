#pragma once
// Results of stages that several runs have in common: computed once, then found by what they are made of.

#include "core/base/json.hpp"
#include "core/store/saved_state.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace jlcm {

/// A directory of saved states. The name of an entry is the SHA-256 of its key: everything that its bytes
/// depend on, to which the cache adds the code that runs (build ids of the program and its libraries), the
/// processor and the version of this format. Entries appear whole (written aside and renamed), know their
/// SHA-256 and their key, and are removed, those first that nobody has used for longest, where all of them
/// are above the limit. Any number of processes may share it: one computes, those that want the same wait.
class StageCache {
  public:
    /// Keeps nothing.
    StageCache() = default;
    /// `limit`: bytes of all entries. A system error where the directory cannot be made.
    StageCache(std::filesystem::path directory, double limit);

    [[nodiscard]] bool is_enabled() const { return !directory_.empty(); }
    [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
    [[nodiscard]] double limit() const { return limit_; }
    /// Whether that many bytes of one run's entries are worth keeping: they leave room for other runs'.
    [[nodiscard]] bool has_room_for(double bytes) const { return is_enabled() && bytes <= limit_ / 2; }

    /// What came from the cache.
    struct Found {
        double bytes = 0;
        double seconds = 0;  ///< that computing it took when it was put there
    };
    struct Entry {
        SavedState state;
        std::optional<Found> found;  ///< nothing: it was computed now
    };
    /// The entry of `key`, or what `compute` returns, which becomes it. Both are the same to the bit. A
    /// damaged entry is reported and computed anew; a cache that cannot be written to is reported once.
    /// `compute`'s errors are passed on; `interrupted` while it waits for another process.
    [[nodiscard]] Entry obtain(const nlohmann::json& key, const std::function<SavedState()>& compute);

  private:
    [[nodiscard]] std::optional<Entry> find(const std::filesystem::path& path, const std::string& key) const;
    void put(const std::filesystem::path& path, const SavedState& state);
    /// Removes entries until there is room for that many bytes.
    void make_room(double bytes);

    std::filesystem::path directory_;
    double limit_ = 0;
    std::string machine_;      ///< what the cache adds to keys
    double unaccounted_ = -1;  ///< bytes written since the directory was last looked at; -1: never
    bool can_write_ = true;
};

/// Where entries are kept if nobody says: JLCM_STAGE_CACHE, else stages/ of the cache directory.
[[nodiscard]] std::filesystem::path default_stage_cache_directory();

/// The cache as the programs' options say: `directory` empty for the default, where a directory that cannot
/// be made is a warning; `is_wanted` false or a JLCM_STAGE_CACHE of "none" for a cache that keeps nothing.
[[nodiscard]] StageCache open_stage_cache(bool is_wanted, const std::string& directory, double limit);

/// Bytes of the default limit.
constexpr const char* default_stage_cache_limit = "8G";

}  // namespace jlcm
