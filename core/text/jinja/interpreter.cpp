#include "core/text/jinja/interpreter.hpp"

#include "core/text/jinja/builtins.hpp"
#include "core/text/jinja/python_text.hpp"
#include "core/text/utf8.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>

namespace jlcm::jinja {
namespace {

/// Expressions, blocks and macros inside each other while they run.
constexpr int deepest_run = 800;
constexpr std::size_t step_bytes = 16;
/// What a namespace or macro costs, which stays until the end.
constexpr std::size_t kept_bytes = 1024;

/// Names, and where to look for others.
struct Scope {
    std::shared_ptr<Scope> parent;
    std::map<std::string, Value, std::less<>> names;
};
using ScopePtr = std::shared_ptr<Scope>;

class Macro final : public Object {
  public:
    Macro(const Statement& statement, ScopePtr scope) : statement_(&statement), scope_(std::move(scope)) {}
    [[nodiscard]] std::string_view kind() const override { return "a macro"; }
    [[nodiscard]] const Statement& statement() const { return *statement_; }
    [[nodiscard]] const ScopePtr& scope() const { return scope_; }

  private:
    const Statement* statement_;
    ScopePtr scope_;
};

class Function final : public Object {
  public:
    explicit Function(std::string_view name) : name_(name) {}
    [[nodiscard]] std::string_view kind() const override { return "a function"; }
    [[nodiscard]] std::string_view name() const { return name_; }

  private:
    std::string_view name_;
};

constexpr std::array<std::string_view, 5> functions{"dict", "namespace", "raise_exception", "range",
                                                    "strftime_now"};

/// How a body ended.
enum class Flow : std::uint8_t { onwards, leave_loop, next_round };

template <class T>
class Restored {
  public:
    Restored(T& variable, T value)
        : variable_(variable), before_(std::exchange(variable, std::move(value))) {}
    Restored(const Restored&) = delete;
    Restored& operator=(const Restored&) = delete;
    ~Restored() { variable_ = std::move(before_); }
    [[nodiscard]] const T& before() const { return before_; }

  private:
    T& variable_;
    T before_;
};

std::int64_t python_floor_divide(std::int64_t a, std::int64_t b) {
    const std::int64_t quotient = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

double python_remainder(double a, double b) {
    const double rest = std::fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest == 0 ? std::copysign(0.0, b) : rest;
}

[[noreturn]] void refuse_large() {
    refuse("the number is too large: whole numbers have 64 bits here");
}

class Interpreter {
  public:
    Interpreter(std::time_t now, const RunLimits& limits)
        : budget_(limits.work), limits_(limits), now_(now) {}
    Interpreter(const Interpreter&) = delete;
    Interpreter& operator=(const Interpreter&) = delete;
    ~Interpreter() {
        // They may hold each other.
        for (const auto& each : namespaces_) each->values.items.clear();
        for (const auto& each : captured_scopes_) each->names.clear();
    }

    std::string run(const Body& body, const nlohmann::ordered_json& variables) {
        for (const auto& [name, value] : variables.items()) scope_->names[name] = from_json(value, budget_);
        (void)execute(body);
        return std::move(out_);
    }

  private:
    /// Says where a problem of `work` is, which is one level deeper.
    template <class Work>
    auto placed(std::size_t at, const Work& work) {
        budget_.charge(step_bytes);
        const Restored level(depth_, depth_ + 1);
        try {
            if (depth_ > deepest_run)
                refuse("blocks, macros and expressions run more than {} deep inside each other", deepest_run);
            return work();
        } catch (Problem& problem) {
            problem.place(at);
            throw;
        }
    }

    // Statements.

    Flow execute(const Body& body) {
        for (const Statement& statement : body) {
            const Flow flow = placed(statement.at, [&] { return execute(statement); });
            if (flow != Flow::onwards) return flow;
        }
        return Flow::onwards;
    }

    Flow execute(const Statement& statement) {
        switch (statement.kind) {
            case StatementKind::data:
                put(statement.text);
                break;
            case StatementKind::print:
                put(to_text(evaluate(*statement.value), budget_));
                break;
            case StatementKind::branches:
                return execute_branches(statement);
            case StatementKind::loop:
                execute_loop(statement);
                break;
            case StatementKind::assign:
                assign(statement.target, evaluate(*statement.value));
                break;
            case StatementKind::capture:
            case StatementKind::filter:
                execute_capture(statement);
                break;
            case StatementKind::scope:
                return execute_scope(statement);
            case StatementKind::macro:
                define(statement);
                break;
            case StatementKind::leave_loop:
                return Flow::leave_loop;
            case StatementKind::next_round:
                return Flow::next_round;
        }
        return Flow::onwards;
    }

    void put(std::string_view text) {
        budget_.charge(text.size());
        if (out_.size() + text.size() > limits_.output)
            refuse("the template makes more than {} bytes", limits_.output);
        out_ += text;
    }

    Flow execute_branches(const Statement& statement) {
        for (const Branch& branch : statement.branches)
            if (branch.condition == nullptr || evaluate(*branch.condition).truth())
                return execute(branch.body);
        return Flow::onwards;
    }

    [[nodiscard]] ScopePtr inner_scope() const {
        auto scope = std::make_shared<Scope>();
        scope->parent = scope_;
        return scope;
    }

    void execute_loop(const Statement& statement) {
        std::vector<Value> items = items_of(evaluate(*statement.value), budget_);
        if (statement.condition != nullptr) {
            std::vector<Value> kept;
            for (Value& item : items) {
                const Restored scope(scope_, inner_scope());
                assign(statement.target, item);
                if (evaluate(*statement.condition).truth()) kept.push_back(std::move(item));
            }
            items = std::move(kept);
        }
        if (items.empty()) {
            if (statement.branches.empty()) return;
            const Restored scope(scope_, inner_scope());
            (void)execute(statement.branches.front().body);
            return;
        }
        const auto loop = std::make_shared<Loop>(std::move(items));
        const struct End {
            Loop& loop;
            ~End() {
                loop.last_given.clear();
                loop.is_over = true;
            }
        } end{*loop};
        for (; loop->index < loop->items().size(); ++loop->index) {
            budget_.charge(step_bytes);
            const Restored scope(scope_, inner_scope());
            scope_->names["loop"] = Value(std::shared_ptr<Object>(loop));
            assign(statement.target, loop->items()[loop->index]);
            if (execute(statement.body) == Flow::leave_loop) break;
        }
    }

    void assign(const Target& target, Value value) {
        if (!target.attribute.empty()) return assign_attribute(target, std::move(value));
        if (!target.name.empty()) {
            budget_.charge(step_bytes);
            scope_->names[target.name] = std::move(value);
            return;
        }
        const auto items = items_of(value, budget_);
        if (items.size() != target.items.size())
            refuse_at(target.at, "{} names for {} values", target.items.size(), items.size());
        for (std::size_t i = 0; i < items.size(); ++i) assign(target.items[i], items[i]);
    }

    void assign_attribute(const Target& target, Value value) {
        auto* space = look_up(target.name).object_as<Namespace>();
        if (space == nullptr)
            refuse_at(target.at, "'{}' is not a namespace, whose attributes alone can be assigned to",
                      target.name);
        budget_.charge(step_bytes + target.attribute.size());
        space->values.set(target.attribute, std::move(value));
    }

    void execute_capture(const Statement& statement) {
        const std::string text = rendered([&] { (void)execute(statement.body); });
        const Restored captured(captured_, make_text(text, budget_));
        Value value = evaluate(*statement.value);
        if (statement.kind == StatementKind::capture) {
            assign(statement.target, std::move(value));
        } else {
            put(to_text(value, budget_));
        }
    }

    /// What `work` puts out, in a scope of its own.
    template <class Work>
    std::string rendered(const Work& work) {
        const Restored scope(scope_, inner_scope());
        const Restored outer(out_, std::string());
        work();
        return std::move(out_);
    }

    Flow execute_scope(const Statement& statement) {
        ScopePtr scope = inner_scope();
        for (const Parameter& each : statement.parameters) scope->names[each.name] = evaluate(*each.value);
        const Restored inside(scope_, std::move(scope));
        return execute(statement.body);
    }

    void define(const Statement& statement) {
        budget_.charge(kept_bytes);
        captured_scopes_.push_back(scope_);
        scope_->names[statement.text] =
            Value(std::shared_ptr<Object>(std::make_shared<Macro>(statement, scope_)));
    }

    // Expressions.

    Value evaluate(const Expression& expression) {
        return placed(expression.at, [&] { return value_of(expression); });
    }
    Value part(const Expression& expression, std::size_t place) { return evaluate(*expression.parts[place]); }

    Value value_of(const Expression& expression) {
        switch (expression.kind) {
            case ExpressionKind::constant:
                return expression.constant;
            case ExpressionKind::name:
                return look_up(expression.text);
            case ExpressionKind::list:
                return make_sequence(values(expression.parts), SequenceKind::list, budget_);
            case ExpressionKind::tuple:
                return make_sequence(values(expression.parts), SequenceKind::tuple, budget_);
            case ExpressionKind::mapping:
                return make_mapping(mapping(expression.arguments.named), budget_);
            case ExpressionKind::negative:
            case ExpressionKind::positive:
                return signed_value(part(expression, 0), expression.kind == ExpressionKind::negative);
            case ExpressionKind::negation:
                return Value(!part(expression, 0).truth());
            case ExpressionKind::conjunction:
            case ExpressionKind::disjunction:
                return either(expression);
            case ExpressionKind::comparison:
                return compare(expression);
            case ExpressionKind::arithmetic:
                return arithmetic(expression.text, part(expression, 0), part(expression, 1));
            case ExpressionKind::concatenation:
                return concatenate(expression);
            case ExpressionKind::condition:
                return choose(expression);
            case ExpressionKind::attribute:
                return attribute_of(part(expression, 0), expression.text, budget_);
            case ExpressionKind::item:
                return item_of(part(expression, 0), part(expression, 1), budget_);
            case ExpressionKind::slice:
                return slice(expression);
            case ExpressionKind::call:
                return call(expression);
            case ExpressionKind::filter:
                return filter(expression);
            case ExpressionKind::test:
                return test(expression);
            case ExpressionKind::captured:
                return captured_;
        }
        return {};
    }

    Value look_up(const std::string& name) {
        for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
            const auto found = scope->names.find(name);
            if (found != scope->names.end()) return found->second;
        }
        if (const auto* function = std::ranges::find(functions, name); function != functions.end())
            return Value(std::shared_ptr<Object>(std::make_shared<Function>(*function)));
        if (name == "cycler" || name == "joiner" || name == "lipsum" || name == "caller")
            refuse("the function '{}' is not implemented", name);
        return undefined(fmt::format("'{}' is undefined", name));
    }

    std::vector<Value> values(const std::vector<ExpressionPtr>& parts) {
        std::vector<Value> result;
        for (const auto& each : parts) result.push_back(evaluate(*each));
        return result;
    }
    Mapping mapping(const std::vector<std::pair<std::string, ExpressionPtr>>& parts) {
        Mapping result;
        for (const auto& [key, each] : parts) {
            budget_.charge(result.items.size());
            result.set(key, evaluate(*each));
        }
        return result;
    }

    Value signed_value(const Value& value, bool is_negative) {
        if (!value.is_number())
            refuse("a value of the type {} has no sign",
                   value.is_undefined() ? value.undefined_because() : value.type());
        if (value.is_float()) return Value(is_negative ? -value.number() : value.number());
        std::int64_t result = 0;
        if (__builtin_sub_overflow(0, value.whole(), &result)) refuse_large();
        return Value(is_negative ? result : value.whole());
    }

    Value either(const Expression& expression) {
        Value left = part(expression, 0);
        const bool decides = left.truth() == (expression.kind == ExpressionKind::disjunction);
        return decides ? left : part(expression, 1);
    }

    Value compare(const Expression& expression) {
        Value left = part(expression, 0);
        for (std::size_t i = 0; i < expression.operators.size(); ++i) {
            Value right = part(expression, i + 1);
            if (!holds(expression.operators[i], left, right)) return Value(false);
            left = std::move(right);
        }
        return Value(true);
    }

    bool holds(std::string_view comparison, const Value& left, const Value& right) {
        if (comparison == "==") return equal(left, right, budget_);
        if (comparison == "!=") return !equal(left, right, budget_);
        if (comparison == "in") return contains(right, left, budget_);
        if (comparison == "not in") return !contains(right, left, budget_);
        if (comparison == "<") return less(left, right, budget_);
        if (comparison == ">") return less(right, left, budget_);
        const bool smaller = comparison == "<=" ? less(left, right, budget_) : less(right, left, budget_);
        return smaller || equal(left, right, budget_);
    }

    Value arithmetic(std::string_view operation, const Value& left, const Value& right) {
        for (const Value* each : {&left, &right})
            if (each->is_undefined()) refuse("{}", each->undefined_because());
        if (left.is_number() && right.is_number()) {
            if (left.is_whole() && right.is_whole() && operation != "/")
                return whole_arithmetic(operation, left.whole(), right.whole());
            return real_arithmetic(operation, left.number(), right.number());
        }
        if (operation == "+" && left.is_text() && right.is_text())
            return make_text(left.text() + right.text(), budget_);
        const Sequence *a = left.sequence(), *b = right.sequence();
        if (operation == "+" && a != nullptr && b != nullptr && a->kind == b->kind &&
            (a->kind == SequenceKind::list || a->kind == SequenceKind::tuple)) {
            auto items = items_of(left, budget_);
            std::ranges::copy(items_of(right, budget_), std::back_inserter(items));
            return make_sequence(std::move(items), a->kind, budget_);
        }
        if (operation == "*" && (left.is_whole() || right.is_whole()))
            return left.is_whole() ? repeat(right, left.whole()) : repeat(left, right.whole());
        if (operation == "%" && left.is_text()) refuse("formatting by '%' is not implemented");
        refuse("'{}' of the types {} and {} is not possible", operation, left.type(), right.type());
    }

    Value repeat(const Value& value, std::int64_t times) {
        times = std::max<std::int64_t>(times, 0);
        const auto charge = [&](std::size_t bytes) {
            std::int64_t all = 0;
            if (__builtin_mul_overflow(static_cast<std::int64_t>(bytes), times, &all))
                all = std::numeric_limits<std::int64_t>::max() / 2;
            budget_.charge(static_cast<std::size_t>(all));
        };
        if (value.is_text()) {
            charge(value.text().size());
            std::string text;
            if (!value.text().empty())
                for (std::int64_t i = 0; i < times; ++i) text += value.text();
            return make_text(std::move(text), budget_);
        }
        const Sequence* items = value.sequence();
        if (items == nullptr || (items->kind != SequenceKind::list && items->kind != SequenceKind::tuple))
            refuse("a value of the type {} cannot be repeated", value.type());
        charge(items->items.size() * sizeof(Value));
        std::vector<Value> result;
        if (!items->items.empty())
            for (std::int64_t i = 0; i < times; ++i)
                std::ranges::copy(items->items, std::back_inserter(result));
        return make_sequence(std::move(result), items->kind, budget_);
    }

    static Value whole_arithmetic(std::string_view operation, std::int64_t a, std::int64_t b) {
        std::int64_t result = 0;
        if (operation == "+" && !__builtin_add_overflow(a, b, &result)) return Value(result);
        if (operation == "-" && !__builtin_sub_overflow(a, b, &result)) return Value(result);
        if (operation == "*" && !__builtin_mul_overflow(a, b, &result)) return Value(result);
        if (operation == "//" || operation == "%") {
            if (b == 0) refuse("division by zero");
            if (b == -1) return operation == "%" ? Value(std::int64_t{0}) : whole_arithmetic("-", 0, a);
            const std::int64_t quotient = python_floor_divide(a, b);
            return Value(operation == "//" ? quotient : a - quotient * b);
        }
        if (operation == "**") return whole_power(a, b);
        refuse_large();
    }

    static Value whole_power(std::int64_t base, std::int64_t exponent) {
        if (exponent < 0)
            return real_arithmetic("**", static_cast<double>(base), static_cast<double>(exponent));
        if (exponent > 64 && base != 0 && base != 1 && base != -1) refuse_large();
        std::int64_t result = 1;
        if (base == -1 || base == 1 || base == 0) exponent = exponent == 0 ? 0 : 2 - exponent % 2;
        for (std::int64_t i = 0; i < exponent; ++i)
            if (__builtin_mul_overflow(result, base, &result)) refuse_large();
        return Value(result);
    }

    static Value real_arithmetic(std::string_view operation, double a, double b) {
        if (operation == "+") return Value(a + b);
        if (operation == "-") return Value(a - b);
        if (operation == "*") return Value(a * b);
        if (operation == "**") {
            if (a == 0 && b < 0) refuse("division by zero");
            return Value(std::pow(a, b));
        }
        if (b == 0) refuse("division by zero");
        if (operation == "/") return Value(a / b);
        const double rest = python_remainder(a, b);
        return Value(operation == "%" ? rest : std::floor((a - rest) / b + 0.5));
    }

    Value concatenate(const Expression& expression) {
        std::string text;
        for (const auto& each : expression.parts) {
            const Value value = evaluate(*each);
            if (value.safe_text() != nullptr)
                refuse("what | safe makes can be printed, and nothing else is implemented");
            text += to_text(value, budget_);
        }
        return make_text(std::move(text), budget_);
    }

    Value choose(const Expression& expression) {
        if (part(expression, 0).truth()) return part(expression, 1);
        if (expression.parts.size() > 2) return part(expression, 2);
        return undefined("the condition of an 'if' without 'else' does not hold, so that there is no value");
    }

    Value slice(const Expression& expression) {
        const Value value = part(expression, 0);
        if (value.is_undefined()) refuse("{}", value.undefined_because());
        const auto bound = [&](std::size_t place) -> std::optional<std::int64_t> {
            if (expression.parts[place] == nullptr) return std::nullopt;
            const Value given = part(expression, place);
            if (given.is_none()) return std::nullopt;
            if (!given.is_whole()) refuse("a bound of a slice must be a whole number, not {}", given.type());
            return given.whole();
        };
        const Sequence* sequence = value.sequence();
        const bool is_list = sequence != nullptr &&
                             (sequence->kind == SequenceKind::list || sequence->kind == SequenceKind::tuple);
        if (!value.is_text() && !is_list) refuse("a value of the type {} has no slices", value.type());
        const auto items = items_of(value, budget_);
        std::vector<Value> chosen;
        for (const std::size_t place : slice_places(std::ssize(items), bound(1), bound(2), bound(3)))
            chosen.push_back(items[place]);
        if (is_list) return make_sequence(std::move(chosen), sequence->kind, budget_);
        std::string text;
        for (const Value& item : chosen) text += item.text();
        return make_text(std::move(text), budget_);
    }

    /// Python's slice.indices(size), gone through.
    static std::vector<std::size_t> slice_places(std::int64_t size, std::optional<std::int64_t> first,
                                                 std::optional<std::int64_t> last,
                                                 std::optional<std::int64_t> given_step) {
        const std::int64_t step = given_step.value_or(1);
        if (step == 0) refuse("the step of a slice is zero");
        const bool back = step < 0;
        const auto clipped = [&](std::int64_t place) {
            if (place < 0) place += size;
            return std::clamp<std::int64_t>(place, back ? -1 : 0, back ? size - 1 : size);
        };
        const std::int64_t begin = first ? clipped(std::max(*first, -size - 1)) : back ? size - 1 : 0;
        const std::int64_t end = last ? clipped(std::max(*last, -size - 1)) : back ? -1 : size;
        std::vector<std::size_t> places;
        for (std::int64_t i = begin; back ? i > end : i < end;) {
            places.push_back(static_cast<std::size_t>(i));
            if (__builtin_add_overflow(i, step, &i)) break;
        }
        return places;
    }

    Call arguments_of(const Expression& expression, std::string_view name) {
        Call call{name, values(expression.arguments.positional), {}};
        for (const auto& [key, each] : expression.arguments.named)
            call.named.emplace_back(key, evaluate(*each));
        return call;
    }

    Value filter(const Expression& expression) {
        const Value value = part(expression, 0);
        return apply_filter(expression.text, value, arguments_of(expression, expression.text), budget_);
    }

    Value test(const Expression& expression) {
        const Value value = part(expression, 0);
        return Value(apply_test(expression.text, value, arguments_of(expression, expression.text), budget_));
    }

    Value call(const Expression& expression) {
        const Value callee = part(expression, 0);
        if (callee.is_undefined()) refuse("{}, and cannot be called", callee.undefined_because());
        if (const auto* method = callee.object_as<Method>())
            return (*method)(arguments_of(expression, method->name()), budget_);
        if (const auto* macro = callee.object_as<Macro>())
            return call_macro(*macro, arguments_of(expression, macro->statement().text));
        if (const auto* function = callee.object_as<Function>())
            return call_function(arguments_of(expression, function->name()));
        refuse("a value of the type {} cannot be called", callee.type());
    }

    Value call_macro(const Macro& macro, const Call& call) {
        const auto& parameters = macro.statement().parameters;
        if (call.positional.size() > parameters.size())
            refuse("the macro '{}' takes at most {} arguments, not {}", call.name, parameters.size(),
                   call.positional.size());
        auto scope = std::make_shared<Scope>();
        scope->parent = macro.scope();
        const auto name_of = [](const Parameter& each) -> const std::string& { return each.name; };
        for (const auto& [key, value] : call.named) {
            const auto place = std::ranges::find(parameters, key, name_of) - parameters.begin();
            if (place == std::ssize(parameters))
                refuse("the macro '{}' takes no argument '{}'", call.name, key);
            if (place < std::ssize(call.positional))
                refuse("the macro '{}' is given its argument '{}' twice", call.name, key);
            scope->names[key] = value;
        }
        const Restored inside(scope_, scope);
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            const Parameter& each = parameters[i];
            if (i < call.positional.size()) {
                scope->names[each.name] = call.positional[i];
            } else if (!scope->names.contains(each.name)) {
                scope->names[each.name] =
                    each.value != nullptr
                        ? evaluate(*each.value)
                        : undefined(fmt::format("the parameter '{}' was not given", each.name));
            }
        }
        const Restored outer(out_, std::string());
        (void)execute(macro.statement().body);
        return make_text(std::move(out_), budget_);
    }

    Value call_function(const Call& call) {
        if (call.name == "range") return call_range(call);
        if (call.name == "raise_exception") {
            const auto given = call.bind({"message"});
            refuse("the template refuses this conversation: {}",
                   given[0] == nullptr ? "" : to_text(*given[0], budget_));
        }
        if (call.name == "strftime_now") {
            const auto given = call.bind({"format"});
            if (given[0] == nullptr || !given[0]->is_text()) refuse("strftime_now needs a format");
            return make_text(formatted_time(given[0]->text()), budget_);
        }
        Mapping items;
        if (call.positional.size() > 1) refuse("{} takes at most one argument without a name", call.name);
        if (!call.positional.empty()) {
            if (call.positional[0].mapping() == nullptr)
                refuse("{} of a value of the type {} is not implemented", call.name,
                       call.positional[0].type());
            items = *call.positional[0].mapping();
        }
        for (const auto& [key, value] : call.named) items.set(key, value);
        if (call.name == "dict") return make_mapping(std::move(items), budget_);
        budget_.charge(kept_bytes);
        namespaces_.push_back(std::make_shared<Namespace>());
        namespaces_.back()->values = std::move(items);
        return Value(std::shared_ptr<Object>(namespaces_.back()));
    }

    Value call_range(const Call& call) {
        if (call.positional.empty() || call.positional.size() > 3 || !call.named.empty())
            refuse("range takes one to three whole numbers");
        for (const Value& each : call.positional)
            if (!each.is_whole()) refuse("range takes whole numbers, not {}", each.type());
        const auto given = [&](std::size_t place) { return call.positional[place].whole(); };
        const bool has_begin = call.positional.size() > 1;
        const std::int64_t begin = has_begin ? given(0) : 0;
        const std::int64_t end = given(has_begin ? 1 : 0);
        const std::int64_t step = call.positional.size() > 2 ? given(2) : 1;
        if (step == 0) refuse("the step of range is zero");
        std::vector<Value> items;
        for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
            // jinja2.sandbox.MAX_RANGE
            if (items.size() >= 100'000) refuse("range makes more than 100000 numbers");
            items.emplace_back(i);
            if (__builtin_add_overflow(i, step, &i)) break;
        }
        return make_sequence(std::move(items), SequenceKind::range, budget_);
    }

    [[nodiscard]] std::string formatted_time(const std::string& format) const {
        if (format.size() > 200) refuse("the format of strftime_now is longer than 200 bytes");
        // Python's local time knows no zone.
        const std::string plain = python::replace(python::replace(format, "%Z", "", -1), "%z", "", -1);
        if (plain.empty()) return "";
        std::tm time{};
        ::localtime_r(&now_, &time);
        std::array<char, 8192> buffer{};
        return {buffer.data(), std::strftime(buffer.data(), buffer.size(), plain.c_str(), &time)};
    }

    Budget budget_;
    RunLimits limits_;
    std::time_t now_;
    std::string out_;
    ScopePtr scope_ = std::make_shared<Scope>();
    Value captured_;
    int depth_ = 0;
    std::vector<std::shared_ptr<Namespace>> namespaces_;
    std::vector<ScopePtr> captured_scopes_;
};

}  // namespace

std::string render(const Body& body, const nlohmann::ordered_json& variables, std::time_t now,
                   const RunLimits& limits) {
    return Interpreter(now, limits).run(body, variables);
}

}  // namespace jlcm::jinja
