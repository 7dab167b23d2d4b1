#include "core/report/plot.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/report/printable.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;  // NOLINT: POSIX's name

namespace jlcm {
namespace {

namespace fs = std::filesystem;

/// A directory for one drawing.
class Workplace {
  public:
    Workplace() {
        std::string pattern = (fs::temp_directory_path() / "jlcm_plot_XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw Error(ErrorKind::system, pattern + ": no temporary directory could be made");
        path_ = pattern;
    }
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;
    ~Workplace() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    [[nodiscard]] const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

std::string quoted(const std::string& text) {
    std::string result = "'";
    for (const char c : printable(text)) {
        result += c;
        if (c == '\'') result += c;
    }
    return result + "'";
}

/// Runs gnuplot; its exit code and what it said, in `messages`.
int run_gnuplot(const fs::path& script, const fs::path& messages) {
    std::string program = "gnuplot";
    std::string argument = script.string();
    std::vector<char*> arguments{program.data(), argument.data(), nullptr};
    posix_spawn_file_actions_t actions{};
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(),
                                       O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t process = 0;
    const int error = ::posix_spawnp(&process, program.c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    require(error == 0,
            "plots are drawn by gnuplot, which is not on this machine: apt-get install gnuplot-nox");
    int status = 0;
    ::waitpid(process, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/// Colours that differ in lightness too (Okabe and Ito, Color Universal Design, 2008), then darker ones.
constexpr const char* colours =
    "array colour[10] = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', "
    "'#7f3c8d', '#80ba5a', '#a5aa99']\n";

std::string data_block(const Plot& plot, std::size_t s) {
    const PlotSeries& series = plot.series[s];
    std::string text = fmt::format("$data{} << EOD\n", s);
    for (std::size_t i = 0; i < series.y.size(); ++i) {
        if (!std::isfinite(series.y[i]) || (plot.log_y && series.y[i] <= 0)) continue;
        const double error = series.error.empty() || !std::isfinite(series.error[i]) ? 0.0 : series.error[i];
        text += fmt::format("{} {} {}\n", series.x[i], series.y[i], error);
    }
    return text + "EOD\n";
}

/// Parts stacked on one bar each.
std::string bar_script(const Plot& plot) {
    std::string text = "$bars << EOD\n";
    for (std::size_t b = 0; b < plot.bars.size(); ++b) {
        std::string name = printable(plot.bars[b]);
        std::ranges::replace(name, '"', ' ');
        text += "\"" + name + "\"";
        for (const PlotSeries& part : plot.series) text += fmt::format(" {}", part.y[b]);
        text += '\n';
    }
    text +=
        "EOD\nset style data histograms\nset style histogram rowstacked\nset style fill solid 0.9 noborder\n"
        "set boxwidth 0.75\nset xtics rotate by -35 noenhanced scale 0\nplot ";
    for (std::size_t s = 0; s < plot.series.size(); ++s)
        text += fmt::format("{}$bars using {}{} title {} linecolor rgb colour[{}]", s == 0 ? "" : ", ", s + 2,
                            s == 0 ? ":xtic(1)" : "", quoted(plot.series[s].title), s % 10 + 1);
    return text + "\n";
}

std::string curve_script(const Plot& plot) {
    std::string text;
    for (std::size_t s = 0; s < plot.series.size(); ++s) text += data_block(plot, s);
    if (plot.style == Plot::Style::filled) text += "set style fill transparent solid 0.35\n";
    text += "plot ";
    for (std::size_t s = 0; s < plot.series.size(); ++s) {
        const bool has_errors = !plot.series[s].error.empty();
        const char* with = "lines linewidth 2";
        if (plot.style == Plot::Style::filled) with = s == 0 ? "filledcurves y1=0" : "lines linewidth 2";
        if (plot.style == Plot::Style::points) with = has_errors ? "yerrorlines" : "linespoints";
        text += fmt::format("{}$data{} using 1:2{} with {}{} linecolor rgb colour[{}] title {}",
                            s == 0 ? "" : ", ", s,
                            has_errors && plot.style == Plot::Style::points ? ":3" : "", with,
                            plot.style == Plot::Style::points ? fmt::format(" pointtype {}", s % 13 + 4) : "",
                            s % 10 + 1, quoted(plot.series[s].title));
    }
    return text + "\n";
}

/// A logarithmic axis ends at powers of ten: for less than one decade a linear one shows more.
bool spans_decades(const Plot& plot) {
    double least = std::numeric_limits<double>::infinity();
    double most = 0;
    for (const PlotSeries& series : plot.series) {
        for (const double y : series.y) {
            if (!std::isfinite(y) || y <= 0) continue;
            least = std::min(least, y);
            most = std::max(most, y);
        }
    }
    return most > 10 * least;
}

std::string script_of(const Plot& plot, const std::string& terminal, const fs::path& output) {
    std::string text =
        fmt::format("set terminal {}\nset output {}\nset encoding utf8\n", terminal, quoted(output.string()));
    text += colours;
    text += fmt::format("set title {} noenhanced\nset xlabel {} noenhanced\nset ylabel {} noenhanced\n",
                        quoted(plot.title), quoted(plot.x_label), quoted(plot.y_label));
    text +=
        "set key outside right noenhanced\nset grid ytics linecolor rgb '#dddddd'\nset border 3\nset tics "
        "nomirror\n";
    if (plot.log_y && spans_decades(plot)) text += "set logscale y\n";
    if (plot.style == Plot::Style::stacked_bars) text += "set yrange [0:*]\n";
    return text + (plot.style == Plot::Style::stacked_bars ? bar_script(plot) : curve_script(plot));
}

void draw_with(const Plot& plot, const std::string& terminal, const fs::path& output) {
    require(has_points(plot), "{}: there is nothing to draw", plot.title);
    const Workplace workplace;
    const fs::path script = workplace.path() / "script";
    const fs::path messages = workplace.path() / "messages";
    const fs::path drawn = workplace.path() / "drawn";
    write_file(script, script_of(plot, terminal, drawn));
    const int code = run_gnuplot(script, messages);
    const std::string said = fs::exists(messages) ? read_file(messages) : "";
    require(code != 127,
            "plots are drawn by gnuplot, which is not on this machine: apt-get install gnuplot-nox");
    ensure(code == 0 && fs::exists(drawn), "gnuplot: {}", said);
    write_file(output, read_file(drawn));
}

}  // namespace

bool has_points(const Plot& plot) {
    return std::ranges::any_of(plot.series, [&](const PlotSeries& series) {
        return std::ranges::any_of(series.y,
                                   [&](double y) { return std::isfinite(y) && (!plot.log_y || y > 0); });
    });
}

void draw(const Plot& plot, const fs::path& file) {
    const std::string extension = file.extension().string();
    require(extension == ".svg" || extension == ".png", "{}: plots are .svg or .png files", file.string());
    draw_with(plot,
              extension == ".svg" ? "svg size 900,480 dynamic background rgb 'white' font 'sans,13'"
                                  : "pngcairo size 1350,720 font 'sans,14'",
              file);
}

std::string to_svg(const Plot& plot) {
    const Workplace workplace;
    const fs::path file = workplace.path() / "plot.svg";
    draw(plot, file);
    const std::string text = read_file(file);
    return text.substr(text.find("<svg"));
}

bool can_draw() {
    const char* path = std::getenv("PATH");
    std::string rest = path == nullptr ? "" : path;
    while (!rest.empty()) {
        const std::size_t colon = rest.find(':');
        if (::access((fs::path(rest.substr(0, colon)) / "gnuplot").c_str(), X_OK) == 0) return true;
        rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
    }
    return false;
}

}  // namespace jlcm
