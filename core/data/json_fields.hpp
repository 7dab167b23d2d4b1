#pragma once
// Files of JSON objects, one per line: what they hold, and everything that is wrong with them.

#include "core/base/json_error.hpp"
#include "core/spec/problems.hpp"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// The fields of one JSON object of a file. What does not fit is added to `problems`, with the object's place
/// and the field's name, and reads as nothing. Views: all of them outlive the object.
class JsonFields {
  public:
    JsonFields(const nlohmann::json& object, const Origin& where, Problems& problems)
        : object_(object), where_(where), problems_(problems) {}

    [[nodiscard]] bool has(std::string_view key) const { return object_.contains(key); }
    [[nodiscard]] bool has_all(std::initializer_list<std::string_view> keys) const;
    [[nodiscard]] const nlohmann::json& at(std::string_view key) const { return *object_.find(key); }

    /// A required text, or a number as its digits (some data sets write "1", others 1).
    [[nodiscard]] std::string text(std::string_view key) const;
    [[nodiscard]] std::string text_or(std::string_view key, std::string_view otherwise) const;
    /// A required list of texts.
    [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
    /// A required name among `names`, as its index.
    [[nodiscard]] std::optional<std::size_t> name(std::string_view key,
                                                  const std::vector<std::string>& names) const;

    /// "file:3: key: message".
    template <class... Args>
    void wrong(std::string_view key, fmt::format_string<Args...> format, Args&&... args) const {
        problems_.add(where_, fmt::format("{}: {}", key, fmt::format(format, std::forward<Args>(args)...)));
    }
    [[nodiscard]] const Origin& where() const { return where_; }
    [[nodiscard]] Problems& problems() const { return problems_; }

  private:
    [[nodiscard]] bool is_there(std::string_view key) const;

    const nlohmann::json& object_;
    const Origin& where_;
    Problems& problems_;
};

/// Parses `text`, JSON lines, and calls `each(value, where)` for the values in order until it returns false.
/// A text that begins with '[' is one JSON array instead, and `where` counts its elements. A byte order mark
/// and empty lines are passed over. Lines that are no JSON are added to `problems`.
void for_each_json_line(std::string_view text, const std::string& name, Problems& problems,
                        const std::function<bool(const nlohmann::json& value, const Origin& where)>& each);

}  // namespace jlcm
