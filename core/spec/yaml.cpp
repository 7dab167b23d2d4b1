// YAML text to Config and back. The only file that sees yaml-cpp.

#include "core/spec/config.hpp"
#include "core/spec/problems.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace jlcm {
namespace {

constexpr std::size_t deepest = 64;
constexpr std::size_t most_values = 100'000;
constexpr std::size_t most_bytes = std::size_t{4} << 20;

/// A reason to stop parsing that is not yaml-cpp's.
struct Refused {
    Origin where;
    std::string reason;
};

/// Whether the quoted scalar at `at` ends before the text does. yaml-cpp takes the end of the text for a
/// quote.
bool is_closed(std::string_view text, std::size_t at) {
    if (at < text.size() && text[at] == '&') {  // an anchor stands before it
        at = std::min(text.find_first_of(" \t\r\n", at), text.size());
        at = std::min(text.find_first_not_of(" \t\r\n", at), text.size());
    }
    if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) return true;  // a block scalar
    const char quote = text[at];
    for (++at; at < text.size(); ++at) {
        const bool escapes_next = quote == '"'
                                      ? text[at] == '\\'
                                      : text[at] == quote && at + 1 < text.size() && text[at + 1] == quote;
        if (escapes_next) {
            ++at;
        } else if (text[at] == quote) {
            return true;
        }
    }
    return false;
}

/// Builds the tree from yaml-cpp's events.
class Builder : public YAML::EventHandler {
  public:
    Builder(std::string_view text, const Origin& where, Problems& problems)
        : text_(text), where_(where), problems_(problems) {}

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ > 0) throw Refused{origin(mark), "a second document begins, expected one"};
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(node(mark, Config()), anchor); }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        refuse_tag(mark, tag);
        const bool is_plain = tag != "!";
        if (!is_plain && !is_closed(text_, static_cast<std::size_t>(std::max(mark.pos, 0))))
            throw Refused{origin(mark), "the text's quote is never closed"};
        if (is_plain && (value == "~" || value == "null")) return OnNull(mark, anchor);
        add(node(mark, is_plain ? Config::literal(value) : Config::string(value)), anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value /*style*/) override {
        refuse_tag(mark, tag);
        open(mark, Config::list(), anchor);
    }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value /*style*/) override {
        refuse_tag(mark, tag);
        open(mark, Config::map(), anchor);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) throw Refused{origin(mark), "an alias stands inside of what it names"};
        count(mark, found->second.values);
        Config copy = found->second.config;
        attach(std::move(copy), 0, found->second.values);
    }

    /// The document; an empty map where there was none.
    [[nodiscard]] Config result() const {
        if (root_.kind != Config::Kind::null) return root_;
        Config empty = Config::map();
        empty.origin = where_;
        return empty;
    }
    [[nodiscard]] Origin origin(const YAML::Mark& mark) const {
        if (where_.line == 0) return where_;
        return mark.is_null() ? Origin{where_.source, 1, 1}
                              : Origin{where_.source, mark.line + 1, mark.column + 1};
    }

  private:
    struct Open {
        Config config;
        YAML::anchor_t anchor = 0;
        std::size_t values = 0;
        bool awaits_value = false;  ///< of a map: its last key has no value yet
        bool drops_value = false;   ///< the key was refused
    };
    struct Anchored {
        Config config;
        std::size_t values = 0;
    };

    void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
        if (tag.empty() || tag == "?" || tag == "!") return;
        throw Refused{origin(mark),
                      fmt::format("the tag {} is not supported, write the value without it", tag)};
    }
    Config node(const YAML::Mark& mark, Config config) {
        count(mark, 1);
        config.origin = origin(mark);
        return config;
    }
    void count(const YAML::Mark& mark, std::size_t values) {
        values_ += values;
        if (values_ > most_values)
            throw Refused{origin(mark), fmt::format("more than {} values, aliases included", most_values)};
    }
    void open(const YAML::Mark& mark, Config config, YAML::anchor_t anchor) {
        if (open_.size() >= deepest)
            throw Refused{origin(mark), fmt::format("nested deeper than {}", deepest)};
        open_.push_back({node(mark, std::move(config)), anchor, values_ - 1});
    }
    void close() {
        Open done = std::move(open_.back());
        open_.pop_back();
        attach(std::move(done.config), done.anchor, values_ - done.values);
    }
    void add(Config config, YAML::anchor_t anchor) { attach(std::move(config), anchor, 1); }

    void attach(Config config, YAML::anchor_t anchor, std::size_t values) {
        if (anchor != 0) anchors_[anchor] = {config, values};
        if (open_.empty()) {
            root_ = std::move(config);
            return;
        }
        Open& parent = open_.back();
        if (parent.config.kind == Config::Kind::list) {
            parent.config.items.push_back(std::move(config));
        } else if (parent.awaits_value) {
            if (!parent.drops_value) {
                auto& entry = parent.config.entries.back();
                // yaml-cpp's mark of an empty value is the next token's.
                if (config.kind == Config::Kind::null) config.origin = entry.origin;
                entry.value = std::move(config);
            }
            parent.awaits_value = false;
        } else {
            parent.awaits_value = true;
            parent.drops_value = !accept_key(parent.config, config);
        }
    }
    bool accept_key(Config& map, const Config& key) {
        if (key.kind != Config::Kind::scalar) {
            problems_.add(key.origin, fmt::format("a key must be a word, got {}", key.describe()));
            return false;
        }
        if (key.text == "<<" && !key.quoted) {
            problems_.add(key.origin, "merge keys (<<) are not supported, use include: of another spec");
            return false;
        }
        for (const auto& entry : map.entries) {
            if (entry.key != key.text) continue;
            problems_.add(key.origin,
                          fmt::format("duplicate key \"{}\", first at {}", key.text, entry.origin.str()));
            return false;
        }
        map.entries.push_back({key.text, key.origin, {}});
        return true;
    }

    std::string_view text_;
    Origin where_;
    Problems& problems_;
    Config root_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, Anchored> anchors_;
    std::size_t values_ = 0;
    int documents_ = 0;
};

bool is_plain_safe(std::string_view text) {
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '/';
    };
    if (text.empty() || !is_word(text.front()) || text.back() == ' ') return false;
    return std::all_of(text.begin(), text.end(),
                       [&](char c) { return is_word(c) || c == '.' || c == '-' || c == '+' || c == ' '; });
}

/// Text that would be read as another type if it stood without quotes.
bool looks_typed(std::string_view text) {
    static const std::vector<std::string_view> words = {
        "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "yes", "no", "on", "off"};
    if (std::find(words.begin(), words.end(), text) != words.end()) return true;
    return text.find_first_not_of("0123456789.eExXabcdefABCDEF+-_") == std::string_view::npos &&
           text.front() >= '0' && text.front() <= '9';
}

std::string in_quotes(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (c == '\n') {
            result += "\\n";
        } else if (c == '\t') {
            result += "\\t";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            result += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
        } else {
            result += c;
        }
    }
    return result + '"';
}

std::string scalar_text(const Config& config) {
    if (config.kind == Config::Kind::null) return "null";
    const bool is_number = config.text.find_first_not_of("0123456789.eE+-") == std::string::npos &&
                           config.text.find_first_of("0123456789") != std::string::npos;
    if (!config.quoted && !config.text.empty() && (is_number || is_plain_safe(config.text)))
        return config.text;
    return is_plain_safe(config.text) && !looks_typed(config.text) ? config.text : in_quotes(config.text);
}

std::string key_text(std::string_view key) {
    return scalar_text(Config::string(std::string(key)));
}

bool is_leaf(const Config& config) {
    const auto is_scalar = [](const Config& each) {
        return each.kind == Config::Kind::null || each.kind == Config::Kind::scalar;
    };
    switch (config.kind) {
        case Config::Kind::list:
            return std::all_of(config.items.begin(), config.items.end(), is_scalar);
        case Config::Kind::map:
            return config.entries.empty();
        default:
            return true;
    }
}

/// Lines of block YAML, each with the origin of the value it ends with.
class Writer {
  public:
    struct Line {
        std::string text;
        std::string origin;
    };

    void write(const Config& config, std::size_t indent, std::string first) {
        if (is_leaf(config)) {
            lines_.push_back({first + to_flow_yaml(config), config.origin.str()});
        } else if (config.kind == Config::Kind::map) {
            write_map(config, indent, std::move(first));
        } else {
            write_list(config, indent, std::move(first));
        }
    }
    [[nodiscard]] const std::vector<Line>& lines() const { return lines_; }

  private:
    static constexpr std::size_t step = 2;

    /// `first` stands before the first line in place of the indentation, e.g. "  - ".
    void write_map(const Config& map, std::size_t indent, std::string first) {
        for (const auto& entry : map.entries) {
            const std::string start = first + key_text(entry.key) + ":";
            first = std::string(indent, ' ');
            if (is_leaf(entry.value)) {
                write(entry.value, indent, start + " ");
            } else {
                lines_.push_back({start, ""});
                write(entry.value, indent + step, std::string(indent + step, ' '));
            }
        }
    }
    void write_list(const Config& list, std::size_t indent, std::string first) {
        for (const Config& item : list.items) {
            write(item, indent + step, first + "- ");
            first = std::string(indent, ' ');
        }
    }

    std::vector<Line> lines_;
};

}  // namespace

std::optional<Config> parse_config(std::string_view yaml, const Origin& where, Problems& problems) {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (yaml.starts_with(byte_order_mark)) yaml.remove_prefix(byte_order_mark.size());
    Builder builder(yaml, where, problems);
    try {
        if (yaml.size() > most_bytes) throw Refused{where, fmt::format("longer than {} bytes", most_bytes)};
        if (yaml.find('\0') != std::string_view::npos)
            throw Refused{where, "holds a zero byte, expected YAML text"};
        std::istringstream stream{std::string(yaml)};
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
        return builder.result();
    } catch (const YAML::Exception& error) {
        problems.add(builder.origin(error.mark), fmt::format("cannot be read as YAML: {}", error.msg));
    } catch (const Refused& refused) {
        problems.add(refused.where, refused.reason);
    }
    return std::nullopt;
}

std::string to_flow_yaml(const Config& config) {
    std::string text;
    const auto separated = [&text](const auto& range, const auto& one) {
        for (const auto& each : range) text += (&each == &range.front() ? "" : ", ") + one(each);
    };
    switch (config.kind) {
        case Config::Kind::list:
            separated(config.items, [](const Config& item) { return to_flow_yaml(item); });
            return "[" + text + "]";
        case Config::Kind::map:
            separated(config.entries, [](const auto& entry) {
                return key_text(entry.key) + ": " + to_flow_yaml(entry.value);
            });
            return "{" + text + "}";
        default:
            return scalar_text(config);
    }
}

std::string to_yaml(const Config& config) {
    Writer writer;
    writer.write(config, 0, "");
    std::string text;
    for (const auto& line : writer.lines()) text += line.text + "\n";
    return text;
}

std::string to_yaml_with_origins(const Config& config) {
    constexpr std::size_t widest = 60;
    Writer writer;
    writer.write(config, 0, "");
    std::size_t width = 0;
    for (const auto& line : writer.lines()) width = std::max(width, std::min(widest, line.text.size()));
    std::string text;
    for (const auto& line : writer.lines())
        text += line.origin.empty() ? line.text + "\n"
                                    : fmt::format("{:<{}}  # {}\n", line.text, width, line.origin);
    return text;
}

}  // namespace jlcm
