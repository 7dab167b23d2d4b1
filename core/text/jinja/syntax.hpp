#pragma once
// A template as a tree.

#include "core/text/jinja/value.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace jlcm::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

/// Of a call, a filter or a test.
struct Arguments {
    std::vector<ExpressionPtr> positional;
    std::vector<std::pair<std::string, ExpressionPtr>> named;
};

enum class ExpressionKind : std::uint8_t {
    constant,
    name,
    list,
    tuple,
    mapping,      ///< parts: values; names: keys, in `arguments.named`
    negative,     ///< -x
    positive,     ///< +x
    negation,     ///< not x
    conjunction,  ///< x and y
    disjunction,  ///< x or y
    comparison,   ///< parts: operands; `operators` between them
    arithmetic,   ///< `text`: + - * / // % **
    concatenation,
    condition,  ///< x if y else z; parts: y, x, and z if there is one
    attribute,  ///< x.text
    item,       ///< x[y]
    slice,      ///< x[a:b:c]; parts: x, a, b, c, null where they are left out
    call,
    filter,
    test,
    captured,  ///< what the block rendered that the expression filters
};

struct Expression {
    ExpressionKind kind = ExpressionKind::constant;
    std::size_t at = 0;
    int depth = 1;
    std::string text;  ///< a name, an operator
    Value constant;
    std::vector<ExpressionPtr> parts;
    std::vector<std::string> operators;
    Arguments arguments;
};

struct Statement;
using Body = std::vector<Statement>;

/// What is assigned to: a name, an attribute of a namespace, or a tuple of these.
struct Target {
    std::size_t at = 0;
    std::string name;  ///< empty: a tuple
    std::string attribute;
    std::vector<Target> items;
};

enum class StatementKind : std::uint8_t {
    data,
    print,
    branches,  ///< if
    loop,      ///< for
    assign,    ///< set
    capture,   ///< set ... endset; `value` filters what was rendered
    filter,    ///< filter ... endfilter; as above
    scope,     ///< with, generation: names inside stay inside
    macro,
    leave_loop,
    next_round,
};

struct Branch {
    ExpressionPtr condition;  ///< null: else
    Body body;
};

struct Parameter {
    std::string name;
    ExpressionPtr value;  ///< of a macro's parameter: null if it has no default
};

struct Statement {
    StatementKind kind = StatementKind::data;
    std::size_t at = 0;
    std::string text;                   ///< data; a macro's name
    ExpressionPtr value;                ///< what is printed, assigned, gone through
    ExpressionPtr condition;            ///< of a loop: which items
    Target target;                      ///< of loop, assign and capture
    std::vector<Branch> branches;       ///< of branches; of a loop: its else
    std::vector<Parameter> parameters;  ///< of macro and scope
    Body body;
};

}  // namespace jlcm::jinja
