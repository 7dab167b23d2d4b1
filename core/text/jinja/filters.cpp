// Filters: jinja2/filters.py, and transformers' own tojson.

#include "core/text/jinja/builtins.hpp"
#include "core/text/jinja/python_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

namespace jlcm::jinja {
namespace {

using Filter = Value (*)(const Value&, const Call&, Budget&);

std::optional<std::string_view> optional_text(const Value* value, std::string_view what) {
    if (value == nullptr || value->is_none()) return std::nullopt;
    if (!value->is_text()) refuse("{} must be a text, not {}", what, value->type());
    return value->text();
}

std::int64_t whole_or(const Value* value, std::int64_t otherwise, std::string_view what) {
    if (value == nullptr) return otherwise;
    if (!value->is_whole()) refuse("{} must be a whole number, not {}", what, value->type());
    return value->whole();
}

bool flag_or(const Value* value, bool otherwise) {
    return value == nullptr ? otherwise : value->truth();
}

/// value.a.b for "a.b", where numbers are indices; undefined stays so.
Value path_of(Value value, const Value& path, Budget& budget) {
    if (path.is_whole()) return item_of(value, path, budget);
    if (!path.is_text()) refuse("the name of an attribute must be a text, not {}", path.type());
    for (const std::string& part : python::split(path.text(), ".", -1, python::Side::left)) {
        std::int64_t index = 0;
        const auto read = std::from_chars(part.data(), part.data() + part.size(), index);
        const bool is_index = read.ec == std::errc{} && read.ptr == part.data() + part.size() && index >= 0;
        value = item_of(value, is_index ? Value(index) : make_text(part, budget), budget);
    }
    return value;
}

std::string soft(const Value& value, Budget& budget) {
    return to_text(value, budget);
}

Value text_result(std::string text, Budget& budget) {
    return make_text(std::move(text), budget);
}

Value filter_trim(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"chars"});
    return text_result(
        std::string(python::strip(soft(value, budget), optional_text(given[0], "chars"), python::Side::both)),
        budget);
}

template <std::string (*change)(std::string_view)>
Value filter_cased(const Value& value, const Call& call, Budget& budget) {
    (void)call.bind({});
    return text_result(change(soft(value, budget)), budget);
}

/// jinja2's title: words begin behind white space, hyphens and opening brackets.
std::string title_words(std::string_view text) {
    std::string result;
    bool begins = true;
    for (const std::string_view each : python::characters(text)) {
        result += begins ? python::upper(each) : python::lower(each);
        begins = python::strip(each, std::nullopt, python::Side::both).empty() ||
                 std::string_view("-({[<").find(each) != std::string_view::npos;
    }
    return result;
}

Value filter_length(const Value& value, const Call& call, Budget& /*budget*/) {
    (void)call.bind({});
    return Value(length_of(value));
}

Value filter_default(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"default_value", "boolean"});
    if (!value.is_undefined() && (value.truth() || !flag_or(given[1], false))) return value;
    return given[0] == nullptr ? text_result("", budget) : *given[0];
}

Value filter_join(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"d", "attribute"});
    const std::string between = given[0] == nullptr ? "" : soft(*given[0], budget);
    std::string result;
    bool first = true;
    for (const Value& item : items_of(value, budget)) {
        if (!first) result += between;
        first = false;
        const bool is_whole_item = given[1] == nullptr || given[1]->is_none();
        result += soft(is_whole_item ? item : path_of(item, *given[1], budget), budget);
        budget.charge(between.size());
    }
    return text_result(std::move(result), budget);
}

Value filter_tojson(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"ensure_ascii", "indent", "separators", "sort_keys"});
    JsonStyle style;
    style.ascii = flag_or(given[0], false);
    style.sort_keys = flag_or(given[3], false);
    if (given[1] != nullptr && !given[1]->is_none()) {
        style.multiline = true;
        style.item_separator = ",";
        if (given[1]->is_text()) {
            style.indent = given[1]->text();
        } else {
            const std::int64_t width = whole_or(given[1], 0, "indent");
            if (width > 64) refuse("an indent of {} is too wide", width);
            style.indent.assign(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
        }
    }
    if (given[2] != nullptr && !given[2]->is_none()) {
        const auto separators = items_of(*given[2], budget);
        if (separators.size() != 2 || !separators[0].is_text() || !separators[1].is_text())
            refuse("separators must be two texts");
        style.item_separator = separators[0].text();
        style.key_separator = separators[1].text();
    }
    return text_result(to_json(value, style, budget), budget);
}

Value filter_replace(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"old", "new", "count"});
    if (given[0] == nullptr || given[1] == nullptr) refuse("replace needs an old and a new text");
    const std::int64_t most =
        given[2] == nullptr || given[2]->is_none() ? -1 : whole_or(given[2], -1, "count");
    const std::string text = soft(value, budget);
    const std::string by = soft(*given[1], budget);
    // Before it is made: as if every character were replaced.
    budget.charge((text.size() + 1) * by.size() / std::max<std::size_t>(soft(*given[0], budget).size(), 1));
    return text_result(python::replace(text, soft(*given[0], budget), by, most), budget);
}

Value filter_first(const Value& value, const Call& call, Budget& budget) {
    (void)call.bind({});
    const auto items = items_of(value, budget);
    return items.empty() ? undefined("there is no first item: the sequence is empty") : items.front();
}

Value filter_last(const Value& value, const Call& call, Budget& budget) {
    (void)call.bind({});
    if (const Sequence* items = value.sequence(); items != nullptr && items->kind == SequenceKind::iterator)
        refuse("a generator has no last item; | list makes a list of it");
    const auto items = items_of(value, budget);
    return items.empty() ? undefined("there is no last item: the sequence is empty") : items.back();
}

Value filter_list(const Value& value, const Call& call, Budget& budget) {
    (void)call.bind({});
    return make_sequence(items_of(value, budget), SequenceKind::list, budget);
}

Value filter_items(const Value& value, const Call& call, Budget& budget) {
    (void)call.bind({});
    std::vector<Value> pairs;
    if (const Mapping* mapping = value.mapping()) {
        for (const auto& [key, item] : mapping->items)
            pairs.push_back(make_sequence({make_text(key, budget), item}, SequenceKind::tuple, budget));
    } else if (!value.is_undefined()) {
        refuse("items is for mappings, not for {}", value.type());
    }
    return make_sequence(std::move(pairs), SequenceKind::iterator, budget);
}

Value filter_string(const Value& value, const Call& call, Budget& budget) {
    (void)call.bind({});
    return text_result(soft(value, budget), budget);
}

Value filter_safe(const Value& value, const Call& call, Budget& budget) {
    (void)call.bind({});
    return Value(SafeText{std::make_shared<const std::string>(soft(value, budget))});
}

/// Python's float(text); nothing where that is no number.
std::optional<double> float_of(std::string_view text) {
    text = python::strip(text, std::nullopt, python::Side::both);
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::int64_t> whole_of(double value) {
    if (!std::isfinite(value) || std::abs(value) >= 0x1p63) return std::nullopt;
    return static_cast<std::int64_t>(value);
}

/// Python's int(text, base).
std::optional<std::int64_t> whole_of(std::string_view text, int base) {
    text = python::strip(text, std::nullopt, python::Side::both);
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Value filter_int(const Value& value, const Call& call, Budget& /*budget*/) {
    const auto given = call.bind({"default", "base"});
    if (value.is_undefined()) refuse("{}", value.undefined_because());
    const std::int64_t base = whole_or(given[1], 10, "base");
    if (base < 2 || base > 36) refuse("the base {} is not implemented", base);
    std::optional<std::int64_t> number;
    if (value.is_whole()) number = value.whole();
    if (value.is_float()) number = whole_of(value.number());
    if (value.is_text()) {
        number = whole_of(value.text(), static_cast<int>(base));
        if (!number)
            if (const auto real = float_of(value.text())) number = whole_of(*real);
    }
    if (number) return Value(*number);
    return given[0] == nullptr ? Value(std::int64_t{0}) : *given[0];
}

Value filter_float(const Value& value, const Call& call, Budget& /*budget*/) {
    const auto given = call.bind({"default"});
    if (value.is_undefined()) refuse("{}", value.undefined_because());
    if (value.is_number()) return Value(value.number());
    if (value.is_text())
        if (const auto number = float_of(value.text())) return Value(*number);
    return given[0] == nullptr ? Value(0.0) : *given[0];
}

Value filter_abs(const Value& value, const Call& call, Budget& /*budget*/) {
    (void)call.bind({});
    if (value.is_float()) return Value(std::abs(value.number()));
    if (!value.is_whole() || value.whole() == std::numeric_limits<std::int64_t>::min())
        refuse("a value of the type {} has no absolute value", value.type());
    return Value(std::abs(value.whole()));
}

Value filter_round(const Value& value, const Call& call, Budget& /*budget*/) {
    const auto given = call.bind({"precision", "method"});
    if (!value.is_number()) refuse("a value of the type {} cannot be rounded", value.type());
    if (whole_or(given[0], 0, "precision") != 0)
        refuse("round to digits behind the point is not implemented");
    const auto method = optional_text(given[1], "method").value_or("common");
    const double number = value.number();
    if (method == "ceil") return Value(std::ceil(number));
    if (method == "floor") return Value(std::floor(number));
    if (method != "common") refuse("the method of round is common, ceil or floor, not '{}'", method);
    return value.is_whole() ? value : Value(std::nearbyint(number));
}

/// What sort, min, max and unique compare: the attribute, in lower case unless that counts.
Value key_of(const Value& item, const Value* attribute, bool with_case, Budget& budget) {
    Value key = attribute == nullptr || attribute->is_none() ? item : path_of(item, *attribute, budget);
    return key.is_text() && !with_case ? make_text(python::lower(key.text()), budget) : key;
}

using Keyed = std::vector<std::pair<Value, Value>>;

Keyed keyed(const Value& value, const Value* attribute, bool with_case, Budget& budget) {
    Keyed result;
    for (const Value& item : items_of(value, budget))
        result.emplace_back(key_of(item, attribute, with_case, budget), item);
    return result;
}

/// A list of the items in the order of their keys.
Value sorted(Keyed items, bool reverse, Budget& budget) {
    std::ranges::stable_sort(items, [&](const auto& a, const auto& b) {
        return reverse ? less(b.first, a.first, budget) : less(a.first, b.first, budget);
    });
    std::vector<Value> result;
    for (auto& [key, item] : items) result.push_back(std::move(item));
    return make_sequence(std::move(result), SequenceKind::list, budget);
}

Value filter_sort(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"reverse", "case_sensitive", "attribute"});
    Keyed items = keyed(value, given[2], flag_or(given[1], false), budget);
    return sorted(std::move(items), flag_or(given[0], false), budget);
}

template <bool largest>
Value filter_extreme(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"case_sensitive", "attribute"});
    const Keyed items = keyed(value, given[1], flag_or(given[0], false), budget);
    if (items.empty()) return undefined("there is no item: the sequence is empty");
    const auto* best = &items.front();
    for (const auto& each : items)
        if (largest ? less(best->first, each.first, budget) : less(each.first, best->first, budget))
            best = &each;
    return best->second;
}

Value filter_unique(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"case_sensitive", "attribute"});
    Keyed kept;
    for (auto& each : keyed(value, given[1], flag_or(given[0], false), budget))
        if (std::ranges::none_of(kept, [&](const auto& one) { return equal(one.first, each.first, budget); }))
            kept.push_back(std::move(each));
    std::vector<Value> items;
    for (auto& [key, item] : kept) items.push_back(std::move(item));
    return make_sequence(std::move(items), SequenceKind::iterator, budget);
}

Value filter_reverse(const Value& value, const Call& call, Budget& budget) {
    (void)call.bind({});
    auto items = items_of(value, budget);
    std::ranges::reverse(items);
    if (!value.is_text()) return make_sequence(std::move(items), SequenceKind::iterator, budget);
    std::string text;
    for (const Value& item : items) text += item.text();
    return text_result(std::move(text), budget);
}

Value filter_dictsort(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"case_sensitive", "by", "reverse"});
    if (value.mapping() == nullptr) refuse("dictsort is for mappings, not for {}", value.type());
    const auto by = optional_text(given[1], "by").value_or("key");
    if (by != "key" && by != "value") refuse("dictsort is by key or value, not by '{}'", by);
    Keyed items;
    for (const auto& [key, item] : value.mapping()->items) {
        const Value name = make_text(key, budget);
        items.emplace_back(key_of(by == "key" ? name : item, nullptr, flag_or(given[0], false), budget),
                           make_sequence({name, item}, SequenceKind::tuple, budget));
    }
    return sorted(std::move(items), flag_or(given[2], false), budget);
}

Value filter_indent(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"width", "first", "blank"});
    if (!value.is_text()) refuse("indent is for texts, not for {}", value.type());
    std::string pad;
    if (given[0] != nullptr && given[0]->is_text()) {
        pad = given[0]->text();
    } else {
        const std::int64_t width = whole_or(given[0], 4, "width");
        if (width > 256) refuse("an indent of {} is too wide", width);
        pad.assign(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
    }
    const bool blank = flag_or(given[2], false);
    std::string result = flag_or(given[1], false) ? pad : "";
    // A newline at the end has an empty line behind it.
    const auto lines = python::split_lines(soft(value, budget) + "\n", false);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        budget.charge(pad.size() + 1);
        if (i > 0) result += '\n';
        if (i > 0 && (blank || !lines[i].empty())) result += pad;
        result += lines[i];
    }
    return text_result(std::move(result), budget);
}

Value filter_attr(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"name"});
    if (given[0] == nullptr || !given[0]->is_text()) refuse("attr needs the name of an attribute");
    // Of a mapping these are its methods; its items are not attributes.
    if (value.mapping() != nullptr)
        return undefined(fmt::format("a mapping has no attribute '{}'", given[0]->text()));
    return attribute_of(value, given[0]->text(), budget);
}

Value filter_sum(const Value& value, const Call& call, Budget& budget) {
    const auto given = call.bind({"attribute", "start"});
    double real = given[1] == nullptr ? 0 : given[1]->is_number() ? given[1]->number() : 0;
    std::int64_t whole =
        whole_or(given[1] != nullptr && given[1]->is_whole() ? given[1] : nullptr, 0, "start");
    bool is_float = given[1] != nullptr && given[1]->is_float();
    for (const Value& item : items_of(value, budget)) {
        const Value number =
            given[0] == nullptr || given[0]->is_none() ? item : path_of(item, *given[0], budget);
        if (!number.is_number()) refuse("a value of the type {} cannot be added up", number.type());
        is_float = is_float || number.is_float();
        real += number.number();
        if (number.is_whole() && __builtin_add_overflow(whole, number.whole(), &whole))
            refuse("the sum is too large");
    }
    return is_float ? Value(real) : Value(whole);
}

/// The items that map, select and their like look at: of what is not true there are none.
std::vector<Value> looked_at(const Value& value, Budget& budget) {
    return value.truth() ? items_of(value, budget) : std::vector<Value>();
}

/// The name at the front of a call's arguments, and the call of what is behind it.
std::pair<std::string, Call> named_call(const Call& call, std::size_t skipped, std::string_view otherwise) {
    if (call.positional.size() <= skipped) return {std::string(otherwise), {}};
    const Value& name = call.positional[skipped];
    if (!name.is_text()) refuse("{} needs a name, not {}", call.name, name.type());
    Call rest{name.text(),
              {call.positional.begin() + static_cast<std::ptrdiff_t>(skipped) + 1, call.positional.end()},
              call.named};
    return {name.text(), std::move(rest)};
}

Value filter_map(const Value& value, const Call& call, Budget& budget) {
    std::vector<Value> items;
    if (call.positional.empty()) {
        const auto given = call.bind({"attribute", "default"});
        if (given[0] == nullptr) refuse("map needs a filter or an attribute");
        for (const Value& item : looked_at(value, budget)) {
            const Value found = path_of(item, *given[0], budget);
            items.push_back(found.is_undefined() && given[1] != nullptr ? *given[1] : found);
        }
    } else {
        const auto [name, rest] = named_call(call, 0, "");
        if (!is_filter(name)) refuse("the filter '{}' is not implemented", name);
        for (const Value& item : looked_at(value, budget))
            items.push_back(apply_filter(name, item, rest, budget));
    }
    return make_sequence(std::move(items), SequenceKind::iterator, budget);
}

template <bool wanted, bool by_attribute>
Value filter_select(const Value& value, const Call& call, Budget& budget) {
    const std::size_t first = by_attribute ? 1 : 0;
    if (call.positional.size() < first) refuse("{} needs the name of an attribute", call.name);
    const auto [name, rest] = named_call(call, first, "");
    if (!name.empty() && !is_test(name)) refuse("the test '{}' is not implemented", name);
    std::vector<Value> items;
    for (const Value& item : looked_at(value, budget)) {
        const Value tested = by_attribute ? path_of(item, call.positional[0], budget) : item;
        if ((name.empty() ? tested.truth() : apply_test(name, tested, rest, budget)) == wanted)
            items.push_back(item);
    }
    return make_sequence(std::move(items), SequenceKind::iterator, budget);
}

const std::map<std::string_view, Filter>& filters() {
    static const std::map<std::string_view, Filter> table{
        {"abs", filter_abs},
        {"attr", filter_attr},
        {"capitalize", filter_cased<python::capitalize>},
        {"count", filter_length},
        {"d", filter_default},
        {"default", filter_default},
        {"dictsort", filter_dictsort},
        {"first", filter_first},
        {"float", filter_float},
        {"indent", filter_indent},
        {"int", filter_int},
        {"items", filter_items},
        {"join", filter_join},
        {"last", filter_last},
        {"length", filter_length},
        {"list", filter_list},
        {"lower", filter_cased<python::lower>},
        {"map", filter_map},
        {"max", filter_extreme<true>},
        {"min", filter_extreme<false>},
        {"reject", filter_select<false, false>},
        {"rejectattr", filter_select<false, true>},
        {"replace", filter_replace},
        {"reverse", filter_reverse},
        {"round", filter_round},
        {"safe", filter_safe},
        {"select", filter_select<true, false>},
        {"selectattr", filter_select<true, true>},
        {"sort", filter_sort},
        {"string", filter_string},
        {"sum", filter_sum},
        {"title", filter_cased<title_words>},
        {"tojson", filter_tojson},
        {"trim", filter_trim},
        {"unique", filter_unique},
        {"upper", filter_cased<python::upper>},
    };
    return table;
}

}  // namespace

std::vector<const Value*> Call::bind(std::initializer_list<std::string_view> parameters) const {
    if (positional.size() > parameters.size())
        refuse("{} takes at most {} arguments, not {}", name, parameters.size(), positional.size());
    std::vector<const Value*> bound;
    for (const Value& value : positional) bound.push_back(&value);
    bound.resize(parameters.size());
    for (const auto& [key, value] : named) {
        const auto place = static_cast<std::size_t>(std::ranges::find(parameters, key) - parameters.begin());
        if (place == parameters.size()) refuse("{} takes no argument '{}'", name, key);
        if (bound[place] != nullptr) refuse("{} is given its argument '{}' twice", name, key);
        bound[place] = &value;
    }
    return bound;
}

bool is_filter(std::string_view name) {
    return filters().contains(name);
}

Value apply_filter(std::string_view name, const Value& value, const Call& call, Budget& budget) {
    budget.charge(16);
    if (value.safe_text() != nullptr)
        refuse("what | safe makes can be printed, and nothing else is implemented");
    return filters().at(name)(value, call, budget);
}

}  // namespace jlcm::jinja
