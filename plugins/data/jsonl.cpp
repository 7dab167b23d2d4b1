#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/data/json_fields.hpp"
#include "core/data/text_source.hpp"
#include "core/formats/gzip.hpp"

namespace jlcm {
namespace {

using nlohmann::json;

struct JsonlOptions {
    std::string path;
    std::string field = "text";
    SplitOptions part;
    void fields(Fields& v) {
        v("path", path,
          Doc{"A file of JSON objects, one per line, or one JSON array of them; maybe packed with gzip. Each "
              "is a document. Looked for in the current directory and then where named datasets are."},
          Required{});
        v("field", field,
          Doc{"The field that holds the text; a.b is the field b of the object a. A list of texts, or of "
              "messages with a content (or value, or text), is joined by empty lines: no chat template is "
              "applied. Documents without text are passed over."});
        v("part", part, Doc{"The documents to take."});
    }
    void validate(Problems& problems) const {
        if (field.empty()) problems.field("field", "is empty: name the field that holds the text");
    }
};

/// The value under `path`, a name or names with dots between; null where there is none.
const json* value_at(const json& object, std::string_view path) {
    if (!object.is_object()) return nullptr;
    if (const auto found = object.find(path); found != object.end()) return &*found;
    const std::size_t dot = path.find('.');
    if (dot == std::string_view::npos) return nullptr;
    const auto outer = object.find(path.substr(0, dot));
    return outer == object.end() ? nullptr : value_at(*outer, path.substr(dot + 1));
}

/// Fields of objects whose value is a text or a list.
std::vector<std::string> fields_of(const json& object, const std::string& before = {}) {
    std::vector<std::string> names;
    for (const auto& [key, value] : object.items()) {
        if (value.is_string() || value.is_array()) names.push_back(before + key);
        if (!value.is_object()) continue;
        for (std::string& inner : fields_of(value, before + key + ".")) names.push_back(std::move(inner));
    }
    return names;
}

/// What the field holds as a text: nothing where it is neither a text nor a list of texts and messages.
std::optional<std::string> text_of(const json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_object()) {
        for (const char* key : {"content", "value", "text"})
            if (value.contains(key)) return text_of(value.at(key));
        return std::nullopt;
    }
    if (!value.is_array()) return std::nullopt;
    std::string joined;
    for (const json& each : value) {
        const auto text = each.is_array() ? std::nullopt : text_of(each);
        if (!text) return std::nullopt;
        if (!joined.empty() && !text->empty()) joined += "\n\n";
        joined += *text;
    }
    return joined;
}

class Jsonl final : public Dataset {
  public:
    using Options = JsonlOptions;
    explicit Jsonl(Options options) : options_(std::move(options)) {}

    [[nodiscard]] bool is_available(const Directories& directories) const override {
        std::error_code ignored;
        return std::filesystem::is_regular_file(place_data(options_.path, directories), ignored);
    }

    [[nodiscard]] Data load(const Directories& directories) const override {
        const auto place = place_data(options_.path, directories);
        const std::string text = read_text(place);
        std::string name = place.filename().string();
        if (options_.field != "text") name += ", " + options_.field;
        TextData data{.name = name_with_split(name, options_.part),
                      .documents = {},
                      .sha256 = sha256(text),
                      .source = options_.path};
        Problems problems;
        for_each_json_line(text, place.string(), problems, [&](const json& line, const Origin& where) {
            if (auto document = document_of(line, where, problems); document && !document->empty())
                data.documents.push_back(std::move(*document));
            return true;
        });
        problems.throw_if_any();
        data.documents = split_documents(std::move(data.documents), options_.part);
        require(!data.documents.empty(), "{}: \"{}\" holds no text", place.string(), data.name);
        return data;
    }

  private:
    [[nodiscard]] std::optional<std::string> document_of(const json& line, const Origin& where,
                                                         Problems& problems) const {
        if (!line.is_object()) {
            problems.add(where, fmt::format("expected an object, not {}", shown(line)));
            return std::nullopt;
        }
        const json* value = value_at(line, options_.field);
        if (value == nullptr) {
            const auto names = fields_of(line);
            problems.add(
                where, fmt::format("there is no field \"{}\"; name the one that holds the text by field: {}",
                                   options_.field,
                                   names.empty() ? "NAME" : fmt::format("{}", fmt::join(names, ", or "))));
            return std::nullopt;
        }
        auto text = text_of(*value);
        if (!text)
            problems.add(where, fmt::format("{}: must be a text, or a list of texts or messages, not {}",
                                            options_.field, shown(*value)));
        return text;
    }

    JsonlOptions options_;
};

const Registrar<Dataset, Jsonl> registrar{"jsonl", "Texts in a field of JSON objects, one per line."};

}  // namespace
}  // namespace jlcm
