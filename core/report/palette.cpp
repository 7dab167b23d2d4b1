#include "core/report/palette.hpp"

#include "core/report/labels.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include <fmt/format.h>

namespace jlcm {
namespace {

// Colours that people of any colour vision tell apart (Okabe and Ito, Color Universal Design, 2008), without
// the yellow, which is lost on white.
constexpr const char* blue = "#0072b2";
constexpr const char* vermilion = "#d55e00";
constexpr const char* green = "#009e73";
constexpr const char* purple = "#cc79a7";
constexpr const char* orange = "#e69f00";
constexpr const char* sky = "#56b4e9";
constexpr const char* wine = "#882255";  // of the same kind (Tol, Colour Schemes, 2021)
constexpr const char* black = "#222222";
constexpr const char* grey = "#8a8a8a";
constexpr std::array colours{blue, vermilion, green, purple, orange, sky, black};
constexpr std::array dashes{Dash::solid, Dash::dashed, Dash::dotted, Dash::dash_dotted};
constexpr std::array markers{Marker::circle, Marker::square, Marker::triangle, Marker::diamond};

LineStyle style(const char* colour, std::size_t variant = 0) {
    return {colour, dashes.at(variant % dashes.size()), markers.at(variant % markers.size())};
}

/// Estimators, and solvers with what is built from them.
std::optional<LineStyle> known(const std::string& given) {
    static const std::map<std::string, LineStyle> methods = {{"frozen", style(grey)},
                                                             {"nearest", style(blue)},
                                                             {"inverse", style(vermilion)},
                                                             {"softmax", style(green)},
                                                             {"naive_ste", style(purple)},
                                                             {"exponential", style(orange)},
                                                             {"adjacent", style(sky)},
                                                             {"curvature", style(black)},
                                                             {"gumbel", style(wine)},
                                                             {"jlcm", style(blue)},
                                                             {"lnq", style(vermilion)},
                                                             {"kmeans", style(sky)},
                                                             {"k-means", style(sky)},
                                                             {"squeezellm", style(purple)},
                                                             {"gptq", style(green)},
                                                             {"aqlm", style(orange)},
                                                             {"rtn", style(grey)},
                                                             {"dkm", style(black)},
                                                             {"adaround", style(purple, 1)},
                                                             {"brecq", style(orange, 1)},
                                                             {"original", style(black)},
                                                             {"compressed", style(blue)},
                                                             {"solver_only", style(vermilion)},
                                                             {"learned_only", style(green)},
                                                             {"jlcm without distillation", style(blue, 1)}};
    static const std::map<std::string, std::size_t> variants = {{"-adam", 1}, {"-even", 2}, {"-sgd", 3}};
    // "LNQ, weighted" is a LNQ.
    std::string name = given.substr(0, given.find(", "));
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (const auto found = methods.find(name); found != methods.end()) return found->second;
    for (const auto& [ending, variant] : variants) {
        if (!name.ends_with(ending)) continue;
        const auto found = methods.find(name.substr(0, name.size() - ending.size()));
        if (found != methods.end()) return style(found->second.colour.c_str(), variant);
    }
    return std::nullopt;
}

std::vector<LineStyle> ordered_styles(const std::vector<double>& numbers) {
    std::vector<double> sorted = numbers;
    std::ranges::sort(sorted);
    const auto last = std::ranges::unique(sorted);
    sorted.erase(last.begin(), last.end());
    std::vector<LineStyle> styles;
    for (const double number : numbers) {
        const auto at = static_cast<std::size_t>(std::ranges::find(sorted, number) - sorted.begin());
        const double share =
            sorted.size() < 2 ? 1 : static_cast<double>(at) / static_cast<double>(sorted.size() - 1);
        styles.push_back({shade(0.35 + 0.65 * share), Dash::solid, markers.at(at % markers.size())});
    }
    return styles;
}

}  // namespace

std::vector<LineStyle> styles_of(const std::vector<std::string>& names) {
    std::vector<double> numbers;
    for (const std::string& name : names)
        if (const auto number = number_in(name)) numbers.push_back(*number);
    if (!names.empty() && numbers.size() == names.size()) return ordered_styles(numbers);
    std::vector<LineStyle> taken;
    for (const std::string& name : names)
        if (const auto own = known(name)) taken.push_back(*own);
    std::vector<LineStyle> styles;
    std::size_t next = 0;
    for (const std::string& name : names) {
        auto own = known(name);
        while (!own) {
            const LineStyle free = style(colours.at(next % colours.size()), next / colours.size());
            const bool are_left = next < colours.size() * dashes.size();
            if (!are_left || std::ranges::find(taken, free) == taken.end()) own = free;
            ++next;
        }
        styles.push_back(own.value_or(LineStyle{}));
    }
    return styles;
}

std::string shade(double share) {
    // One hue from nearly white to nearly black, so that lightness alone tells, in print and to any eye.
    using Colour = std::array<double, 3>;
    static constexpr std::array<Colour, 6> stops{{{0xf4, 0xf7, 0xfb},
                                                  {0xc9, 0xda, 0xec},
                                                  {0x8f, 0xb5, 0xda},
                                                  {0x4d, 0x88, 0xc0},
                                                  {0x1d, 0x58, 0x98},
                                                  {0x08, 0x27, 0x4f}}};
    const double at = std::clamp(std::isnan(share) ? 0 : share, 0.0, 1.0) * (stops.size() - 1);
    const auto below = std::min(static_cast<std::size_t>(at), stops.size() - 2);
    const double part = at - static_cast<double>(below);
    std::array<int, 3> mixed{};
    for (std::size_t c = 0; c < 3; ++c)
        mixed.at(c) = static_cast<int>(
            std::lround(stops.at(below).at(c) + part * (stops.at(below + 1).at(c) - stops.at(below).at(c))));
    return fmt::format("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2]);
}

}  // namespace jlcm
