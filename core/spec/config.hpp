#pragma once
// A spec before it has types: a tree of scalars, lists and maps in which every node knows where it was
// written.

#include "core/base/problems.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

class Problems;

/// One node of the tree. Plain data.
struct Config {
    enum class Kind { null, scalar, list, map };
    struct Entry;

    Kind kind = Kind::null;
    std::string text;            ///< of a scalar
    bool quoted = false;         ///< the scalar is text, whatever it looks like
    std::vector<Config> items;   ///< of a list
    std::vector<Entry> entries;  ///< of a map, in the order written; keys are unique
    Origin origin;

    /// A scalar that is text.
    [[nodiscard]] static Config string(std::string text);
    /// A scalar that is a number or a truth value, spelt as `text`.
    [[nodiscard]] static Config literal(std::string text);
    [[nodiscard]] static Config list();
    [[nodiscard]] static Config map();

    /// The value of `key`, or nullptr (also where this is no map).
    [[nodiscard]] const Config* find(std::string_view key) const;
    /// The entry of `key`, made at the end of the map where it is missing.
    Entry& entry(std::string_view key);
    void erase(std::string_view key);
    /// What this is, for messages: `the map {...}` is "a map", a scalar is its own text in quotes.
    [[nodiscard]] std::string describe() const;
};

struct Config::Entry {
    std::string key;
    Origin origin;  ///< of the key
    Config value;
    /// An option that was written without naming its plugin, below a file that names one: it holds only where
    /// that is the plugin which the option's field takes by default.
    bool only_for_default_plugin = false;
};

/// Parses one YAML 1.2 document (yaml-cpp). Duplicate keys, explicit tags, merge keys, several documents,
/// nesting deeper than 64 and more than 100,000 values (aliases counted where used) are problems. An empty
/// text is an empty map. Returns nothing where the text is no YAML at all. `where.line` is 0 for text that is
/// not a file's.
[[nodiscard]] std::optional<Config> parse_config(std::string_view yaml, const Origin& where,
                                                 Problems& problems);

/// Reads `file`, puts it over the files of its `include:` key (a path or a list of paths, relative to the
/// file; later ones win over earlier ones), then applies `sets` ("a.b=value" or "a.0.b=value") in order. The
/// result is a map. Throws all problems found so far where a file cannot be read or parsed.
[[nodiscard]] Config read_config(const std::filesystem::path& file, const std::vector<std::string>& sets,
                                 Problems& problems);

/// `value` put over what is at `path` ("a.b" or "a.0.b") as merged() does it.
void set_value(Config& root, std::string_view path, const Config& value, Problems& problems);

/// Applies one "a.b=value"; the value is YAML.
void apply_set(Config& root, std::string_view assignment, Problems& problems);

/// `over` put over `base`: maps key by key, everything else replaced. A bare plugin name counts as {type:
/// name}; where the two maps name different plugins (`type`), nothing of `base` is left.
[[nodiscard]] Config merged(Config base, const Config& over);

enum class Lists { whole, entered };
/// Calls visit(path, value) for what is below the maps of a tree, in order, the path as set_value takes it.
/// Lists are values, or entered too; what is empty is a value.
void for_each_value(const Config& root, Lists lists,
                    const std::function<void(const std::string& path, const Config& value)>& visit);

/// Block YAML in the order of the tree; parse_config gives the same tree back.
[[nodiscard]] std::string to_yaml(const Config& config);
/// The same with each value's origin behind it as a comment.
[[nodiscard]] std::string to_yaml_with_origins(const Config& config);
/// One line: flow YAML.
[[nodiscard]] std::string to_flow_yaml(const Config& config);

}  // namespace jlcm
