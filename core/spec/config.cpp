#include "core/spec/config.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/spec/problems.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace jlcm {
namespace {

namespace fs = std::filesystem;

/// A bare name as the map that it stands for; nothing for what names no plugin.
std::optional<Config> as_plugin_map(const Config& config) {
    if (config.kind != Config::Kind::scalar) return std::nullopt;
    Config map = Config::map();
    map.origin = config.origin;
    auto& type = map.entry("type");
    type.origin = config.origin;
    type.value = config;
    return map;
}

Config merged_maps(Config base, const Config& over) {
    const Config* base_type = base.find("type");
    const Config* over_type = over.find("type");
    if (base_type != nullptr && over_type != nullptr && base_type->text != over_type->text) return over;
    if (base_type == nullptr && over_type != nullptr)
        for (auto& entry : base.entries) entry.only_for_default_plugin = true;
    base.origin = over.origin;
    for (const auto& from : over.entries) {
        const bool known = base.find(from.key) != nullptr;
        auto& to = base.entry(from.key);
        to.value = known ? merged(std::move(to.value), from.value) : from.value;
        to.origin = from.origin;
        to.only_for_default_plugin = from.only_for_default_plugin;
    }
    return base;
}

class Reader {
  public:
    explicit Reader(Problems& problems) : problems_(problems) {}

    /// The file put over its includes. `chain`: the files that led here, outermost first.
    Config read(const fs::path& file, std::vector<fs::path>& chain) {
        const auto parsed = parse_config(read_file(file), {file.string(), 1, 1}, problems_);
        if (!parsed) problems_.throw_if_any();
        Config root = parsed.value_or(Config::map());
        if (root.kind != Config::Kind::map) {
            problems_.add(root.origin, fmt::format("a spec is a map of keys, got {}", root.describe()));
            problems_.throw_if_any();
        }
        const Config* include = root.find("include");
        if (include == nullptr) return root;
        Config base = Config::map();
        const bool many = include->kind == Config::Kind::list;
        for (const Config& path : many ? include->items : std::vector<Config>{*include})
            base = merged(std::move(base), read_included(file, path, chain));
        root.erase("include");
        return merged(std::move(base), root);
    }

  private:
    Config read_included(const fs::path& file, const Config& include, std::vector<fs::path>& chain) {
        if (include.kind != Config::Kind::scalar) {
            problems_.add(include.origin,
                          fmt::format("include: expected the path of a spec, got {}", include.describe()));
            return Config::map();
        }
        const fs::path path = (file.parent_path() / include.text).lexically_normal();
        if (!fs::is_regular_file(path)) {
            problems_.add(include.origin, fmt::format("include: there is no file {}", path.string()));
            return Config::map();
        }
        chain.push_back(file);
        const auto first = std::find_if(chain.begin(), chain.end(), [&](const fs::path& before) {
            return fs::weakly_canonical(before) == fs::weakly_canonical(path);
        });
        if (first != chain.end()) {
            std::string cycle;
            for (auto each = first; each != chain.end(); ++each) cycle += each->string() + " -> ";
            problems_.add(include.origin, fmt::format("include: a cycle: {}{}", cycle, path.string()));
            problems_.throw_if_any();
        }
        Config root = read(path, chain);
        chain.pop_back();
        return root;
    }

    Problems& problems_;
};

/// `value` put over what is at `path` (its segments) below `node`.
void set_at(Config& node, const std::vector<std::string>& path, std::size_t depth, const Config& value,
            Problems& problems) {
    if (depth == path.size()) {
        node = merged(std::move(node), value);
        return;
    }
    const std::string& segment = path[depth];
    if (node.kind == Config::Kind::list) {
        std::size_t index = 0;
        const char* end = segment.data() + segment.size();
        const auto [last, error] = std::from_chars(segment.data(), end, index);
        if (error != std::errc() || last != end || index >= node.items.size()) {
            problems.add(value.origin,
                         fmt::format("\"{}\" is no index of the list there, which has {} entries ({})",
                                     segment, node.items.size(), node.origin.str()));
            return;
        }
        set_at(node.items[index], path, depth + 1, value, problems);
        return;
    }
    if (segment == "type") {  // another plugin: the old one's options go
        Config layer = Config::map();
        layer.origin = value.origin;
        auto& type = layer.entry(segment);
        type.origin = value.origin;
        set_at(type.value, path, depth + 1, value, problems);
        node = merged(std::move(node), layer);
        return;
    }
    if (node.kind != Config::Kind::map) {
        const Origin origin = node.origin;
        node = as_plugin_map(node).value_or(Config::map());
        node.origin = origin.source.empty() ? value.origin : origin;
    }
    const bool known = node.find(segment) != nullptr;
    auto& entry = node.entry(segment);
    if (!known) entry.origin = value.origin;
    set_at(entry.value, path, depth + 1, value, problems);
}

}  // namespace

Config Config::string(std::string text) {
    Config config = literal(std::move(text));
    config.quoted = true;
    return config;
}

Config Config::literal(std::string text) {
    Config config;
    config.kind = Kind::scalar;
    config.text = std::move(text);
    return config;
}

Config Config::list() {
    Config config;
    config.kind = Kind::list;
    return config;
}

Config Config::map() {
    Config config;
    config.kind = Kind::map;
    return config;
}

const Config* Config::find(std::string_view key) const {
    for (const Entry& each : entries)
        if (each.key == key) return &each.value;
    return nullptr;
}

Config::Entry& Config::entry(std::string_view key) {
    for (Entry& each : entries)
        if (each.key == key) return each;
    entries.push_back({std::string(key), {}, {}});
    return entries.back();
}

void Config::erase(std::string_view key) {
    std::erase_if(entries, [&](const Entry& each) { return each.key == key; });
}

std::string Config::describe() const {
    constexpr std::size_t longest = 60;
    switch (kind) {
        case Kind::null:
            return "nothing";
        case Kind::list:
            return "a list";
        case Kind::map:
            return "a map";
        case Kind::scalar:
            break;
    }
    return fmt::format("\"{}\"", text.size() <= longest ? text : text.substr(0, longest) + "...");
}

Config merged(Config base, const Config& over) {
    const bool base_is_map = base.kind == Config::Kind::map;
    const bool over_is_map = over.kind == Config::Kind::map;
    if (base_is_map && over_is_map) return merged_maps(std::move(base), over);
    if (over_is_map)
        if (auto map = as_plugin_map(base)) return merged_maps(*map, over);
    if (base_is_map)
        if (auto map = as_plugin_map(over)) return merged_maps(std::move(base), *map);
    return over;
}

void set_value(Config& root, std::string_view path, const Config& value, Problems& problems) {
    std::vector<std::string> segments(1);
    for (const char c : path) {
        if (c == '.') {
            segments.emplace_back();
        } else {
            segments.back() += c;
        }
    }
    if (std::ranges::any_of(segments, &std::string::empty)) {
        problems.add(value.origin, "expected key=value, the key as a.b or a.0.b");
        return;
    }
    set_at(root, segments, 0, value, problems);
}

void apply_set(Config& root, std::string_view assignment, Problems& problems) {
    const Origin where{fmt::format("--set {}", assignment), 0, 0};
    const std::size_t equals = assignment.find('=');
    if (equals == std::string_view::npos) {
        problems.add(where, "expected key=value, the key as a.b or a.0.b");
        return;
    }
    const std::string text(assignment.substr(equals + 1));
    Config value;
    value.origin = where;
    if (!text.empty()) {
        // As an element of a list, so that "null" is no empty document.
        const auto parsed = parse_config("- " + text, where, problems);
        if (!parsed || parsed->items.empty()) return;
        value = parsed->items.front();
    }
    set_value(root, assignment.substr(0, equals), value, problems);
}

Config read_config(const fs::path& file, const std::vector<std::string>& sets, Problems& problems) {
    std::vector<fs::path> chain;
    Config root = Reader(problems).read(file, chain);
    for (const std::string& each : sets) apply_set(root, each, problems);
    return root;
}

void for_each_value(const Config& root, Lists lists,
                    const std::function<void(const std::string& path, const Config& value)>& visit) {
    const std::function<void(const std::string&, const Config&)> walk = [&](const std::string& path,
                                                                            const Config& node) {
        const auto below = [&](const std::string& key) { return path.empty() ? key : path + '.' + key; };
        if (node.kind == Config::Kind::map && !node.entries.empty()) {
            for (const auto& entry : node.entries) walk(below(entry.key), entry.value);
        } else if (lists == Lists::entered && node.kind == Config::Kind::list && !node.items.empty()) {
            for (std::size_t i = 0; i < node.items.size(); ++i) walk(below(std::to_string(i)), node.items[i]);
        } else {
            visit(path, node);
        }
    };
    walk({}, root);
}

}  // namespace jlcm
