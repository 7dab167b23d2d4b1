#include "core/report/result_table.hpp"

#include "core/base/error.hpp"
#include "core/report/run_figures.hpp"
#include "core/report/statistics.hpp"
#include "core/run/result.hpp"
#include "core/spec/problems.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

namespace jlcm {
namespace {

using nlohmann::json;
using Better = FigureStyle::Better;

/// A model of a run: what a row averages over.
struct Source {
    std::size_t run = 0;
    ModelName model;
};

/// Sources that share a row's keys and the pivot's value.
struct Group {
    std::vector<std::string> row;  ///< the values of the rows' keys
    std::string pivot;
    std::vector<Source> sources;
};

/// The figures of a group for one column.
struct Figure {
    MeanAndError over_runs;
    std::optional<double> item_error;
    std::vector<double> items;            ///< averaged over runs; empty where not all have them
    std::map<std::string, double> seeds;  ///< by seed
    std::vector<std::size_t> runs;
};

std::vector<std::string> texts_of(const Config& value) {
    std::vector<std::string> texts;
    if (value.kind != Config::Kind::list) return {value.kind == Config::Kind::null ? "none" : value.text};
    for (const Config& each : value.items)
        texts.push_back(each.kind == Config::Kind::null ? "none" : each.text);
    return texts;
}

/// Numbers by size, before words by the alphabet.
bool is_before(const std::string& a, const std::string& b) {
    const auto number = [](const std::string& text) -> std::optional<double> {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
        return value;
    };
    const auto first = number(a);
    const auto second = number(b);
    if (first && second) return *first < *second;
    return first.has_value() == second.has_value() ? a < b : first.has_value();
}

std::string fixed(double value, int digits, bool is_percent) {
    std::string text = fmt::format("{:.{}f}", is_percent ? 100 * value : value, digits);
    if (std::abs(value) >= 1e7 && digits > 0) text = fmt::format("{:.3g}", value);
    if (digits == 0 && std::isfinite(value)) {  // 59,269,263
        const std::size_t first = text.front() == '-' ? 1 : 0;
        for (std::size_t at = text.size(); at > first + 3; at -= 3) text.insert(at - 3, ",");
    }
    return is_percent ? text + " %" : text;
}

std::string keys_that_differ(const json& a, const json& b) {
    std::string keys;
    for (const auto& [key, value] : a.items())
        if (!b.contains(key) || b.at(key) != value)
            keys += fmt::format("{}{} ({} and {})", keys.empty() ? "" : ", ", key, value.dump(),
                                b.contains(key) ? b.at(key).dump() : "nothing");
    return keys.empty() ? "what they list" : keys;
}

class TableMaker {
  public:
    TableMaker(const TableSpec& spec, const std::vector<RunRecord>& runs) : spec_(spec), runs_(runs) {
        find_axes();
        keys_ = spec.rows.empty() ? default_rows() : spec.rows;
        columns_ = spec.columns;
        if (columns_.empty()) columns_ = default_columns();
        require(spec.sections.empty() || std::ranges::find(keys_, spec.sections) != keys_.end(),
                "sections: \"{}\" is no key of the rows", spec.sections);
    }

    ResultTable make() {
        make_groups();
        for (const Group& group : groups_) check_group(group);
        find_figures();
        ResultTable table{
            .title = spec_.title, .columns = {}, .rows = {}, .notes = {}, .runs = {}, .ids = {}};
        for (const RunRecord& run : runs_) {
            table.runs.push_back(run.directory.string());
            table.ids.push_back(run.id());
        }
        for (const std::string& key : keys_) table.columns.push_back({"", shown(key), true});
        for (const std::string& pivot : pivots_)
            for (const ColumnChoice& column : columns_)
                table.columns.push_back({pivot_title(pivot), title(column), false});
        sort_rows();
        for (std::size_t r = 0; r < rows_.size(); ++r) table.rows.push_back(row(r));
        mark_best(table);
        table.notes = notes();
        return table;
    }

  private:
    // ---- what is asked for ----

    void find_axes() {
        for (const RunRecord& run : runs_)
            for (const auto& [axis, value] : run.labels)
                if (std::ranges::find(axes_, axis) == axes_.end()) axes_.push_back(axis);
    }

    [[nodiscard]] std::vector<std::string> default_rows() const {
        std::vector<std::string> keys;
        for (const std::string& axis : axes_)
            if (axis != "seed" && axis != spec_.pivot) keys.push_back(axis);
        if (keys.empty()) keys.emplace_back("run");
        if (spec_.models.size() > 1) keys.emplace_back("model");
        return keys;
    }

    [[nodiscard]] std::vector<ColumnChoice> default_columns() const {
        std::vector<ColumnChoice> columns;
        const auto add = [&](const std::string& value, const std::string& evaluation,
                             const std::string& title) {
            ColumnChoice column;
            column.value = value;
            column.evaluation = evaluation;
            column.title = title;
            columns.push_back(column);
        };
        add("bits", "", "");
        add("bytes", "", "");
        const auto titles = evaluation_titles(runs_);
        for (const std::string& title : titles) {
            std::string metric;
            for (const RunRecord& run : runs_)
                for (const json& each : run.result.at("evaluations"))
                    if (each.at("title") == title) metric = each.at("metric");
            const std::size_t comma = title.find(", ");
            const std::string behind = comma == std::string::npos ? title : title.substr(comma + 2);
            const std::string of = titles.size() > 1 ? ", " + behind : "";
            add(metric, title, of.empty() ? "" : title);
            for (const char* value : {"kl", "agreement"})
                if (is_measured(value, title))
                    add(value, title, of.empty() ? "" : style_of(value).title + of);
        }
        return columns;
    }

    /// Whether any run has the figure of an evaluation of this title: not every evaluation compares with the
    /// original.
    [[nodiscard]] bool is_measured(const char* figure, const std::string& title) const {
        for (const RunRecord& run : runs_)
            for (const json& each : run.result.at("evaluations"))
                if (each.at("title") == title &&
                    std::ranges::any_of(each.at("models"), [&](const json& model) {
                        return recorded_figure(model, figure).has_value();
                    }))
                    return true;
        return false;
    }

    [[nodiscard]] std::string shown(const std::string& text) const {
        const Config* name = spec_.names.find(text);
        return name == nullptr ? text : name->text;
    }

    [[nodiscard]] std::string title(const ColumnChoice& column) const {
        if (!column.title.empty()) return column.title;
        std::string title = style_of(column.value).title;
        switch (column.versus) {
            case Versus::none:
                return title;
            case Versus::difference:
                return "Δ " + title;
            case Versus::ratio:
                return title + " / baseline";
            case Versus::p:
                break;
        }
        return "p, " + title;
    }

    [[nodiscard]] std::string pivot_title(const std::string& value) const {
        return spec_.pivot.empty() ? "" : fmt::format("{} {}", shown(spec_.pivot), shown(value));
    }

    // ---- rows ----

    [[nodiscard]] std::string text(const Source& source, const std::string& key) const {
        return key_text(runs_[source.run], source.model, key).value_or("-");
    }

    void check_key(const std::string& key) const {
        for (const RunRecord& run : runs_)
            if (key_text(run, "compressed", key)) return;
        std::vector<std::string> known = axes_;
        known.insert(known.end(), {"model", "run", "hash", "name", "seed", "compute"});
        fail("no run has a \"{}\"{}", key, suggestion(key, known));
    }

    [[nodiscard]] bool is_wanted(const Source& source) const {
        return std::ranges::all_of(spec_.where.entries, [&](const Config::Entry& condition) {
            const auto values = texts_of(condition.value);
            return std::ranges::find(values, text(source, condition.key)) != values.end();
        });
    }

    void make_groups() {
        for (const std::string& key : keys_) check_key(key);
        if (!spec_.pivot.empty()) check_key(spec_.pivot);
        for (const auto& entry : spec_.where.entries) check_key(entry.key);
        std::map<std::pair<std::vector<std::string>, std::string>, std::size_t> known;
        for (std::size_t r = 0; r < runs_.size(); ++r) {
            for (const ModelName& model : spec_.models) {
                const Source source{r, model};
                if (!is_wanted(source) || !has_model(source)) continue;
                std::vector<std::string> row;
                for (const std::string& key : keys_) row.push_back(text(source, key));
                const std::string pivot = spec_.pivot.empty() ? "" : text(source, spec_.pivot);
                if (std::ranges::find(rows_, row) == rows_.end()) rows_.push_back(row);
                if (std::ranges::find(pivots_, pivot) == pivots_.end()) pivots_.push_back(pivot);
                const auto [found, is_new] = known.emplace(std::pair(row, pivot), groups_.size());
                if (is_new) groups_.push_back({row, pivot, {}});
                groups_[found->second].sources.push_back(source);
            }
        }
        require(!rows_.empty(), "no run is left: where excludes all {}", runs_.size());
        std::ranges::sort(pivots_, is_before);
    }

    [[nodiscard]] bool has_model(const Source& source) const {
        if (source.model == "compressed" || source.model == "original") return true;
        return std::ranges::any_of(runs_[source.run].result.at("evaluations"), [&](const json& each) {
            return each.at("models").contains(source.model);
        });
    }

    /// Runs that are averaged may differ in their seed alone. The original model is the same for all specs.
    void check_group(const Group& group) const {
        const Source& first = group.sources.front();
        if (first.model == "original") return;
        const auto content = [&](const Source& source) {
            json identity = runs_[source.run].result.at("identity");
            Config spec = runs_[source.run].spec;
            spec.erase("seed");
            identity["spec"] = to_yaml(spec);
            return identity;
        };
        for (const Source& each : group.sources) {
            if (&each == &first || content(each) == content(first)) continue;
            fail(
                "one row would average runs that differ in {}:\n  {}\n  {}\nGive rows a key that tells them "
                "apart",
                difference(runs_[first.run], runs_[each.run]), runs_[first.run].directory.string(),
                runs_[each.run].directory.string());
        }
    }

    static std::string difference(const RunRecord& a, const RunRecord& b) {
        const auto found = first_difference(a.spec, b.spec, "");
        return found.empty() ? "model, texts or type of products" : found;
    }

    /// The path of the first value of the specs that differs, seeds apart; empty where none does.
    static std::string first_difference(const Config& a, const Config& b, const std::string& path) {
        if (path == "seed") return "";
        if (a.kind == Config::Kind::map && b.kind == Config::Kind::map) {
            std::set<std::string> keys;
            for (const auto& entry : a.entries) keys.insert(entry.key);
            for (const auto& entry : b.entries) keys.insert(entry.key);
            for (const std::string& key : keys) {
                std::string below = path.empty() ? key : fmt::format("{}.{}", path, key);
                const Config* first = a.find(key);
                const Config* second = b.find(key);
                if (first == nullptr || second == nullptr) return below;
                if (auto found = first_difference(*first, *second, below); !found.empty()) return found;
            }
            return "";
        }
        return to_flow_yaml(a) == to_flow_yaml(b) ? "" : path;
    }

    // ---- figures ----

    void find_figures() {
        figures_.resize(groups_.size());
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            const ColumnChoice& column = columns_[c];
            const json* protocol = nullptr;
            const RunRecord* of = nullptr;
            std::vector<json> keep;
            keep.reserve(groups_.size() * runs_.size());
            bool is_there = std::ranges::all_of(runs_, &RunRecord::diverged);
            for (std::size_t g = 0; g < groups_.size(); ++g) {
                std::vector<RunFigure> figures;
                std::vector<Source> sources;
                for (const Source& source : groups_[g].sources) {
                    const RunRecord& run = runs_[source.run];
                    auto figure = figure_of(run, source.model, column.value, column.evaluation);
                    if (!figure) continue;
                    if (!figure->protocol.is_null()) {
                        if (protocol == nullptr) {
                            keep.push_back(figure->protocol);
                            protocol = &keep.back();
                            of = &run;
                        }
                        require(*protocol == figure->protocol,
                                "the column {} would mix figures that do not compare: they differ in {}:\n  "
                                "{}\n  {}",
                                title(column), keys_that_differ(*protocol, figure->protocol),
                                of->directory.string(), run.directory.string());
                    }
                    figures.push_back(std::move(*figure));
                    sources.push_back(source);
                }
                figures_[g].push_back(figures.empty() ? std::nullopt
                                                      : std::optional(average(figures, sources)));
                is_there = is_there || std::ranges::any_of(sources, [&](const Source& source) {
                               return source.model == "original" || !runs_[source.run].diverged();
                           });
            }
            require(
                is_there, "no run has a value \"{}\"{}", column.value,
                column.evaluation.empty() ? "" : fmt::format(" of an evaluation \"{}\"", column.evaluation));
            protocols_.push_back(protocol == nullptr ? json() : *protocol);
        }
    }

    [[nodiscard]] Figure average(const std::vector<RunFigure>& figures,
                                 const std::vector<Source>& sources) const {
        Figure result{.over_runs = {}, .item_error = {}, .items = {}, .seeds = {}, .runs = {}};
        std::vector<double> values;
        for (std::size_t i = 0; i < figures.size(); ++i) {
            // The original is the same model in every run.
            const bool is_again = sources[i].model == "original" && i > 0;
            result.runs.push_back(sources[i].run);
            result.seeds[text(sources[i], "seed")] = figures[i].value;
            if (!is_again) values.push_back(figures[i].value);
        }
        result.over_runs = mean_and_error(values);
        if (values.size() == 1) result.item_error = figures.front().error;
        result.items = figures.front().items;
        for (std::size_t i = 1; i < figures.size(); ++i) {
            if (figures[i].items.size() != result.items.size()) return without_items(std::move(result));
            for (std::size_t k = 0; k < result.items.size(); ++k) result.items[k] += figures[i].items[k];
        }
        for (double& item : result.items) item /= static_cast<double>(figures.size());
        return result;
    }

    static Figure without_items(Figure figure) {
        figure.items.clear();
        return figure;
    }

    [[nodiscard]] const Figure* figure(const std::vector<std::string>& row, const std::string& pivot,
                                       std::size_t column) const {
        for (std::size_t g = 0; g < groups_.size(); ++g)
            if (groups_[g].row == row && groups_[g].pivot == pivot) {
                const std::optional<Figure>& found = figures_[g][column];
                return found ? &*found : nullptr;
            }
        return nullptr;
    }

    /// The figure that a row's is compared with, or nullptr where there is none (or it is the row's own).
    [[nodiscard]] const Figure* baseline(const std::vector<std::string>& row, const std::string& pivot,
                                         std::size_t column) const {
        require(!spec_.baseline.entries.empty(), "a column compares with the baseline, but there is none");
        std::vector<std::string> other = row;
        std::string other_pivot = pivot;
        for (const auto& entry : spec_.baseline.entries) {
            const auto key = std::ranges::find(keys_, entry.key);
            require(key != keys_.end() || entry.key == spec_.pivot,
                    "baseline: \"{}\" is no key of the rows{}", entry.key, suggestion(entry.key, keys_));
            (key == keys_.end() ? other_pivot : other[static_cast<std::size_t>(key - keys_.begin())]) =
                entry.value.text;
        }
        if (other == row && other_pivot == pivot) return nullptr;
        return figure(other, other_pivot, column);
    }

    [[nodiscard]] std::optional<double> p_value(const Figure& a, const Figure& b) const {
        const bool has_items = !a.items.empty() && a.items.size() == b.items.size();
        if (spec_.pairs == Pairs::items || (spec_.pairs == Pairs::automatic && has_items))
            return has_items ? paired_t_test(a.items, b.items) : std::nullopt;
        std::vector<double> first;
        std::vector<double> second;
        for (const auto& [seed, value] : a.seeds) {
            const auto found = b.seeds.find(seed);
            if (found == b.seeds.end()) continue;
            first.push_back(value);
            second.push_back(found->second);
        }
        return paired_t_test(first, second);
    }

    // ---- cells ----

    [[nodiscard]] TableRow row(std::size_t r) const {
        const auto& keys = rows_[r];
        TableRow row;
        for (const std::string& key : keys) row.cells.push_back({shown(key), {}, {}, false, {}});
        for (const std::string& pivot : pivots_)
            for (std::size_t c = 0; c < columns_.size(); ++c) row.cells.push_back(cell(keys, pivot, c));
        if (!spec_.sections.empty() && r > 0) {
            const auto at =
                static_cast<std::size_t>(std::ranges::find(keys_, spec_.sections) - keys_.begin());
            row.begins_section = rows_[r - 1][at] != keys[at];
        }
        return row;
    }

    [[nodiscard]] TableCell cell(const std::vector<std::string>& row, const std::string& pivot,
                                 std::size_t c) const {
        const ColumnChoice& column = columns_[c];
        const Figure* found = figure(row, pivot, c);
        TableCell cell{"-", {}, {}, false, {}};
        if (found == nullptr) return cell;
        const FigureStyle style = style_of(column.value);
        const int digits = column.digits.value_or(style.digits);
        const bool is_percent = column.percent.value_or(style.is_percent);
        cell.runs = found->runs;
        if (column.versus != Versus::none) {
            const Figure* other = baseline(row, pivot, c);
            return other == nullptr
                       ? cell
                       : compared(std::move(cell), column.versus, *found, *other, digits, is_percent);
        }
        cell.value = found->over_runs.mean;
        cell.text = fixed(*cell.value, digits, is_percent);
        if (std::isnan(*cell.value) && is_diverged(*found)) {
            cell.text = "diverged";
            return cell;
        }
        if (column.error == Spread::items) cell.error = found->item_error;
        if (column.error == Spread::seeds ||
            (column.error == Spread::automatic && style.better != Better::neither))
            cell.error = found->over_runs.error;
        if (cell.error) cell.text += " ± " + fixed(*cell.error, digits, is_percent);
        return cell;
    }

    /// Whether learning did in any of the runs.
    [[nodiscard]] bool is_diverged(const Figure& figure) const {
        return std::ranges::any_of(figure.runs, [&](std::size_t run) { return runs_[run].diverged(); });
    }

    [[nodiscard]] TableCell compared(TableCell cell, Versus versus, const Figure& figure,
                                     const Figure& baseline, int digits, bool is_percent) const {
        const auto p = p_value(figure, baseline);
        if (versus == Versus::p) {
            cell.value = p;
            if (p) cell.text = *p < 1e-4 ? "< 0.0001" : fmt::format("{:.4f}", *p);
        } else if (versus == Versus::ratio) {
            cell.value = figure.over_runs.mean / baseline.over_runs.mean;
            cell.text = fmt::format("{:.{}f}", *cell.value, std::max(digits, 2));
        } else {
            cell.value = figure.over_runs.mean - baseline.over_runs.mean;
            cell.text = (*cell.value >= 0 ? "+" : "") + fixed(*cell.value, digits, is_percent);
            if (p) cell.text += *p < 0.01 ? "**" : *p < 0.05 ? "*" : "";
        }
        return cell;
    }

    [[nodiscard]] Better better(const ColumnChoice& column) const {
        if (column.best == Best::none || column.versus != Versus::none) return Better::neither;
        if (column.best == Best::automatic) return style_of(column.value).better;
        return column.best == Best::low ? Better::low : Better::high;
    }

    /// In every section and column, where there is a choice. Figures that are printed alike are alike.
    void mark_best(ResultTable& table) const {
        const auto model_key = std::ranges::find(keys_, "model");
        for (std::size_t begin = 0, end = 0; begin < table.rows.size(); begin = end) {
            for (end = begin + 1; end < table.rows.size() && !table.rows[end].begins_section;) ++end;
            for (std::size_t c = keys_.size(); c < table.columns.size(); ++c) {
                const Better wanted = better(columns_[(c - keys_.size()) % columns_.size()]);
                if (wanted == Better::neither) continue;
                std::vector<TableCell*> cells;
                for (std::size_t r = begin; r < end; ++r) {
                    const bool is_original =
                        model_key != keys_.end() &&
                        rows_[r][static_cast<std::size_t>(model_key - keys_.begin())] == "original";
                    TableCell& cell = table.rows[r].cells[c];
                    if (!is_original && cell.value && std::isfinite(*cell.value)) cells.push_back(&cell);
                }
                if (cells.size() < 2) continue;
                const auto order = [&](const TableCell* a, const TableCell* b) {
                    return wanted == Better::low ? *a->value < *b->value : *a->value > *b->value;
                };
                const std::string best = before_error((*std::ranges::min_element(cells, order))->text);
                for (TableCell* each : cells) each->is_best = before_error(each->text) == best;
            }
        }
    }

    static std::string before_error(const std::string& text) { return text.substr(0, text.find(" ±")); }

    void sort_rows() {
        // The last key sorts first; every sort keeps the order of equals. Sections stay together.
        auto keys = spec_.sort;
        if (!spec_.sections.empty() && std::ranges::find(keys, spec_.sections) == keys.end())
            keep_sections_together();
        for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
            const bool is_descending = key->starts_with('-');
            const std::string name = is_descending ? key->substr(1) : *key;
            sort_by(name, is_descending);
        }
        if (!keys.empty() && !spec_.sections.empty() && std::ranges::find(keys, spec_.sections) == keys.end())
            keep_sections_together();
    }

    void sort_by(const std::string& name, bool is_descending) {
        if (const auto key = std::ranges::find(keys_, name); key != keys_.end()) {
            const auto at = static_cast<std::size_t>(key - keys_.begin());
            std::ranges::stable_sort(rows_, [&](const auto& a, const auto& b) {
                return is_descending ? is_before(b[at], a[at]) : is_before(a[at], b[at]);
            });
            return;
        }
        const auto column =
            std::ranges::find(columns_, name, [](const ColumnChoice& each) { return each.value; });
        require(column != columns_.end(),
                "sort: \"{}\" is neither a key of the rows nor the value of a column", name);
        const auto c = static_cast<std::size_t>(column - columns_.begin());
        const auto value = [&](const auto& row) {
            const Figure* found = figure(row, pivots_.front(), c);
            const double nothing = std::numeric_limits<double>::infinity();
            if (found == nullptr || !std::isfinite(found->over_runs.mean)) return nothing;
            return is_descending ? -found->over_runs.mean : found->over_runs.mean;
        };
        std::ranges::stable_sort(rows_, [&](const auto& a, const auto& b) { return value(a) < value(b); });
    }

    /// Sections in the order in which the runs have them.
    void keep_sections_together() {
        const auto at = static_cast<std::size_t>(std::ranges::find(keys_, spec_.sections) - keys_.begin());
        std::vector<std::string> order;
        for (const Group& group : groups_)
            if (std::ranges::find(order, group.row[at]) == order.end()) order.push_back(group.row[at]);
        std::ranges::stable_sort(
            rows_, {}, [&](const auto& row) { return std::ranges::find(order, row[at]) - order.begin(); });
    }

    [[nodiscard]] std::vector<std::string> notes() const {
        std::vector<std::string> notes;
        for (const json& protocol : protocols_) {
            if (protocol.empty()) continue;
            std::string note = "data";
            for (const char* key : {"dataset", "text"})
                if (const std::string name = text_at(protocol, key); name != "-") note = name;
            for (const char* key : {"context", "windows", "tokens_scored", "images"})
                if (protocol.contains(key)) note += fmt::format(", {} {}", key, protocol.at(key).dump());
            for (auto& c : note)
                if (c == '_') c = ' ';
            if (const std::string hash = text_at(protocol, "text_sha256"); hash != "-")
                note += ", SHA-256 " + hash.substr(0, 12);
            if (std::ranges::find(notes, note) == notes.end()) notes.push_back(note);
        }
        const bool has_stars = std::ranges::any_of(
            columns_, [](const ColumnChoice& column) { return column.versus == Versus::difference; });
        if (has_stars)
            notes.push_back(fmt::format(
                "Against {}: * p < 0.05, ** p < 0.01, paired t-test over {}", to_flow_yaml(spec_.baseline),
                spec_.pairs == Pairs::seeds   ? "seeds"
                : spec_.pairs == Pairs::items ? "items"
                                              : "items, or seeds where items were not kept"));
        return notes;
    }

    const TableSpec& spec_;
    const std::vector<RunRecord>& runs_;
    std::vector<std::string> axes_;
    std::vector<std::string> keys_;
    std::vector<ColumnChoice> columns_;
    std::vector<std::vector<std::string>> rows_;
    std::vector<std::string> pivots_;
    std::vector<Group> groups_;
    std::vector<std::vector<std::optional<Figure>>> figures_;  ///< [group][column]
    std::vector<json> protocols_;                              ///< of each column, or null
};

}  // namespace

ResultTable make_table(const TableSpec& spec, const std::vector<RunRecord>& runs) {
    return TableMaker(spec, runs).make();
}

}  // namespace jlcm
