#include "core/text/jinja/value.hpp"

#include "core/text/jinja/python_text.hpp"
#include "core/text/utf8.hpp"

#include <algorithm>
#include <array>

namespace jlcm::jinja {
namespace {

/// Bytes that a value costs beside its text.
constexpr std::size_t value_bytes = 32;

/// Why a value cannot be printed or compared, and what to do.
[[noreturn]] void refuse_value(const Value& value, std::string_view verb) {
    if (value.is_undefined()) refuse("{}", value.undefined_because());
    if (value.safe_text() != nullptr)
        refuse("what | safe makes can be printed, and nothing else is implemented");
    if (const Object* object = value.object()) refuse("{} cannot be {}", object->kind(), verb);
    refuse("a value of the type {} cannot be {}; | list makes a list of it", value.type(), verb);
}

std::string joined(const std::vector<Value>& items, Budget& budget) {
    std::string result;
    for (const Value& item : items) {
        if (!result.empty()) result += ", ";
        result += representation(item, budget);
    }
    return result;
}

std::string sequence_text(const Value& value, Budget& budget) {
    const Sequence& sequence = *value.sequence();
    const std::string inside = sequence.kind == SequenceKind::list || sequence.kind == SequenceKind::tuple
                                   ? joined(sequence.items, budget)
                                   : "";
    if (sequence.kind == SequenceKind::list) return fmt::format("[{}]", inside);
    if (sequence.kind != SequenceKind::tuple) refuse_value(value, "printed");
    return fmt::format("({}{})", inside, sequence.items.size() == 1 ? "," : "");
}

std::string mapping_text(const Mapping& mapping, Budget& budget) {
    std::string inside;
    for (const auto& [key, item] : mapping.items) {
        if (!inside.empty()) inside += ", ";
        inside += python::quoted(key) + ": " + representation(item, budget);
    }
    return fmt::format("{{{}}}", inside);
}

/// One json.dumps().
class JsonWriter {
  public:
    JsonWriter(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

    void write(const Value& value, int level) {
        budget_.charge(value_bytes);
        if (value.is_none()) {
            out_ += "null";
        } else if (value.is_bool()) {
            out_ += value.boolean() ? "true" : "false";
        } else if (value.is_whole()) {
            out_ += std::to_string(value.whole());
        } else if (value.is_float()) {
            const std::string digits = python::repr(value.number());
            out_ += digits == "nan"    ? "NaN"
                    : digits == "inf"  ? "Infinity"
                    : digits == "-inf" ? "-Infinity"
                                       : digits;
        } else if (value.is_text()) {
            text(value.text());
        } else if (const Mapping* mapping = value.mapping()) {
            object(*mapping, level);
        } else if (const Sequence* items = value.sequence();
                   items != nullptr &&
                   (items->kind == SequenceKind::list || items->kind == SequenceKind::tuple)) {
            group('[', ']', items->items, level, [&](const Value& item) { write(item, level + 1); });
        } else {
            refuse_value(value, "written as JSON");
        }
    }
    [[nodiscard]] std::string take() { return std::move(out_); }

  private:
    void object(const Mapping& mapping, int level) {
        auto items = mapping.items;
        if (style_.sort_keys)
            std::ranges::stable_sort(items, [](const auto& a, const auto& b) { return a.first < b.first; });
        group('{', '}', items, level, [&](const auto& item) {
            text(item.first);
            out_ += style_.key_separator;
            write(item.second, level + 1);
        });
    }

    template <class Items, class Write>
    void group(char open, char close, const Items& items, int level, const Write& write_item) {
        out_ += open;
        bool first = true;
        for (const auto& item : items) {
            if (!first) out_ += style_.item_separator;
            first = false;
            line(level + 1);
            write_item(item);
        }
        if (!items.empty()) line(level);
        out_ += close;
    }

    void line(int level) {
        if (!style_.multiline) return;
        budget_.charge(style_.indent.size() * static_cast<std::size_t>(level));
        out_ += '\n';
        for (int i = 0; i < level; ++i) out_ += style_.indent;
    }

    void text(std::string_view text) {
        budget_.charge(text.size());
        out_ += '"';
        for (const std::string_view each : python::characters(text)) {
            const auto point = static_cast<std::uint32_t>(first_code_point(each));
            if (point == '"' || point == '\\') {
                (out_ += '\\') += each;
            } else if (const auto place = std::string_view("\n\r\t\f\b").find(each[0]);
                       place != std::string_view::npos) {
                (out_ += '\\') += "nrtfb"[place];
            } else if (point < 0x20 || (style_.ascii && point > 0x7E && point < 0x10000)) {
                out_ += fmt::format("\\u{:04x}", point);
            } else if (style_.ascii && point >= 0x10000) {
                const std::uint32_t rest = point - 0x10000;
                out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + (rest >> 10U), 0xDC00U + (rest & 0x3FFU));
            } else {
                out_ += each;
            }
        }
        out_ += '"';
    }

    const JsonStyle& style_;
    Budget& budget_;
    std::string out_;
};

/// The first difference decides; a list that ends is less.
bool less_items(const std::vector<Value>& a, const std::vector<Value>& b, Budget& budget) {
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        if (!equal(a[i], b[i], budget)) return less(a[i], b[i], budget);
    return a.size() < b.size();
}

bool equal_items(const std::vector<Value>& a, const std::vector<Value>& b, Budget& budget) {
    return std::ranges::equal(a, b, [&](const Value& x, const Value& y) { return equal(x, y, budget); });
}

bool equal_mappings(const Mapping& a, const Mapping& b, Budget& budget) {
    return a.items.size() == b.items.size() && std::ranges::all_of(a.items, [&](const auto& item) {
               const Value* other = b.find(item.first);
               return other != nullptr && equal(item.second, *other, budget);
           });
}

int deeper(int depth) {
    if (depth >= deepest_value) refuse("values are nested more than {} deep", deepest_value);
    return depth + 1;
}

}  // namespace

std::int64_t Value::whole() const {
    return is_bool() ? static_cast<std::int64_t>(boolean()) : std::get<std::int64_t>(data_);
}

double Value::number() const {
    return is_float() ? std::get<double>(data_) : static_cast<double>(whole());
}

bool Value::truth() const {
    if (is_undefined() || is_none()) return false;
    if (is_number()) return number() != 0;
    if (is_text()) return !text().empty();
    if (const std::string* safe = safe_text()) return !safe->empty();
    if (const Sequence* items = sequence())
        return items->kind == SequenceKind::iterator || !items->items.empty();
    if (const Mapping* items = mapping()) return !items->items.empty();
    return true;
}

std::string Value::type() const {
    if (is_undefined()) return "Undefined";
    if (is_none()) return "NoneType";
    if (is_bool()) return "bool";
    if (is_float()) return "float";
    if (is_whole()) return "int";
    if (is_text()) return "str";
    if (safe_text() != nullptr) return "Markup";
    if (mapping() != nullptr) return "dict";
    if (const Sequence* items = sequence()) {
        constexpr std::array names{"list", "tuple", "range", "dict view", "generator"};
        return names[static_cast<std::size_t>(items->kind)];
    }
    return std::string(object()->kind());
}

int Value::depth() const {
    if (const Sequence* items = sequence()) return items->depth;
    if (const Mapping* items = mapping()) return items->depth;
    if (const Object* thing = object()) return thing->depth();
    return 0;
}

const Value* Mapping::find(std::string_view key) const {
    const auto found =
        std::ranges::find(items, key, [](const auto& item) -> std::string_view { return item.first; });
    return found == items.end() ? nullptr : &found->second;
}

void Mapping::set(const std::string& key, Value value) {
    const auto found =
        std::ranges::find(items, key, [](const auto& item) -> const std::string& { return item.first; });
    if (found != items.end()) {
        found->second = std::move(value);
    } else {
        items.emplace_back(key, std::move(value));
    }
}

Value undefined(std::string because) {
    return Value(Undefined{std::make_shared<const std::string>(std::move(because))});
}

Value make_sequence(std::vector<Value> items, SequenceKind kind, Budget& budget) {
    budget.charge((items.size() + 1) * value_bytes);
    int depth = 0;
    for (const Value& item : items) depth = std::max(depth, item.depth());
    return Value(std::make_shared<const Sequence>(Sequence{kind, std::move(items), deeper(depth)}));
}

Value make_mapping(Mapping items, Budget& budget) {
    budget.charge(value_bytes);
    int depth = 0;
    for (const auto& [key, item] : items.items) {
        budget.charge(2 * value_bytes + key.size());
        depth = std::max(depth, item.depth());
    }
    items.depth = deeper(depth);
    return Value(std::make_shared<const Mapping>(std::move(items)));
}

Value make_text(std::string text, Budget& budget) {
    budget.charge(value_bytes + text.size());
    return Value(std::move(text));
}

Value from_json(const nlohmann::ordered_json& json, Budget& budget) {
    switch (json.type()) {
        case nlohmann::json::value_t::boolean:
            return Value(json.get<bool>());
        case nlohmann::json::value_t::number_integer:
        case nlohmann::json::value_t::number_unsigned:
            if (json.is_number_unsigned() &&
                !std::in_range<std::int64_t>(json.get_ref<const std::uint64_t&>()))
                refuse("the number {} is too large", json.dump());
            return Value(json.get<std::int64_t>());
        case nlohmann::json::value_t::number_float:
            return Value(json.get<double>());
        case nlohmann::json::value_t::string:
            return make_text(valid_utf8(json.get_ref<const std::string&>()), budget);
        case nlohmann::json::value_t::array: {
            std::vector<Value> items;
            for (const auto& item : json) items.push_back(from_json(item, budget));
            return make_sequence(std::move(items), SequenceKind::list, budget);
        }
        case nlohmann::json::value_t::object: {
            Mapping items;
            for (const auto& [key, item] : json.items())
                items.items.emplace_back(valid_utf8(key), from_json(item, budget));
            return make_mapping(std::move(items), budget);
        }
        default:
            return {};
    }
}

std::string to_text(const Value& value, Budget& budget) {
    if (value.is_text()) {
        budget.charge(value.text().size());
        return value.text();
    }
    if (value.is_undefined()) return "";
    if (const std::string* safe = value.safe_text()) return *safe;
    return representation(value, budget);
}

std::string representation(const Value& value, Budget& budget) {
    budget.charge(value_bytes);
    if (value.is_undefined()) return "Undefined";
    if (value.is_none()) return "None";
    if (value.is_bool()) return value.boolean() ? "True" : "False";
    if (value.is_whole()) return std::to_string(value.whole());
    if (value.is_float()) return python::repr(value.number());
    if (value.is_text()) {
        budget.charge(value.text().size());
        return python::quoted(value.text());
    }
    if (value.sequence() != nullptr) return sequence_text(value, budget);
    if (const Mapping* mapping = value.mapping()) return mapping_text(*mapping, budget);
    refuse_value(value, "printed");
}

std::string to_json(const Value& value, const JsonStyle& style, Budget& budget) {
    JsonWriter writer(style, budget);
    writer.write(value, 0);
    return writer.take();
}

bool equal(const Value& value, const Value& other, Budget& budget) {
    budget.charge(value_bytes);
    if (value.safe_text() != nullptr || other.safe_text() != nullptr)
        refuse_value(value.safe_text() != nullptr ? value : other, "compared");
    if (value.is_number() && other.is_number()) {
        if (value.is_whole() && other.is_whole()) return value.whole() == other.whole();
        return value.number() == other.number();
    }
    if (value.is_text() && other.is_text()) {
        budget.charge(value.text().size());
        return value.text() == other.text();
    }
    if (const auto *a = value.sequence(), *b = other.sequence(); a != nullptr && b != nullptr) {
        if (a->kind == SequenceKind::iterator || b->kind == SequenceKind::iterator) return a == b;
        if (a->kind == SequenceKind::view || b->kind == SequenceKind::view)
            refuse_value(a->kind == SequenceKind::view ? value : other, "compared");
        return a->kind == b->kind && equal_items(a->items, b->items, budget);
    }
    if (const auto *a = value.mapping(), *b = other.mapping(); a != nullptr && b != nullptr)
        return equal_mappings(*a, *b, budget);
    if (value.object() != nullptr || other.object() != nullptr) return value.object() == other.object();
    return (value.is_none() && other.is_none()) || (value.is_undefined() && other.is_undefined());
}

bool less(const Value& value, const Value& other, Budget& budget) {
    budget.charge(value_bytes);
    for (const Value* each : {&value, &other})
        if (each->is_undefined()) refuse("{}", each->undefined_because());
    if (value.is_number() && other.is_number()) {
        if (value.is_whole() && other.is_whole()) return value.whole() < other.whole();
        return value.number() < other.number();
    }
    // Code points and the bytes of UTF-8 have one order.
    if (value.is_text() && other.is_text()) return value.text() < other.text();
    const auto *a = value.sequence(), *b = other.sequence();
    const auto orders = [](const Sequence* items) {
        return items != nullptr && (items->kind == SequenceKind::list || items->kind == SequenceKind::tuple);
    };
    if (orders(a) && orders(b) && a->kind == b->kind) return less_items(a->items, b->items, budget);
    refuse("values of the types {} and {} have no order", value.type(), other.type());
}

bool contains(const Value& container, const Value& item, Budget& budget) {
    if (container.is_text()) {
        if (item.is_undefined()) refuse("{}", item.undefined_because());
        if (!item.is_text()) refuse("a value of the type {} cannot be in a text", item.type());
        budget.charge(container.text().size());
        return container.text().find(item.text()) != std::string::npos;
    }
    if (const Mapping* mapping = container.mapping()) {
        if (item.sequence() != nullptr || item.mapping() != nullptr)
            refuse("a value of the type {} cannot be a key", item.type());
        budget.charge(mapping->items.size());
        return item.is_text() && mapping->find(item.text()) != nullptr;
    }
    const auto items = items_of(container, budget);
    return std::ranges::any_of(items, [&](const Value& each) { return equal(each, item, budget); });
}

std::vector<Value> items_of(const Value& value, Budget& budget) {
    if (value.is_undefined()) return {};
    if (const Sequence* items = value.sequence()) {
        if (items->kind == SequenceKind::iterator) {
            if (items->is_read)
                refuse("a generator is read twice, and has nothing left; | list keeps what it gives");
            items->is_read = true;
        }
        budget.charge(items->items.size() * value_bytes);
        return items->items;
    }
    std::vector<Value> result;
    if (value.is_text()) {
        for (const std::string_view each : python::characters(value.text()))
            result.push_back(make_text(std::string(each), budget));
        return result;
    }
    if (const Mapping* mapping = value.mapping()) {
        for (const auto& [key, item] : mapping->items) result.push_back(make_text(key, budget));
        return result;
    }
    refuse("a value of the type {} has no items", value.type());
}

std::int64_t length_of(const Value& value) {
    if (value.is_undefined()) return 0;
    if (value.is_text()) return python::length(value.text());
    if (const Mapping* mapping = value.mapping()) return std::ssize(mapping->items);
    if (const Sequence* items = value.sequence(); items != nullptr && items->kind != SequenceKind::iterator)
        return std::ssize(items->items);
    refuse("a value of the type {} has no length", value.type());
}

}  // namespace jlcm::jinja
