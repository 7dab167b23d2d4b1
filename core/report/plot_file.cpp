#include "core/report/plot_file.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/report/plot_svg.hpp"

#include <array>
#include <cstdlib>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;  // NOLINT: POSIX's name

namespace jlcm {
namespace {

namespace fs = std::filesystem;

/// A directory for one drawing.
class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        std::string pattern = (fs::temp_directory_path() / "jlcm_plot_XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw Error(ErrorKind::system, pattern + ": no temporary directory could be made");
        path_ = pattern;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    [[nodiscard]] const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

/// Runs rsvg-convert; its exit code and what it said, in `messages`.
int convert(std::vector<std::string> words, const fs::path& messages) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions{};
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(),
                                       O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t process = 0;
    const int error =
        ::posix_spawnp(&process, words.front().c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) return 127;
    int status = 0;
    ::waitpid(process, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

void draw(const Plot& plot, const fs::path& file) {
    const std::string extension = file.extension().string();
    require(extension == ".svg" || extension == ".png" || extension == ".pdf",
            "{}: plots are .svg, .png or .pdf files", file.string());
    const std::string svg = to_svg(plot);
    if (extension == ".svg") return write_file(file, svg);
    const TemporaryDirectory folder;
    const fs::path source = folder.path() / "plot.svg";
    const fs::path messages = folder.path() / "messages";
    const fs::path drawn = folder.path() / "drawn";
    write_file(source, svg);
    const int code = convert({"rsvg-convert", "--format", extension.substr(1), "--zoom",
                              extension == ".png" ? "2" : "1", "--output", drawn.string(), source.string()},
                             messages);
    require(code != 127,
            "{}: PNG and PDF are made by rsvg-convert, which is not on this machine: apt-get install "
            "librsvg2-bin, or write an .svg file",
            file.string());
    ensure(code == 0 && fs::exists(drawn), "rsvg-convert: {}", read_file(messages));
    write_file(file, read_file(drawn));
}

}  // namespace jlcm
