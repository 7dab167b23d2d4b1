#include "core/store/stage_cache.hpp"

#include "core/base/cache.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/base/machine.hpp"
#include "core/plugin/library.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace jlcm {
namespace {

namespace fs = std::filesystem;

constexpr int format_version = 1;
constexpr const char* key_word = "stage_key";
constexpr const char* seconds_word = "stage_seconds";
constexpr const char* entry_suffix = ".safetensors";
constexpr const char* lock_suffix = ".lock";

/// The code and the processor that compute: what else decides about the last bit of a sum.
std::string machine_identity() {
    nlohmann::json identity{{"format", format_version},
                            {"code", program_code()},
                            {"plugins", nlohmann::json::array()},
                            {"environment", nlohmann::json::object()}};
    for (const fs::path& library : loaded_plugin_libraries())
        identity["plugins"].push_back(sha256(MappedFile(library)));
    for (const char* field : {"model name", "stepping", "microcode", "cache size", "flags"})
        identity["cpu"][field] = cpu_field(field);
    for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_CPU_ISA_HINTS",
                             "DNNL_CPU_ISA_HINTS", "ONEDNN_DEFAULT_FPMATH_MODE"})
        if (const char* value = std::getenv(name)) identity["environment"][name] = value;
    return sha256(identity.dump());
}

/// The right to compute an entry, waited for; freed by the system however the process ends. A file system
/// without locks gives it to everyone, who then do the same work.
class Claim {
  public:
    explicit Claim(fs::path path)
        : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
        if (descriptor_ < 0) return;
        bool was_told = false;
        while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            if (!was_told) log_debug("stage cache: another run computes {}", path_.stem().string());
            was_told = true;
            if (interrupt_requested()) ::close(descriptor_);
            throw_if_interrupted();
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim() {
        if (descriptor_ < 0) return;
        ::unlink(path_.c_str());
        ::close(descriptor_);
    }

  private:
    fs::path path_;
    int descriptor_;
};

struct CachedFile {
    fs::path path;
    fs::file_time_type used;
    double bytes = 0;
};

/// The entries of a directory; what killed processes left behind is removed.
std::vector<CachedFile> entries_of(const fs::path& directory) {
    std::vector<CachedFile> found;
    const auto now = fs::file_time_type::clock::now();
    for (const auto& each : fs::directory_iterator(directory)) {
        std::error_code gone;  // another process removes files too
        const auto used = each.last_write_time(gone);
        const auto bytes = gone ? 0 : each.file_size(gone);
        if (gone) continue;
        if (each.path().extension() == entry_suffix)
            found.push_back({each.path(), used, static_cast<double>(bytes)});
        else if (now - used > std::chrono::hours(24))
            fs::remove(each.path(), gone);
    }
    return found;
}

}  // namespace

StageCache::StageCache(fs::path directory, double limit)
    : directory_(std::move(directory)), limit_(limit), machine_(machine_identity()) {
    std::error_code error;
    fs::create_directories(directory_, error);
    if (error)
        throw Error(ErrorKind::system, fmt::format("{}: the directory for the stage cache cannot be made: {}",
                                                   directory_.string(), error.message()));
}

StageCache::Entry StageCache::obtain(const nlohmann::json& key, const std::function<SavedState()>& compute) {
    if (!is_enabled()) return {compute(), {}};
    const std::string text = nlohmann::json{{"machine", machine_}, {"stage", key}}.dump();
    const std::string name = sha256(text);
    const fs::path path = directory_ / (name + entry_suffix);
    if (auto entry = find(path, text)) return std::move(*entry);
    const Claim claim(directory_ / (name + lock_suffix));
    if (auto entry = find(path, text)) return std::move(*entry);
    const double begin = now_seconds();
    SavedState state = compute();
    state.words[key_word] = text;
    state.words[seconds_word] = fmt::format("{:.6f}", now_seconds() - begin);
    put(path, state);
    return {std::move(state), {}};
}

std::optional<StageCache::Entry> StageCache::find(const fs::path& path, const std::string& key) const {
    auto state = load_state(path);
    if (!state) return std::nullopt;
    if (state->words[key_word] != key) {
        log_warning("{} is another stage's entry and is not used", path.string());
        return std::nullopt;
    }
    Found found{0, std::strtod(state->words[seconds_word].c_str(), nullptr)};
    for (const NamedTensor& each : state->tensors)
        found.bytes += static_cast<double>(each.tensor.byte_count());
    std::error_code ignored;  // it was used now
    fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
    return Entry{std::move(*state), found};
}

void StageCache::put(const fs::path& path, const SavedState& state) {
    double bytes = 0;
    for (const NamedTensor& each : state.tensors) bytes += static_cast<double>(each.tensor.byte_count());
    if (!can_write_ || bytes > limit_ / 4) return;
    try {
        make_room(bytes);
        save_state(path, state);
    } catch (const std::exception& error) {
        can_write_ = false;
        log_warning("the stage cache is not written to any more: {}", error.what());
    }
}

void StageCache::make_room(double bytes) {
    constexpr double shares = 64;  // other processes write too: how often to look, in parts of the limit
    if (unaccounted_ >= 0 && unaccounted_ + bytes < limit_ / shares) {
        unaccounted_ += bytes;
        return;
    }
    auto entries = entries_of(directory_);
    double total = bytes + limit_ / shares;
    for (const CachedFile& each : entries) total += each.bytes;
    std::ranges::sort(entries, {}, &CachedFile::used);
    for (const CachedFile& each : entries) {
        if (total <= limit_) break;
        std::error_code ignored;
        fs::remove(each.path, ignored);
        total -= each.bytes;
    }
    unaccounted_ = 0;
}

fs::path default_stage_cache_directory() {
    const char* own = std::getenv("JLCM_STAGE_CACHE");
    return own != nullptr && *own != '\0' ? fs::path(own) : cache_directory() / "stages";
}

StageCache open_stage_cache(bool is_wanted, const std::string& directory, double limit) {
    if (!is_wanted) return {};
    if (!directory.empty()) return {directory, limit};
    try {
        const fs::path standard = default_stage_cache_directory();
        if (standard == "none") return {};
        return {standard, limit};
    } catch (const Error& error) {
        log_warning("no stage cache: {}", error.what());
        return {};
    }
}

}  // namespace jlcm
