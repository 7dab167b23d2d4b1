#include "core/spec/document.hpp"

#include "core/base/json.hpp"

#include <cmath>

namespace jlcm {
namespace {

using Json = nlohmann::ordered_json;

/// "list of number, each above 0"
std::string type_text(const FieldDoc& field) {
    const std::string bounds = field.range.str();
    if (bounds.empty()) return field.type.str();
    return field.type.str() + (field.type.kind == TypeDoc::Kind::list ? ", each " : " ") + bounds;
}

std::string default_text(const FieldDoc& field) {
    if (field.is_required) return "required";
    if (field.default_value.kind == Config::Kind::null) return field.type.is_optional ? "none" : "";
    return to_flow_yaml(field.default_value);
}

/// The fields of a section, or of the sections in a list.
const std::vector<FieldDoc>& fields_inside(const TypeDoc& type) {
    return type.kind == TypeDoc::Kind::list ? fields_inside(type.element.front()) : type.fields;
}

const TypeDoc& innermost(const TypeDoc& type) {
    return type.kind == TypeDoc::Kind::list ? innermost(type.element.front()) : type;
}

std::string names_text(const TypeDoc& type) {
    std::string text;
    for (const auto& name : innermost(type).names)
        if (!name.doc.empty()) text += fmt::format(" {}: {}.", name.name, name.doc);
    return text;
}

std::string full_text(const FieldDoc& field) {
    std::string text = field.text + names_text(field.type);
    if (!field.source.empty()) text += fmt::format(" [{}]", field.source);
    return text;
}

std::string cell(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '|') result += '\\';
        result += c == '\n' ? ' ' : c;
    }
    return result;
}

void describe(const std::vector<FieldDoc>& fields, std::size_t indent, std::string& text) {
    constexpr std::size_t step = 4;
    for (const FieldDoc& field : fields) {
        const std::string value = default_text(field);
        text += fmt::format("{:{}}{}  ({}{}{})\n", "", indent, field.name, type_text(field),
                            value.empty() || field.is_required ? "" : ", default ",
                            field.is_required ? ", required" : value);
        text += wrapped(full_text(field), indent + step);
        describe(fields_inside(field.type), indent + step, text);
    }
}

void add_rows(const std::vector<FieldDoc>& fields, const std::string& prefix, std::string& text) {
    for (const FieldDoc& field : fields) {
        const std::string value = default_text(field);
        const std::string shown = value.empty() || field.is_required ? value : "`" + value + "`";
        text += fmt::format("| `{}{}` | {} | {} | {} |\n", prefix, field.name, cell(type_text(field)),
                            cell(shown), cell(full_text(field)));
        const bool is_list = field.type.kind == TypeDoc::Kind::list;
        add_rows(fields_inside(field.type), prefix + field.name + (is_list ? "[]." : "."), text);
    }
}

Json json_value(const Config& config) {
    switch (config.kind) {
        case Config::Kind::null:
            return nullptr;
        case Config::Kind::list: {
            Json list = Json::array();
            for (const Config& item : config.items) list.push_back(json_value(item));
            return list;
        }
        case Config::Kind::map: {
            Json map = Json::object();
            for (const auto& entry : config.entries) map[entry.key] = json_value(entry.value);
            return map;
        }
        case Config::Kind::scalar:
            break;
    }
    if (config.quoted) return config.text;
    const Json parsed = Json::parse(config.text, nullptr, false);
    return parsed.is_discarded() ? Json(config.text) : parsed;
}

Json schema_of(const TypeDoc& type, const Range& range);

Json bare_schema_of(const TypeDoc& type, const Range& range) {
    using Kind = TypeDoc::Kind;
    Json schema = Json::object();
    switch (type.kind) {
        case Kind::boolean:
            schema["type"] = "boolean";
            break;
        case Kind::integer:
            schema["type"] = "integer";
            break;
        case Kind::number:
            schema["type"] = "number";
            break;
        case Kind::text:
            schema["type"] = {"string", "number", "boolean"};
            break;
        case Kind::enumeration:
            for (const auto& name : type.names) schema["enum"].push_back(name.name);
            break;
        case Kind::list: {
            const Json element = schema_of(type.element.front(), range);
            schema["anyOf"] = {Json{{"type", "array"}, {"items", element}}, element};
            break;
        }
        case Kind::section:
            schema = json_schema(type.fields);
            break;
        case Kind::plugin:
            schema["$ref"] = "#/$defs/" + type.plugin_kind;
            break;
        case Kind::any:
            break;
    }
    if (type.kind == Kind::integer || type.kind == Kind::number) {
        if (std::isfinite(range.low)) schema[range.low_is_open ? "exclusiveMinimum" : "minimum"] = range.low;
        if (std::isfinite(range.high))
            schema[range.high_is_open ? "exclusiveMaximum" : "maximum"] = range.high;
    }
    return schema;
}

Json schema_of(const TypeDoc& type, const Range& range) {
    Json schema = bare_schema_of(type, range);
    if (!type.is_optional) return schema;
    return Json{{"anyOf", {std::move(schema), Json{{"type", "null"}}}}};
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
    std::string result;
    std::size_t column = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (column > 0 && column + 1 + end > width) {
            result += '\n';
            column = 0;
        }
        if (column == 0) {
            result += std::string(indent, ' ');
            column = indent;
        } else {
            result += ' ';
            ++column;
        }
        result += text.substr(0, end);
        column += end;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result.empty() ? result : result + '\n';
}

std::string describe_fields(const std::vector<FieldDoc>& fields) {
    std::string text;
    describe(fields, 2, text);
    return text;
}

std::string markdown_table(const std::vector<FieldDoc>& fields) {
    std::string text = "| key | type | default | what it does |\n|---|---|---|---|\n";
    add_rows(fields, "", text);
    return text;
}

nlohmann::ordered_json json_schema(const std::vector<FieldDoc>& fields) {
    Json properties = Json::object();
    Json required = Json::array();
    for (const FieldDoc& field : fields) {
        Json schema = schema_of(field.type, field.range);
        schema["description"] = full_text(field);
        if (field.is_required) {
            required.push_back(field.name);
        } else if (field.default_value.kind != Config::Kind::null) {
            schema["default"] = json_value(field.default_value);
        }
        properties[field.name] = std::move(schema);
    }
    Json schema{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (!required.empty()) schema["required"] = required;
    return schema;
}

}  // namespace jlcm
