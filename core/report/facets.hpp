#pragma once
// How runs are shared out over panels and curves: small multiples in place of dozens of colours.

#include "core/report/labels.hpp"
#include "core/report/palette.hpp"
#include "core/report/run_records.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace jlcm {

/// The place of a text in a list, at whose end it is put if it is not there.
[[nodiscard]] std::size_t index_in(std::vector<std::string>& list, const std::string& text);

/// The values of labels: "2, nearest".
[[nodiscard]] std::string values_of(const Labels& labels);

/// Where one thing that has labels stands.
struct Facet {
    std::size_t panel = 0;
    std::string title;  ///< of its curve
    LineStyle style;
};

struct Facets {
    std::vector<std::string> panels;  ///< titles, in order of first appearance; one empty title: one panel
    std::vector<Facet> of;            ///< one a thing
    bool shows_others = false;        ///< each panel shows one, and the others in grey for comparison

    /// Puts all in one panel without a title; curves keep their looks.
    void merge();
};

/// Of things that differ in their labels. Up to 8 share a panel, each a curve. More are cut by their axes: the
/// axis of words with most values becomes curves, which look alike in all panels, and every combination of the
/// others a panel. If there is one axis of more than 10 values each has a panel of its own.
[[nodiscard]] Facets facets_of(const std::vector<Labels>& things);

/// Runs that are one but for their seed.
struct Repeated {
    Labels labels;  ///< without the seed
    std::vector<const RunRecord*> runs;

    [[nodiscard]] std::vector<std::string> ids() const;
};

/// In order of first appearance. What has no labels is told apart by its directory.
[[nodiscard]] std::vector<Repeated> repeated(const std::vector<RunRecord>& runs);

/// What tells groups apart: their values along the axes on which they do not agree.
[[nodiscard]] std::vector<std::string> titles_of(const std::vector<Repeated>& groups);

/// "diverged: near (1 of 2 seeds), far"; empty if no run did.
[[nodiscard]] std::string diverged_among(const std::vector<Repeated>& groups);

}  // namespace jlcm
