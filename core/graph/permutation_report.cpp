#include "core/graph/permutation_report.hpp"

#include <algorithm>

namespace jlcm {
namespace {

/// The name with `*` for its block's number.
std::string with_star(const std::string& name, int block) {
    const std::string number = fmt::format(".{}.", block);
    const std::size_t at = name.find(number);
    if (block < 0 || at == std::string::npos) return name;
    return name.substr(0, at) + ".*." + name.substr(at + number.size());
}

/// What has one order with an axis, by kind: "rows of A, B (30)".
class Members {
  public:
    explicit Members(const Graph& graph) : graph_(graph) {}
    void add(const ParameterAxis& axis) {
        const Parameter& parameter = graph_.parameter(axis.parameter);
        const char* kind = parameter.shape.size() == 1 ? ""
                           : axis.dimension == 0       ? "rows of "
                                                       : "columns of ";
        const std::string text = kind + with_star(parameter.name, parameter.block);
        const auto found = std::ranges::find(counts_, text, &std::pair<std::string, int>::first);
        if (found == counts_.end()) {
            counts_.emplace_back(text, 1);
        } else {
            ++found->second;
        }
    }
    [[nodiscard]] std::string text() const {
        std::string text;
        for (const auto& [name, count] : counts_)
            text += fmt::format("{}{}{}", text.empty() ? "" : ", ", name,
                                count > 1 ? fmt::format(" ({})", count) : "");
        return text.empty() ? "nothing" : text;
    }

  private:
    const Graph& graph_;
    std::vector<std::pair<std::string, int>> counts_;
};

class Report {
  public:
    Report(const Graph& graph, const PermutationAnalysis& analysis) : graph_(graph), analysis_(analysis) {}

    [[nodiscard]] std::string lines_of(const ParameterAxis& rows) const {
        std::string text;
        for (const auto& blocks : analysis_.axis(rows))
            for (std::size_t level = 0; level < blocks.size(); ++level)
                text += one_class(rows, blocks[level], level + 1 < blocks.size() ? "blocks" : "rows");
        return text;
    }

  private:
    [[nodiscard]] std::string one_class(const ParameterAxis& rows, ClassId id, const char* what) const {
        const PermutationClass& each = analysis_.at(id);
        if (!each.is_free())
            return fmt::format("  {} {}: stay, {} ({})\n", each.size, what, each.fixed,
                               with_star(each.fixed_by, graph_.parameter(rows.parameter).block));
        Members absorbing(graph_);
        Members tied(graph_);
        for (const ParameterAxis& axis : each.axes) {
            if (axis == rows && !analysis_.crosses_blocks(id)) continue;
            const bool read = graph_.parameter(axis.parameter).linear || axis.parameter == graph_.head();
            (axis.dimension == 1 && read ? absorbing : tied).add(axis);
        }
        return fmt::format("  {} {}: {}{}\n    absorbed by {}\n    tied to {}\n", each.size, what,
                           each.instances > 1 ? fmt::format("any order in each of {}", each.instances)
                                              : std::string("any order"),
                           analysis_.crosses_blocks(id) ? ", one over several blocks" : "", absorbing.text(),
                           tied.text());
    }

    const Graph& graph_;
    const PermutationAnalysis& analysis_;
};

}  // namespace

std::string permutation_report(const Graph& graph, const PermutationAnalysis& analysis) {
    struct Entry {
        std::string name;
        Shape shape;
        std::string lines;
        int count = 1;
    };
    const Report report(graph, analysis);
    std::vector<Entry> entries;
    for (ParameterId id = 0; id < static_cast<ParameterId>(graph.parameters().size()); ++id) {
        const Parameter& parameter = graph.parameter(id);
        if (!parameter.linear) continue;
        Entry entry{with_star(parameter.name, parameter.block), parameter.shape, report.lines_of({id, 0})};
        const auto same = std::ranges::find_if(entries, [&](const Entry& other) {
            return other.name == entry.name && other.shape == entry.shape && other.lines == entry.lines;
        });
        if (same == entries.end()) {
            entries.push_back(std::move(entry));
        } else {
            ++same->count;
        }
    }
    std::string text;
    for (const Entry& entry : entries)
        text += fmt::format("{}  {}{}\n{}\n", entry.name, to_string(entry.shape),
                            entry.count > 1 ? fmt::format(", {} times", entry.count) : "", entry.lines);
    return text;
}

}  // namespace jlcm
