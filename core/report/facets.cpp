#include "core/report/facets.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace jlcm {
namespace {

constexpr std::size_t most_curves = 8;
constexpr std::size_t most_values_in_one_panel = 10;

struct Axis {
    std::string name;
    std::vector<std::string> values;  ///< in order of first appearance
};

std::string value_of(const Labels& labels, const std::string& axis) {
    const std::string* value = find(labels, axis);
    return value == nullptr ? "-" : *value;
}

/// The axes along which things differ.
std::vector<Axis> axes_of(const std::vector<Labels>& things) {
    std::vector<Axis> axes;
    for (const Labels& labels : things)
        for (const auto& [name, value] : labels)
            if (std::ranges::find(axes, name, &Axis::name) == axes.end()) axes.push_back({name, {}});
    for (Axis& axis : axes)
        for (const Labels& labels : things)
            if (const std::string value = value_of(labels, axis.name);
                std::ranges::find(axis.values, value) == axis.values.end())
                axis.values.push_back(value);
    std::erase_if(axes, [](const Axis& axis) { return axis.values.size() < 2; });
    return axes;
}

/// The axis that makes the curves.
std::size_t axis_of_curves(const std::vector<Axis>& axes) {
    const auto weight = [](const Axis& axis) {
        const bool has_words =
            !std::ranges::all_of(axis.values, [](const auto& v) { return v == "-" || number_in(v); });
        return axis.values.size() + (has_words ? 1000 : 0);
    };
    return static_cast<std::size_t>(std::ranges::max_element(axes, {}, weight) - axes.begin());
}

/// The values along all axes but `left_out`; the names of axes of numbers stand with them.
std::string words_of(const Labels& labels, const std::vector<Axis>& axes, std::size_t left_out) {
    std::string text;
    for (std::size_t a = 0; a < axes.size(); ++a) {
        if (a == left_out) continue;
        const std::string value = value_of(labels, axes[a].name);
        if (!text.empty()) text += ", ";
        if (value == "-" && axes.size() > 1) {
            text += "no " + axes[a].name;
        } else {
            text += (axes.size() > 1 && number_in(value) ? axes[a].name + " " : "") + value;
        }
    }
    return text;
}

}  // namespace

std::size_t index_in(std::vector<std::string>& list, const std::string& text) {
    const auto found = std::ranges::find(list, text);
    if (found != list.end()) return static_cast<std::size_t>(found - list.begin());
    list.push_back(text);
    return list.size() - 1;
}

std::string values_of(const Labels& labels) {
    std::string text;
    for (const auto& [axis, value] : labels) text += (text.empty() ? "" : ", ") + value;
    return text;
}

Facets facets_of(const std::vector<Labels>& things) {
    const auto axes = axes_of(things);
    const std::size_t none = axes.size();
    std::set<std::string> different;
    for (const Labels& labels : things) different.insert(words_of(labels, axes, none));
    Facets facets;
    std::size_t curves = none;
    if (axes.size() == 1) {
        facets.shows_others = axes.front().values.size() > most_values_in_one_panel;
    } else if (different.size() > most_curves) {
        curves = axis_of_curves(axes);
    }
    std::vector<std::string> titles;
    for (const Labels& labels : things) {
        Facet facet;
        facet.title = axes.empty()     ? values_of(labels)
                      : curves == none ? words_of(labels, axes, none)
                                       : value_of(labels, axes[curves].name);
        if (facets.shows_others) {
            facet.panel = index_in(facets.panels, facet.title);
        } else {
            facet.panel = index_in(facets.panels, curves == none ? "" : words_of(labels, axes, curves));
        }
        (void)index_in(titles, facet.title);
        facets.of.push_back(std::move(facet));
    }
    const auto styles = styles_of(titles);
    for (Facet& facet : facets.of) facet.style = styles[index_in(titles, facet.title)];
    return facets;
}

void Facets::merge() {
    shows_others = false;
    panels = {""};
    for (Facet& facet : of) facet.panel = 0;
}

std::vector<std::string> Repeated::ids() const {
    std::vector<std::string> ids;
    for (const RunRecord* run : runs) ids.push_back(run->id());
    return ids;
}

std::vector<Repeated> repeated(const std::vector<RunRecord>& runs) {
    std::vector<Repeated> groups;
    for (const RunRecord& run : runs) {
        Labels labels = run.labels;
        std::erase_if(labels, [](const auto& label) { return label.first == "seed"; });
        if (run.labels.empty()) labels = {{"run", run.name()}};
        const auto found = std::ranges::find(groups, labels, &Repeated::labels);
        if (found == groups.end()) {
            groups.push_back({std::move(labels), {&run}});
        } else {
            found->runs.push_back(&run);
        }
    }
    return groups;
}

std::vector<std::string> titles_of(const std::vector<Repeated>& groups) {
    std::vector<std::string> titles;
    for (const Repeated& group : groups) {
        Labels own = group.labels;
        std::erase_if(own, [&](const auto& label) {
            return std::ranges::all_of(groups, [&](const Repeated& other) {
                const std::string* value = find(other.labels, label.first);
                return value != nullptr && *value == label.second;
            });
        });
        titles.push_back(values_of(own.empty() ? group.labels : own));
    }
    return titles;
}

std::string diverged_among(const std::vector<Repeated>& groups) {
    const auto titles = titles_of(groups);
    std::string text;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const std::size_t all = groups[g].runs.size();
        const auto diverged =
            static_cast<std::size_t>(std::ranges::count_if(groups[g].runs, &RunRecord::diverged));
        if (diverged == 0) continue;
        text += (text.empty() ? "diverged: " : ", ") + titles[g];
        if (all > 1) text += fmt::format(" ({} of {} seeds)", diverged, all);
    }
    return text;
}

}  // namespace jlcm
