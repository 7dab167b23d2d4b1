#pragma once
// Values of a template's language, which are Python's.

#include "core/base/json.hpp"
#include "core/text/jinja/problem.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace jlcm::jinja {

/// What may still be done: templates come from strangers. Whoever makes something new charges its bytes.
class Budget {
  public:
    explicit Budget(std::int64_t bytes) : left_(bytes) {}
    void charge(std::size_t bytes) {
        left_ -= static_cast<std::int64_t>(bytes);
        if (left_ < 0) refuse("the template does not come to an end: it makes too much, or loops too often");
    }

  private:
    std::int64_t left_;
};

/// Lists inside lists inside lists ...
constexpr int deepest_value = 64;

class Value;
struct Sequence;
struct Mapping;

struct Undefined {
    std::shared_ptr<const std::string> what;  ///< "'tools' is undefined"
};
struct None {};
/// Text that `safe` made; it can be printed.
struct SafeText {
    std::shared_ptr<const std::string> text;
};

/// A function, a method, a macro, a namespace or a loop.
class Object {
  public:
    Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    virtual ~Object() = default;
    /// As in messages: "a macro".
    [[nodiscard]] virtual std::string_view kind() const = 0;
    [[nodiscard]] virtual int depth() const { return 0; }
};

/// Cheap to copy, since nothing that is in it changes (namespaces apart).
class Value {
  public:
    using Text = std::shared_ptr<const std::string>;

    Value() : data_(None{}) {}
    explicit Value(bool value) : data_(value) {}
    explicit Value(std::int64_t value) : data_(value) {}
    explicit Value(double value) : data_(value) {}
    explicit Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
    explicit Value(const char*) = delete;  // it would become a truth value
    explicit Value(Undefined value) : data_(std::move(value)) {}
    explicit Value(SafeText text) : data_(std::move(text)) {}
    explicit Value(std::shared_ptr<const Sequence> items) : data_(std::move(items)) {}
    explicit Value(std::shared_ptr<const Mapping> items) : data_(std::move(items)) {}
    explicit Value(std::shared_ptr<Object> object) : data_(std::move(object)) {}

    [[nodiscard]] bool is_undefined() const { return holds<Undefined>(); }
    [[nodiscard]] bool is_none() const { return holds<None>(); }
    [[nodiscard]] bool is_bool() const { return holds<bool>(); }
    [[nodiscard]] bool is_float() const { return holds<double>(); }
    /// int or bool, which Python takes as 0 and 1.
    [[nodiscard]] bool is_whole() const { return holds<std::int64_t>() || is_bool(); }
    [[nodiscard]] bool is_number() const { return is_whole() || is_float(); }
    [[nodiscard]] bool is_text() const { return holds<Text>(); }

    [[nodiscard]] bool boolean() const { return std::get<bool>(data_); }
    [[nodiscard]] std::int64_t whole() const;  ///< of is_whole()
    [[nodiscard]] double number() const;       ///< of is_number()
    [[nodiscard]] const std::string& text() const { return *std::get<Text>(data_); }
    [[nodiscard]] const std::string& undefined_because() const { return *std::get<Undefined>(data_).what; }
    [[nodiscard]] const std::string* safe_text() const {
        const auto* safe = std::get_if<SafeText>(&data_);
        return safe == nullptr ? nullptr : safe->text.get();
    }
    /// Null where it is something else.
    [[nodiscard]] const Sequence* sequence() const { return pointer<std::shared_ptr<const Sequence>>(); }
    [[nodiscard]] const Mapping* mapping() const { return pointer<std::shared_ptr<const Mapping>>(); }
    [[nodiscard]] Object* object() const { return pointer<std::shared_ptr<Object>>(); }
    template <class T>
    [[nodiscard]] T* object_as() const {
        return dynamic_cast<T*>(object());
    }

    /// Python's truth of it.
    [[nodiscard]] bool truth() const;
    /// Python's name of the type: "str", "list", "Undefined".
    [[nodiscard]] std::string type() const;
    [[nodiscard]] int depth() const;

  private:
    template <class T>
    [[nodiscard]] bool holds() const {
        return std::holds_alternative<T>(data_);
    }
    template <class Pointer>
    [[nodiscard]] typename Pointer::element_type* pointer() const {
        const auto* found = std::get_if<Pointer>(&data_);
        return found == nullptr ? nullptr : found->get();
    }

    std::variant<None, Undefined, bool, std::int64_t, double, Text, SafeText, std::shared_ptr<const Sequence>,
                 std::shared_ptr<const Mapping>, std::shared_ptr<Object>>
        data_;
};

enum class SequenceKind : std::uint8_t {
    list,
    tuple,
    range,
    view,      ///< dict.items() and its like: without indices
    iterator,  ///< map(...) and its like: without length and indices, to be read once
};

struct Sequence {
    SequenceKind kind = SequenceKind::list;
    std::vector<Value> items;
    int depth = 1;
    mutable bool is_read = false;  ///< of an iterator
};

/// In the order in which it was written.
struct Mapping {
    std::vector<std::pair<std::string, Value>> items;
    int depth = 1;

    [[nodiscard]] const Value* find(std::string_view key) const;
    /// Replaces or appends.
    void set(const std::string& key, Value value);
};

[[nodiscard]] Value undefined(std::string because);
[[nodiscard]] Value make_sequence(std::vector<Value> items, SequenceKind kind, Budget& budget);
[[nodiscard]] Value make_mapping(Mapping items, Budget& budget);
[[nodiscard]] Value make_text(std::string text, Budget& budget);
[[nodiscard]] Value from_json(const nlohmann::ordered_json& json, Budget& budget);

/// str(value), which is what is printed.
[[nodiscard]] std::string to_text(const Value& value, Budget& budget);
/// repr(value).
[[nodiscard]] std::string representation(const Value& value, Budget& budget);

struct JsonStyle {
    bool ascii = false;
    bool sort_keys = false;
    std::string indent;  ///< of one level; empty: one line
    bool multiline = false;
    std::string item_separator = ", ";
    std::string key_separator = ": ";
};
/// json.dumps(value).
[[nodiscard]] std::string to_json(const Value& value, const JsonStyle& style, Budget& budget);

/// value == other, value < other, item in container.
[[nodiscard]] bool equal(const Value& value, const Value& other, Budget& budget);
[[nodiscard]] bool less(const Value& value, const Value& other, Budget& budget);
[[nodiscard]] bool contains(const Value& container, const Value& item, Budget& budget);

/// What a loop goes through: items, keys, characters. An iterator is read by it.
[[nodiscard]] std::vector<Value> items_of(const Value& value, Budget& budget);
/// len(value).
[[nodiscard]] std::int64_t length_of(const Value& value);

}  // namespace jlcm::jinja
