#pragma once
// The directory of a run: what is in it, who may work in it, and its metrics file.

#include "core/base/json.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace jlcm {

/// metrics.jsonl: one JSON object a line. Made anew by every process that works on a run: what was saved with
/// the states that it takes up is put back, so that a resumed run ends in the same file.
class Metrics {
  public:
    explicit Metrics(const std::filesystem::path& path);

    void write(const nlohmann::json& record) { append(record.dump() + '\n'); }
    /// Lines that were written before.
    void append(const std::string& lines);
    [[nodiscard]] std::size_t position() const { return text_.size(); }
    /// The lines from a position on.
    [[nodiscard]] std::string since(std::size_t position) const { return text_.substr(position); }

  private:
    std::filesystem::path path_;
    std::ofstream file_;
    std::string text_;
};

/// Held by the one process that works in a run's directory, or by those that work on different blocks of it;
/// the system frees it when a process ends, however it ends.
class RunLock {
  public:
    enum class Kind : std::uint8_t { alone, shared };
    /// An input error where another process holds it and the two do not go together.
    explicit RunLock(const std::filesystem::path& path, Kind kind = Kind::alone);
    RunLock(const RunLock&) = delete;
    RunLock& operator=(const RunLock&) = delete;
    ~RunLock();

  private:
    int descriptor_ = -1;
};

/// The files of a run.
struct RunFiles {
    std::filesystem::path directory;

    [[nodiscard]] std::filesystem::path spec() const { return directory / "spec.yaml"; }
    [[nodiscard]] std::filesystem::path log() const { return directory / "log.txt"; }
    [[nodiscard]] std::filesystem::path lock() const { return directory / "lock"; }
    [[nodiscard]] std::filesystem::path metrics() const { return directory / "metrics.jsonl"; }
    /// Of a process that works on blocks from `first` on.
    [[nodiscard]] std::filesystem::path part_metrics(std::size_t first) const;
    [[nodiscard]] std::filesystem::path result() const { return directory / "result.json"; }
    /// What the models predicted item by item, where evaluations keep that.
    [[nodiscard]] std::filesystem::path predictions() const { return directory / "predictions.json"; }
    [[nodiscard]] std::filesystem::path artifact() const { return directory / "artifact.safetensors"; }
    [[nodiscard]] std::filesystem::path checkpoints() const { return directory / "checkpoints"; }
    /// A finished block.
    [[nodiscard]] std::filesystem::path block(std::size_t index) const;
    /// A block under way, and the distillation.
    [[nodiscard]] std::filesystem::path learning(std::size_t index) const;
    /// Where block learning left the weights of a block among their codewords.
    [[nodiscard]] std::filesystem::path positions(std::size_t index) const;
    [[nodiscard]] std::filesystem::path distillation() const { return checkpoints() / "distillation"; }
    /// Says that the artifact is done.
    [[nodiscard]] std::filesystem::path packed() const { return checkpoints() / "packed"; }
    /// What the files of a finished run hash to, as `sha256sum --check` reads it.
    [[nodiscard]] std::filesystem::path checksums() const { return directory / "SHA256SUMS"; }
};

/// Removes what killed processes were writing (core/base/files.hpp). Call under the run's lock.
void remove_unfinished_files(const RunFiles& files);
/// What a finished run needs no more; a kill in its last moment may have left it. Where that is not allowed
/// it stays.
void remove_checkpoints(const RunFiles& files);

/// Writes the checksums of a run whose last file, result.json, will be `result`.
void write_checksums(const RunFiles& files, const std::string& result);

/// Throws an input error where one of the files `names` of a run's directory (none: every file that has a
/// checksum) is not what was written. Runs of versions that wrote no checksums pass.
void check_checksums(const RunFiles& files, const std::vector<std::string>& names = {});

}  // namespace jlcm
