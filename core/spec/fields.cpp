#include "core/spec/fields.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace jlcm {
namespace {

/// Where `given` cannot be a `wanted` at all: a problem, with a hint for what it may have meant.
void refuse(const Config& given, const std::string& wanted, Problems& problems,
            const std::string& hint = {}) {
    if (given.kind == Config::Kind::null) {
        problems.here(given, "has no value, expected {}; leave the key out for its default", wanted);
    } else {
        const bool text_for_value = given.kind == Config::Kind::scalar && given.quoted;
        problems.here(given, "expected {}, got {}{}{}", wanted, text_for_value ? "the text " : "",
                      given.describe(), hint);
    }
}

std::string with_range(const std::string& wanted, const Range& range) {
    const std::string bounds = range.str();
    return bounds.empty() ? wanted : wanted + " " + bounds;
}

/// A number's spelling without a leading '+', which std::from_chars does not take.
std::string_view unsigned_text(std::string_view text) {
    const bool has_plus = text.size() > 1 && text[0] == '+' && text[1] != '-' && text[1] != '+';
    return has_plus ? text.substr(1) : text;
}

struct ParsedNumber {
    double value = 0.0;
    bool is_number = false;      ///< spelt as one
    bool out_of_double = false;  ///< but a double cannot hold it
};

ParsedNumber parse_number(const Config& given) {
    ParsedNumber parsed;
    if (given.kind != Config::Kind::scalar || given.quoted) return parsed;
    const std::string_view text = unsigned_text(given.text);
    if (text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return parsed;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed.value);
    parsed.is_number = error != std::errc::invalid_argument && end == text.data() + text.size();
    parsed.out_of_double = error == std::errc::result_out_of_range;
    return parsed;
}

bool same_word(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return std::tolower(static_cast<unsigned char>(x)) == y; });
}

}  // namespace

bool Range::contains(double value) const {
    const bool above_low = low_is_open ? value > low : value >= low;
    const bool below_high = high_is_open ? value < high : value <= high;
    return above_low && below_high;
}

std::string Range::str() const {
    const bool has_low = std::isfinite(low);
    const bool has_high = std::isfinite(high);
    if (has_low && has_high && !low_is_open && !high_is_open) return fmt::format("from {} to {}", low, high);
    std::string text;
    if (has_low) text = fmt::format("{} {}", low_is_open ? "above" : "at least", low);
    if (has_low && has_high) text += " and ";
    if (has_high) text += fmt::format("{} {}", high_is_open ? "below" : "at most", high);
    return text;
}

TypeDoc TypeDoc::of(Kind kind) {
    TypeDoc type;
    type.kind = kind;
    return type;
}

std::string TypeDoc::str() const {
    std::string text;
    switch (kind) {
        case Kind::boolean:
            text = "true or false";
            break;
        case Kind::integer:
            text = "integer";
            break;
        case Kind::number:
            text = "number";
            break;
        case Kind::text:
            text = "text";
            break;
        case Kind::enumeration:
            for (const Name& each : names) text += (text.empty() ? "" : " | ") + each.name;
            break;
        case Kind::list:
            text = "list of " + element.front().str();
            break;
        case Kind::section:
            text = "section";
            break;
        case Kind::plugin:
            text = plugin_kind;
            break;
        case Kind::any:
            text = "any YAML";
            break;
    }
    return is_optional ? text + " or none" : text;
}

const When* Fields::Field::unmet() const {
    const auto found = std::ranges::find_if(conditions, [](const When& when) { return !when.holds(); });
    return found == conditions.end() ? nullptr : &*found;
}

void Fields::add(Field field) {
    ensure(field.name != "type" && field.name != "include",
           "an options struct declares the reserved field \"{}\"", field.name);
    for (const Field& each : fields_)
        ensure(each.name != field.name, "an options struct declares \"{}\" twice", field.name);
    fields_.push_back(std::move(field));
}

void Fields::decode(const Config& map, Problems& problems, std::string_view skip) const {
    std::vector<std::string> names;
    for (const Field& field : fields_) names.push_back(field.name);
    for (const auto& entry : map.entries) {
        if (entry.key == skip || std::find(names.begin(), names.end(), entry.key) != names.end()) continue;
        if (entry.key == "type") {  // perhaps a bare name that was put over a map: Config's merged()
            problems.here(entry.value, "{} names no plugin here, expected a map of {}",
                          entry.value.describe(), fmt::join(names, ", "));
            continue;
        }
        problems.add_at_path(entry.origin,
                             fmt::format("unknown key \"{}\"{}", entry.key, suggestion(entry.key, names)));
    }
    for (const Field& field : fields_) {
        const Config* given = map.find(field.name);
        const Problems::Scope scope(problems, given != nullptr ? *given : map, field.name);
        if (const When* unmet = field.unmet()) {
            if (given != nullptr && given->kind != Config::Kind::null)
                problems.here(*given,
                              "has no meaning here, {}; leave it out (null, where an included file gives it)",
                              unmet->otherwise);
        } else if (given != nullptr) {
            field.slot->decode(*given, field.range, problems);
        } else if (field.is_required) {
            problems.here(map, "is missing, expected {}", with_range(field.slot->type().str(), field.range));
        } else {
            field.slot->decode_absent(map, problems);
        }
    }
}

Config Fields::encode() const {
    Config map = Config::map();
    for (const Field& field : fields_)
        if (field.unmet() == nullptr) map.entry(field.name).value = field.slot->encode();
    return map;
}

std::vector<FieldDoc> Fields::document() const {
    std::vector<FieldDoc> docs;
    for (const Field& field : fields_)
        docs.push_back({field.name, std::string(field.doc.text), std::string(field.doc.source), field.range,
                        field.is_required, field.is_required ? Config{} : field.slot->brief(),
                        field.slot->type()});
    return docs;
}

void BoolSlot::decode(const Config& given, const Range& /*range*/, Problems& problems) {
    const bool is_plain = given.kind == Config::Kind::scalar && !given.quoted;
    if (is_plain && (given.text == "true" || given.text == "false")) {
        variable_ = given.text == "true";
        return;
    }
    std::string hint;
    for (const std::string_view word : {"yes", "on", "true", "1"})
        if (given.kind == Config::Kind::scalar && same_word(given.text, word)) hint = ", did you mean true?";
    for (const std::string_view word : {"no", "off", "false", "0"})
        if (given.kind == Config::Kind::scalar && same_word(given.text, word)) hint = ", did you mean false?";
    refuse(given, "true or false", problems, hint);
}

void NumberSlot::decode(const Config& given, const Range& range, Problems& problems) {
    const ParsedNumber parsed = parse_number(given);
    if (!parsed.is_number) return refuse(given, with_range("a finite number", range), problems);
    if (parsed.out_of_double)
        return problems.here(given, "{} is too large or too small for a double precision number", given.text);
    if (!range.contains(parsed.value))
        return problems.here(given, "{} is out of range, expected a number {}", given.text, range.str());
    variable_ = parsed.value;
}

Config NumberSlot::encode() const {
    return Config::literal(fmt::format("{}", variable_));
}

void TextSlot::decode(const Config& given, const Range& /*range*/, Problems& problems) {
    if (given.kind != Config::Kind::scalar) return refuse(given, "text", problems);
    variable_ = given.text;
}

void AnySlot::decode(const Config& given, const Range& /*range*/, Problems& /*problems*/) {
    variable_ = given;
}

std::optional<std::int64_t> decode_integer(const Config& given, const Range& range, std::int64_t low,
                                           std::int64_t high, Problems& problems) {
    const std::string wanted = with_range("an integer", range);
    const bool is_plain = given.kind == Config::Kind::scalar && !given.quoted;
    std::int64_t value = 0;
    const std::string_view text = unsigned_text(given.text);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (!is_plain || error == std::errc::invalid_argument || end != text.data() + text.size()) {
        const ParsedNumber number = parse_number(given);
        constexpr double exact = 9e15;  // every integer below is a double
        const bool is_whole =
            number.is_number && std::abs(number.value) < exact && std::trunc(number.value) == number.value;
        refuse(given, wanted, problems, is_whole ? fmt::format(", did you mean {:.0f}?", number.value) : "");
        return std::nullopt;
    }
    if (error == std::errc::result_out_of_range || value < low || value > high) {
        problems.here(given, "{} is out of range, expected an integer from {} to {}", given.text, low, high);
        return std::nullopt;
    }
    if (!range.contains(static_cast<double>(value))) {
        problems.here(given, "{} is out of range, expected {}", given.text, wanted);
        return std::nullopt;
    }
    return value;
}

std::optional<std::size_t> decode_name(const Config& given, const std::vector<std::string>& names,
                                       Problems& problems) {
    if (given.kind != Config::Kind::scalar) {
        refuse(given, fmt::format("one of {}", fmt::join(names, ", ")), problems);
        return std::nullopt;
    }
    const auto found = std::find(names.begin(), names.end(), given.text);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    problems.here(given, "unknown value \"{}\"{}", given.text, suggestion(given.text, names));
    return std::nullopt;
}

std::vector<const Config*> decode_elements(const Config& given, Problems& problems) {
    std::vector<const Config*> elements;
    if (given.kind == Config::Kind::null) {
        refuse(given, "a list", problems);
    } else if (given.kind == Config::Kind::list) {
        for (const Config& each : given.items) elements.push_back(&each);
    } else {
        elements.push_back(&given);
    }
    return elements;
}

bool is_map(const Config& given, Problems& problems) {
    if (given.kind == Config::Kind::map) return true;
    refuse(given, "a map of keys", problems);
    return false;
}

}  // namespace jlcm
