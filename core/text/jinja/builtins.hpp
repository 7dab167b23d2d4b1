#pragma once
// What templates find ready: filters, tests, methods of texts, lists and mappings.

#include "core/text/jinja/value.hpp"

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jlcm::jinja {

/// The values of a call's arguments.
struct Call {
    std::string_view name;  ///< of what is called, for messages
    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;

    /// The arguments by the parameters' names, in order: null where one is not given. Surplus ones are
    /// refused. The call has to outlive them.
    [[nodiscard]] std::vector<const Value*> bind(std::initializer_list<std::string_view> parameters) const;
};

[[nodiscard]] bool is_filter(std::string_view name);
[[nodiscard]] bool is_test(std::string_view name);

/// value | name(...).
[[nodiscard]] Value apply_filter(std::string_view name, const Value& value, const Call& call, Budget& budget);
/// value is name(...).
[[nodiscard]] bool apply_test(std::string_view name, const Value& value, const Call& call, Budget& budget);

/// value.name and value["name"] as environment.getattr and getitem have it: undefined where there is none.
[[nodiscard]] Value attribute_of(const Value& value, const std::string& name, Budget& budget);
[[nodiscard]] Value item_of(const Value& value, const Value& key, Budget& budget);

/// A method of a value, bound to it.
class Method final : public Object {
  public:
    Method(Value self, std::string_view name) : self_(std::move(self)), name_(name) {}
    [[nodiscard]] std::string_view kind() const override { return "a method"; }
    [[nodiscard]] int depth() const override { return self_.depth(); }
    [[nodiscard]] std::string_view name() const { return name_; }
    [[nodiscard]] Value operator()(const Call& call, Budget& budget) const;

  private:
    Value self_;
    std::string_view name_;  ///< of static storage
};

/// namespace(...): the one thing that changes.
class Namespace final : public Object {
  public:
    [[nodiscard]] std::string_view kind() const override { return "a namespace"; }
    Mapping values;
};

/// The variable `loop`.
class Loop final : public Object {
  public:
    explicit Loop(std::vector<Value> items);
    [[nodiscard]] std::string_view kind() const override { return "a loop"; }
    [[nodiscard]] int depth() const override { return depth_; }
    [[nodiscard]] const std::vector<Value>& items() const { return items_; }
    [[nodiscard]] Value attribute(std::string_view name) const;

    std::size_t index = 0;          ///< of the present round
    std::vector<Value> last_given;  ///< to loop.changed(...), which may be the loop itself
    bool is_over = false;

  private:
    std::vector<Value> items_;
    int depth_ = 1;
};

}  // namespace jlcm::jinja
