#include "core/sweep/sweep_spec.hpp"

#include "core/run/spec.hpp"
#include "core/spec/resolve.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace jlcm {
namespace {

constexpr std::size_t most_runs = 100000;

/// A value that was chosen along an axis.
struct Choosing {
    std::string axis;  ///< as written: "compress.bits"
    std::string text;
};

struct Setting {
    std::string path;
    Config value;
};

/// A place in the grid: what was chosen, and what that sets.
struct Point {
    std::vector<Choosing> chosen;
    std::vector<Setting> settings;
};
using Points = std::vector<Point>;

/// The values of one axis; each may bring axes of its own and is several points then.
using Axis = std::vector<Points>;

/// A key of the run's spec, and no name that groups settings.
bool is_spec_key(const std::string& axis) {
    if (axis.find('.') != std::string::npos) return true;
    static const auto fields = document_options<RunSpec>();
    return std::ranges::any_of(fields, [&](const FieldDoc& field) { return field.name == axis; });
}

std::string text_of(const Config& value) {
    if (value.kind == Config::Kind::null) return "none";
    return value.kind == Config::Kind::scalar ? value.text : to_flow_yaml(value);
}

class Expansion {
  public:
    explicit Expansion(Problems& problems) : problems_(problems) {}

    Points points(const SweepSettings& body) {
        Points points(1);
        for (const auto& entry : entries(body.set, "set"))
            points.front().settings.push_back({entry.key, entry.value});
        if (!body.zip.entries.empty()) points = product(points, flat(zipped(body.zip)));
        for (const auto& entry : entries(body.grid, "grid")) points = product(points, flat(axis(entry)));
        return points;
    }

  private:
    std::vector<Config::Entry> entries(const Config& map, std::string_view key) {
        if (map.kind == Config::Kind::map) return map.entries;
        const Problems::Scope scope(problems_, map, key);
        problems_.here(map, "expected a map, got {}", map.describe());
        return {};
    }

    Axis axis(const Config::Entry& entry) {
        const Problems::Scope scope(problems_, entry.value, entry.key);
        const bool is_key = is_spec_key(entry.key);
        Axis values;
        const auto add = [&](const std::string& name, const Config& value) {
            values.push_back(is_key ? Points{{{}, {{entry.key, value}}}} : named(name, value));
            for (Point& point : values.back()) point.chosen.insert(point.chosen.begin(), {entry.key, name});
        };
        if (entry.value.kind == Config::Kind::map) {
            for (const auto& each : entry.value.entries) add(each.key, each.value);
        } else if (!is_key) {
            problems_.here(entry.value,
                           "is no key of a run's spec: give names with what they set, e.g. {{small: {{set: "
                           "{{compress.bits: 2}}}}}}");
        } else {
            for (const Config& value : entry.value.kind == Config::Kind::list
                                           ? entry.value.items
                                           : std::vector<Config>{entry.value})
                add(text_of(value), value);
        }
        if (values.empty()) problems_.here(entry.value, "the axis has no values");
        return values;
    }

    /// The settings under a name, and the axes that they bring.
    Points named(const std::string& name, const Config& value) {
        const Problems::Scope scope(problems_, value, name);
        if (value.kind == Config::Kind::null) return Points(1);
        if (!is_map(value, problems_)) return {};
        SweepSettings body;
        decode_options(body, value, problems_);
        return points(body);
    }

    /// Axes side by side as one.
    Axis zipped(const Config& map) {
        const Problems::Scope scope(problems_, map, "zip");
        std::vector<Axis> axes;
        for (const auto& entry : entries(map, "zip")) axes.push_back(axis(entry));
        const bool fits =
            std::ranges::all_of(axes, [&](const Axis& each) { return each.size() == axes.front().size(); });
        if (!fits) problems_.here(map, "its axes have different numbers of values");
        if (!fits || axes.empty()) return {};
        Axis together = axes.front();
        for (std::size_t a = 1; a < axes.size(); ++a)
            for (std::size_t i = 0; i < together.size(); ++i) together[i] = product(together[i], axes[a][i]);
        return together;
    }

    static Points flat(Axis axis) {
        Points points;
        for (Points& each : axis) std::ranges::move(each, std::back_inserter(points));
        return points;
    }

    static Points product(const Points& first, const Points& second) {
        require(first.size() * std::max<std::size_t>(second.size(), 1) <= most_runs,
                "the sweep has more than {} runs", most_runs);
        Points points;
        for (const Point& a : first) {
            for (const Point& b : second) {
                Point both = a;
                both.chosen.insert(both.chosen.end(), b.chosen.begin(), b.chosen.end());
                both.settings.insert(both.settings.end(), b.settings.begin(), b.settings.end());
                points.push_back(std::move(both));
            }
        }
        return points;
    }

    Problems& problems_;
};

std::string last_word(const std::string& axis) {
    return axis.substr(axis.rfind('.') + 1);
}

/// Axes are called by the last word of their key, unless a run has two that end in the same one.
std::vector<Labels> labels_of(const Points& points) {
    std::set<std::string> ambiguous;
    for (const Point& point : points) {
        std::map<std::string, std::string> axes;
        for (const Choosing& each : point.chosen) {
            const auto [found, is_new] = axes.emplace(last_word(each.axis), each.axis);
            if (!is_new && found->second != each.axis) ambiguous.insert(found->first);
        }
    }
    std::vector<Labels> all;
    for (const Point& point : points) {
        Labels& labels = all.emplace_back();
        for (const Choosing& each : point.chosen) {
            const std::string word = last_word(each.axis);
            labels.emplace_back(ambiguous.contains(word) ? each.axis : word, each.text);
        }
    }
    return all;
}

/// Whether the labels fit every condition {axis: value or list of values}.
bool matches(const Config& conditions, const Labels& labels) {
    return std::ranges::all_of(conditions.entries, [&](const Config::Entry& condition) {
        const std::string* label = find(labels, condition.key);
        if (label == nullptr) return false;
        if (condition.value.kind != Config::Kind::list) return text_of(condition.value) == *label;
        return std::ranges::any_of(condition.value.items,
                                   [&](const Config& value) { return text_of(value) == *label; });
    });
}

Config base_spec(const SweepSpec& sweep, Problems& problems) {
    if (sweep.base.kind == Config::Kind::null) return Config::map();
    const Problems::Scope scope(problems, sweep.base, "base");
    if (sweep.base.kind != Config::Kind::scalar) {
        problems.here(sweep.base, "expected the path of a spec, got {}", sweep.base.describe());
        return Config::map();
    }
    const Origin& origin = sweep.base.origin;
    const auto folder =
        origin.line > 0 ? std::filesystem::path(origin.source).parent_path() : std::filesystem::path();
    try {
        return read_config((folder / sweep.base.text).lexically_normal(), {}, problems);
    } catch (const Error& error) {
        problems.here(sweep.base, "{}", error.what());
        return Config::map();
    }
}

/// Paths of shared plugins hold for the file that names them; a run's spec is written elsewhere.
void make_plugins_absolute(Config& spec) {
    const Config* given = spec.find("plugins");
    if (given == nullptr) return;
    Config& plugins = spec.entry("plugins").value;
    if (plugins.kind == Config::Kind::scalar) {
        Config list = Config::list();
        list.items.push_back(plugins);
        plugins = list;
    }
    for (Config& each : plugins.items)
        if (each.origin.line > 0)
            each.text =
                std::filesystem::absolute(std::filesystem::path(each.origin.source).parent_path() / each.text)
                    .lexically_normal()
                    .string();
}

}  // namespace

void SweepSettings::fields(Fields& v) {
    v("set", set, Doc{"Settings over the spec: keys like compress.bits, or maps as in the spec itself."});
    v("grid", grid,
      Doc{"Axes, of which every combination is run. `key: [values]`; `key: {name: value}` if tables are to "
          "show short names; or `name: {value: {set, grid, zip}}`, where each value brings settings and axes "
          "of its own."});
    v("zip", zip, Doc{"Axes of the same length that go side by side: their first values, their second, ..."});
}

void SweepSpec::fields(Fields& v) {
    v("version", version, Doc{"Version of this format: 1."}, Range{1, 1});
    v("name", name, Doc{"Name of the sweep; it begins the names of the runs' directories."});
    v("base", base,
      Doc{"The path of the spec that every run starts from, relative to this file. None: `set` says all."});
    SweepSettings::fields(v);
    v("seeds", seeds, Doc{"Every run is repeated with each of these. Three tell luck from gain, roughly."});
    v("exclude", exclude,
      Doc{"Combinations that are left out: maps {axis: value or list of values}, a run is left out if it "
          "matches all of a map."});
    v("launcher", launcher, Doc{"Where the runs are executed."});
    v("plugins", plugins,
      Doc{"Shared objects (or directories of them) with more launchers. Loading one runs its code. Plugins "
          "of the runs are named under set."});
}

std::vector<Variant> expand(const SweepSpec& sweep) {
    Problems problems;
    Config base = base_spec(sweep, problems);
    problems.throw_if_any();
    base.entry("name").value = Config::string(sweep.name);
    SweepSettings settings = static_cast<const SweepSettings&>(sweep);
    if (!sweep.seeds.empty()) {
        Config seeds = Config::list();
        for (const auto seed : sweep.seeds) seeds.items.push_back(Config::literal(std::to_string(seed)));
        settings.grid.entry("seed").value = seeds;
    }
    const Points points = Expansion(problems).points(settings);
    const std::vector<Labels> labels = labels_of(points);

    std::vector<bool> excluded(points.size());
    for (const Config& conditions : sweep.exclude) {
        const Problems::Scope scope(problems, conditions, "exclude");
        if (!is_map(conditions, problems)) continue;
        bool is_used = false;
        for (std::size_t i = 0; i < points.size(); ++i) {
            if (!matches(conditions, labels[i])) continue;
            excluded[i] = true;
            is_used = true;
        }
        if (!is_used) problems.here(conditions, "{} matches no run", to_flow_yaml(conditions));
    }
    std::vector<Variant> variants;
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (excluded[i]) continue;
        Variant variant{labels[i], base};
        for (const Setting& setting : points[i].settings)
            set_value(variant.spec, setting.path, setting.value, problems);
        make_plugins_absolute(variant.spec);
        variants.push_back(std::move(variant));
        problems.throw_if_any();
    }
    problems.throw_if_any();
    require(!variants.empty(), "{}: every run is excluded", sweep.name);
    return variants;
}

namespace {
const SectionRegistrar<SweepSpec> section{"sweep", "The spec of jlcm-sweep."};
}

}  // namespace jlcm
