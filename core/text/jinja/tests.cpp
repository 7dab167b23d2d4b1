// Tests: jinja2/tests.py.

#include "core/text/jinja/builtins.hpp"
#include "core/text/jinja/python_text.hpp"

#include <map>

namespace jlcm::jinja {
namespace {

using Test = bool (*)(const Value&, const Call&, Budget&);

const Value& only(const Call& call) {
    if (call.positional.size() != 1 || !call.named.empty())
        refuse("the test '{}' needs one argument", call.name);
    return call.positional.front();
}

/// A test without arguments.
template <bool (*holds)(const Value&)>
bool plain(const Value& value, const Call& call, Budget& /*budget*/) {
    if (!call.positional.empty() || !call.named.empty()) refuse("the test '{}' takes no argument", call.name);
    return holds(value);
}

bool is_defined(const Value& value) {
    return !value.is_undefined();
}
bool is_undefined(const Value& value) {
    return value.is_undefined();
}
bool is_none(const Value& value) {
    return value.is_none();
}
bool is_boolean(const Value& value) {
    return value.is_bool();
}
bool is_true(const Value& value) {
    return value.is_bool() && value.boolean();
}
bool is_false(const Value& value) {
    return value.is_bool() && !value.boolean();
}
bool is_integer(const Value& value) {
    return value.is_whole() && !value.is_bool();
}
bool is_float(const Value& value) {
    return value.is_float();
}
bool is_number(const Value& value) {
    return value.is_number();
}
bool is_string(const Value& value) {
    return value.is_text() || value.safe_text() != nullptr;
}
bool is_mapping(const Value& value) {
    return value.mapping() != nullptr;
}
/// Undefined values have Python's methods of both.
bool is_iterable(const Value& value) {
    return is_string(value) || is_mapping(value) || value.sequence() != nullptr || value.is_undefined();
}
bool is_sequence(const Value& value) {
    const Sequence* items = value.sequence();
    return is_iterable(value) &&
           (items == nullptr || (items->kind != SequenceKind::view && items->kind != SequenceKind::iterator));
}
bool is_callable(const Value& value) {
    const Object* object = value.object();
    return value.is_undefined() || (object != nullptr && dynamic_cast<const Namespace*>(object) == nullptr &&
                                    dynamic_cast<const Loop*>(object) == nullptr);
}

std::int64_t number_of(const Value& value) {
    if (!value.is_whole()) refuse("a value of the type {} is no whole number", value.type());
    return value.whole();
}
bool is_even(const Value& value) {
    return number_of(value) % 2 == 0;
}
bool is_odd(const Value& value) {
    return number_of(value) % 2 != 0;
}

bool divides(const Value& value, const Call& call, Budget& /*budget*/) {
    const std::int64_t by = number_of(only(call));
    if (by == 0) refuse("division by zero");
    return by == -1 || number_of(value) % by == 0;
}

template <bool upper>
bool has_case(const Value& value, const Call& call, Budget& budget) {
    if (!call.positional.empty()) refuse("the test '{}' takes no argument", call.name);
    return python::is_all(to_text(value, budget), upper ? "upper" : "lower");
}

bool is_equal(const Value& value, const Call& call, Budget& budget) {
    return equal(value, only(call), budget);
}
bool is_unequal(const Value& value, const Call& call, Budget& budget) {
    return !equal(value, only(call), budget);
}
bool is_less(const Value& value, const Call& call, Budget& budget) {
    return less(value, only(call), budget);
}
bool is_more(const Value& value, const Call& call, Budget& budget) {
    return less(only(call), value, budget);
}
bool is_least(const Value& value, const Call& call, Budget& budget) {
    return equal(value, only(call), budget) || less(only(call), value, budget);
}
bool is_most(const Value& value, const Call& call, Budget& budget) {
    return equal(value, only(call), budget) || less(value, only(call), budget);
}
bool is_in(const Value& value, const Call& call, Budget& budget) {
    return contains(only(call), value, budget);
}

const std::map<std::string_view, Test>& tests() {
    static const std::map<std::string_view, Test> table{
        {"!=", is_unequal},
        {"<", is_less},
        {"<=", is_most},
        {"==", is_equal},
        {">", is_more},
        {">=", is_least},
        {"boolean", plain<is_boolean>},
        {"callable", plain<is_callable>},
        {"defined", plain<is_defined>},
        {"divisibleby", divides},
        {"eq", is_equal},
        {"equalto", is_equal},
        {"even", plain<is_even>},
        {"false", plain<is_false>},
        {"float", plain<is_float>},
        {"ge", is_least},
        {"greaterthan", is_more},
        {"gt", is_more},
        {"in", is_in},
        {"integer", plain<is_integer>},
        {"iterable", plain<is_iterable>},
        {"le", is_most},
        {"lessthan", is_less},
        {"lower", has_case<false>},
        {"lt", is_less},
        {"mapping", plain<is_mapping>},
        {"ne", is_unequal},
        {"none", plain<is_none>},
        {"number", plain<is_number>},
        {"odd", plain<is_odd>},
        {"sequence", plain<is_sequence>},
        {"string", plain<is_string>},
        {"true", plain<is_true>},
        {"undefined", plain<is_undefined>},
        {"upper", has_case<true>},
    };
    return table;
}

}  // namespace

bool is_test(std::string_view name) {
    return tests().contains(name);
}

bool apply_test(std::string_view name, const Value& value, const Call& call, Budget& budget) {
    budget.charge(16);
    return tests().at(name)(value, call, budget);
}

}  // namespace jlcm::jinja
