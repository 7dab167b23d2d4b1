// Attributes, items and methods of values: jinja2's environment over Python's str, list and dict, as the
// immutable sandbox lets templates see them.

#include "core/text/jinja/builtins.hpp"
#include "core/text/jinja/python_text.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

namespace jlcm::jinja {
namespace {

using Body = Value (*)(const Value&, const Call&, Budget&);
using Methods = std::map<std::string_view, Body>;

const std::string& text_at(const Call& call, std::size_t place, std::string_view what) {
    if (call.positional.size() <= place || !call.positional[place].is_text())
        refuse("{} needs {} as a text", call.name, what);
    return call.positional[place].text();
}

std::optional<std::string_view> text_or_none(const Value* value, std::string_view what) {
    if (value == nullptr || value->is_none()) return std::nullopt;
    if (!value->is_text()) refuse("{} must be a text, not {}", what, value->type());
    return value->text();
}

std::int64_t count_or(const Value* value, std::int64_t otherwise) {
    if (value == nullptr) return otherwise;
    if (!value->is_whole()) refuse("a count must be a whole number, not {}", value->type());
    return value->whole();
}

Value texts(std::vector<std::string> parts, Budget& budget) {
    std::vector<Value> items;
    for (std::string& part : parts) items.push_back(make_text(std::move(part), budget));
    return make_sequence(std::move(items), SequenceKind::list, budget);
}

template <python::Side side>
Value text_strip(const Value& self, const Call& call, Budget& budget) {
    const auto given = call.bind({"chars"});
    return make_text(std::string(python::strip(self.text(), text_or_none(given[0], "chars"), side)), budget);
}

template <python::Side from>
Value text_split(const Value& self, const Call& call, Budget& budget) {
    const auto given = call.bind({"sep", "maxsplit"});
    budget.charge(self.text().size());
    return texts(python::split(self.text(), text_or_none(given[0], "sep"), count_or(given[1], -1), from),
                 budget);
}

Value text_splitlines(const Value& self, const Call& call, Budget& budget) {
    const auto given = call.bind({"keepends"});
    return texts(python::split_lines(self.text(), given[0] != nullptr && given[0]->truth()), budget);
}

/// startswith and endswith take one text or a tuple of them.
template <bool at_start>
Value text_has(const Value& self, const Call& call, Budget& budget) {
    if (call.positional.size() != 1 || !call.named.empty())
        refuse("{} with a start and an end is not implemented", call.name);
    const Value& given = call.positional.front();
    const auto has = [&](const Value& part) {
        if (!part.is_text()) refuse("{} needs a text, not {}", call.name, part.type());
        budget.charge(part.text().size());
        return at_start ? self.text().starts_with(part.text()) : self.text().ends_with(part.text());
    };
    const Sequence* several = given.sequence();
    if (several != nullptr && several->kind == SequenceKind::tuple)
        return Value(std::ranges::any_of(several->items, has));
    return Value(has(given));
}

Value text_replace(const Value& self, const Call& call, Budget& budget) {
    const auto given = call.bind({"old", "new", "count"});
    const std::string& old = text_at(call, 0, "the old text");
    const std::string& by = text_at(call, 1, "the new text");
    budget.charge((self.text().size() + 1) * by.size() / std::max<std::size_t>(old.size(), 1));
    return make_text(python::replace(self.text(), old, by, count_or(given[2], -1)), budget);
}

template <std::string (*change)(std::string_view)>
Value text_cased(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({});
    budget.charge(self.text().size());
    return make_text(change(self.text()), budget);
}

template <python::Side from>
Value text_find(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({"sub"});
    budget.charge(self.text().size());
    return Value(python::find(self.text(), text_at(call, 0, "the part"), from));
}

Value text_count(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({"sub"});
    const std::string& part = text_at(call, 0, "the part");
    budget.charge(self.text().size());
    if (part.empty()) return Value(python::length(self.text()) + 1);
    return Value(std::ssize(python::split(self.text(), part, -1, python::Side::left)) - 1);
}

Value text_join(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({"iterable"});
    if (call.positional.empty()) refuse("join needs a list of texts");
    std::string result;
    bool first = true;
    for (const Value& item : items_of(call.positional[0], budget)) {
        if (!item.is_text()) refuse("join needs texts, and found a value of the type {}", item.type());
        if (!first) result += self.text();
        first = false;
        result += item.text();
        budget.charge(self.text().size() + item.text().size());
    }
    return make_text(std::move(result), budget);
}

Value text_is(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({});
    budget.charge(self.text().size());
    return Value(python::is_all(self.text(), call.name.substr(2)));
}

template <bool at_start>
Value text_remove(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({"part"});
    const std::string& part = text_at(call, 0, "what is removed");
    std::string_view text = self.text();
    if (at_start && text.starts_with(part)) text.remove_prefix(part.size());
    if (!at_start && text.ends_with(part)) text.remove_suffix(part.size());
    return make_text(std::string(text), budget);
}

Value mapping_get(const Value& self, const Call& call, Budget& /*budget*/) {
    (void)call.bind({"key", "default"});
    if (call.positional.empty()) refuse("get needs a key");
    const Value& key = call.positional[0];
    if (key.sequence() != nullptr || key.mapping() != nullptr)
        refuse("a value of the type {} cannot be a key", key.type());
    const Value* found = key.is_text() ? self.mapping()->find(key.text()) : nullptr;
    if (found != nullptr) return *found;
    return call.positional.size() > 1 ? call.positional[1] : Value();
}

template <bool keys, bool values>
Value mapping_view(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({});
    std::vector<Value> items;
    for (const auto& [key, value] : self.mapping()->items) {
        const Value name = keys ? make_text(key, budget) : Value();
        items.push_back(keys && values ? make_sequence({name, value}, SequenceKind::tuple, budget)
                        : keys         ? name
                                       : value);
    }
    return make_sequence(std::move(items), SequenceKind::view, budget);
}

Value mapping_copy(const Value& self, const Call& call, Budget& /*budget*/) {
    (void)call.bind({});
    return self;
}

Value list_count(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({"value"});
    if (call.positional.empty()) refuse("count needs a value");
    return Value(static_cast<std::int64_t>(std::ranges::count_if(
        self.sequence()->items, [&](const Value& item) { return equal(item, call.positional[0], budget); })));
}

Value list_index(const Value& self, const Call& call, Budget& budget) {
    (void)call.bind({"value"});
    if (call.positional.empty()) refuse("index needs a value");
    const auto& items = self.sequence()->items;
    const auto found = std::ranges::find_if(
        items, [&](const Value& item) { return equal(item, call.positional[0], budget); });
    if (found == items.end()) refuse("index: the value is not in the list");
    return Value(static_cast<std::int64_t>(found - items.begin()));
}

Value loop_cycle(const Value& self, const Call& call, Budget& /*budget*/) {
    if (call.positional.empty()) refuse("cycle needs values");
    return call.positional[self.object_as<Loop>()->index % call.positional.size()];
}

Value loop_changed(const Value& self, const Call& call, Budget& budget) {
    Loop& loop = *self.object_as<Loop>();
    if (loop.is_over) refuse("loop.changed is for the loop's own rounds");
    const bool same = loop.index > 0 && loop.last_given.size() == call.positional.size() &&
                      std::ranges::equal(loop.last_given, call.positional,
                                         [&](const Value& a, const Value& b) { return equal(a, b, budget); });
    loop.last_given = call.positional;
    return Value(!same);
}

const Methods& text_methods() {
    static const Methods table{{"capitalize", text_cased<python::capitalize>},
                               {"count", text_count},
                               {"endswith", text_has<false>},
                               {"find", text_find<python::Side::left>},
                               {"isalnum", text_is},
                               {"isalpha", text_is},
                               {"isdigit", text_is},
                               {"islower", text_is},
                               {"isspace", text_is},
                               {"isupper", text_is},
                               {"join", text_join},
                               {"lower", text_cased<python::lower>},
                               {"lstrip", text_strip<python::Side::left>},
                               {"removeprefix", text_remove<true>},
                               {"removesuffix", text_remove<false>},
                               {"replace", text_replace},
                               {"rfind", text_find<python::Side::right>},
                               {"rsplit", text_split<python::Side::right>},
                               {"rstrip", text_strip<python::Side::right>},
                               {"split", text_split<python::Side::left>},
                               {"splitlines", text_splitlines},
                               {"startswith", text_has<true>},
                               {"strip", text_strip<python::Side::both>},
                               {"title", text_cased<python::title>},
                               {"upper", text_cased<python::upper>}};
    return table;
}
const std::set<std::string_view>& other_text_methods() {
    static const std::set<std::string_view> names{
        "casefold",   "center",   "encode",    "expandtabs",   "format",    "format_map",
        "index",      "isascii",  "isdecimal", "isidentifier", "isnumeric", "isprintable",
        "istitle",    "ljust",    "maketrans", "partition",    "rindex",    "rjust",
        "rpartition", "swapcase", "translate", "zfill"};
    return names;
}

const Methods& mapping_methods() {
    static const Methods table{{"copy", mapping_copy},
                               {"get", mapping_get},
                               {"items", mapping_view<true, true>},
                               {"keys", mapping_view<true, false>},
                               {"values", mapping_view<false, true>}};
    return table;
}

const Methods& list_methods() {
    static const Methods table{{"count", list_count}, {"index", list_index}};
    return table;
}

const Methods& loop_methods() {
    static const Methods table{{"changed", loop_changed}, {"cycle", loop_cycle}};
    return table;
}

/// What changes a list or mapping; the sandbox refuses it.
const std::set<std::string_view>& changing_methods() {
    static const std::set<std::string_view> names{"append",     "clear",   "extend", "insert",
                                                  "pop",        "popitem", "remove", "reverse",
                                                  "setdefault", "sort",    "update", "fromkeys"};
    return names;
}

const Methods* methods_of(const Value& value) {
    if (value.is_text()) return &text_methods();
    if (value.mapping() != nullptr) return &mapping_methods();
    if (value.object_as<Loop>() != nullptr) return &loop_methods();
    const Sequence* items = value.sequence();
    const bool is_list =
        items != nullptr && (items->kind == SequenceKind::list || items->kind == SequenceKind::tuple);
    return is_list ? &list_methods() : nullptr;
}

/// What `getattr` finds; nothing where there is no such attribute.
std::optional<Value> own_attribute(const Value& value, std::string_view name) {
    if (const auto* space = value.object_as<Namespace>()) {
        const Value* found = space->values.find(name);
        return found == nullptr ? std::nullopt : std::optional(*found);
    }
    if (const auto* loop = value.object_as<Loop>()) {
        Value found = loop->attribute(name);
        if (!found.is_undefined()) return found;
    }
    if (name.starts_with("__")) refuse("the attribute '{}' is not open to templates", name);
    const Methods* methods = methods_of(value);
    if (methods == nullptr) return std::nullopt;
    if (const auto method = methods->find(name); method != methods->end())
        return Value(std::shared_ptr<Object>(std::make_shared<Method>(value, method->first)));
    if (value.is_text() && other_text_methods().contains(name))
        refuse("the method '{}' of texts is not implemented", name);
    const bool can_change = value.mapping() != nullptr ||
                            (value.sequence() != nullptr && value.sequence()->kind == SequenceKind::list);
    if (can_change && changing_methods().contains(name) &&
        (value.mapping() == nullptr || value.mapping()->find(name) == nullptr))
        refuse("the method '{}' changes a value, which templates may not do", name);
    return std::nullopt;
}

Value missing(const Value& value, std::string_view name) {
    if (value.mapping() != nullptr) return undefined(fmt::format("a mapping has no item '{}'", name));
    return undefined(fmt::format("a value of the type {} has no attribute '{}'", value.type(), name));
}

/// What value[key] finds; nothing where there is no such item.
std::optional<Value> own_item(const Value& value, const Value& key, Budget& budget) {
    if (const Mapping* mapping = value.mapping()) {
        const Value* found = key.is_text() ? mapping->find(key.text()) : nullptr;
        return found == nullptr ? std::nullopt : std::optional(*found);
    }
    if (!key.is_whole()) return std::nullopt;
    const auto place = [&](std::int64_t size) { return key.whole() < 0 ? key.whole() + size : key.whole(); };
    if (value.is_text()) {
        const std::int64_t size = python::length(value.text());
        budget.charge(value.text().size());
        const std::int64_t at = place(size);
        if (at < 0 || at >= size) return std::nullopt;
        return make_text(std::string(python::characters(value.text())[static_cast<std::size_t>(at)]), budget);
    }
    const Sequence* items = value.sequence();
    if (items == nullptr || items->kind == SequenceKind::view || items->kind == SequenceKind::iterator)
        return std::nullopt;
    const std::int64_t at = place(std::ssize(items->items));
    if (at < 0 || at >= std::ssize(items->items)) return std::nullopt;
    return items->items[static_cast<std::size_t>(at)];
}

}  // namespace

Value attribute_of(const Value& value, const std::string& name, Budget& budget) {
    if (value.is_undefined()) refuse("{}", value.undefined_because());
    if (auto found = own_attribute(value, name)) return *std::move(found);
    if (auto found = own_item(value, make_text(name, budget), budget)) return *std::move(found);
    return missing(value, name);
}

Value item_of(const Value& value, const Value& key, Budget& budget) {
    if (value.is_undefined()) refuse("{}", value.undefined_because());
    if (auto found = own_item(value, key, budget)) return *std::move(found);
    if (key.is_text())
        if (auto found = own_attribute(value, key.text())) return *std::move(found);
    return missing(value, to_text(key, budget));
}

Value Method::operator()(const Call& call, Budget& budget) const {
    return methods_of(self_)->at(name_)(self_, call, budget);
}

Loop::Loop(std::vector<Value> items) : items_(std::move(items)) {
    for (const Value& item : items_) depth_ = std::max(depth_, item.depth() + 1);
    if (depth_ > deepest_value) refuse("values are nested more than {} deep", deepest_value);
}

Value Loop::attribute(std::string_view name) const {
    const auto size = std::ssize(items_);
    const auto at = static_cast<std::int64_t>(index);
    if (name == "index") return Value(at + 1);
    if (name == "index0") return Value(at);
    if (name == "revindex") return Value(size - at);
    if (name == "revindex0") return Value(size - at - 1);
    if (name == "first") return Value(at == 0);
    if (name == "last") return Value(at == size - 1);
    if (name == "length") return Value(static_cast<std::int64_t>(size));
    // They count recursive loops.
    if (name == "depth") return Value(std::int64_t{1});
    if (name == "depth0") return Value(std::int64_t{0});
    if (name == "previtem") return at == 0 ? undefined("there is no previous item") : items_[index - 1];
    if (name == "nextitem") return at == size - 1 ? undefined("there is no next item") : items_[index + 1];
    return undefined("");
}

}  // namespace jlcm::jinja
