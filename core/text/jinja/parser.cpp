#include "core/text/jinja/parser.hpp"

#include "core/text/jinja/builtins.hpp"
#include "core/text/jinja/lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <string>

namespace jlcm::jinja {
namespace {

/// Of brackets in brackets, of blocks in blocks, and of operands in operands.
constexpr int deepest = 120;
constexpr std::size_t most_arguments = 64;

constexpr std::array<std::string_view, 6> comparisons{"==", "!=", "<", "<=", ">", ">="};

/// Counts how deep its owner's recursion is.
class Level {
  public:
    Level(int& depth, std::size_t at) : depth_(depth) {
        if (++depth_ > deepest) {
            --depth_;
            refuse_at(at, "the template is nested more than {} deep", deepest);
        }
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level() { --depth_; }

  private:
    int& depth_;
};

/// jinja2/parser.py: a method a rule of the grammar.
class Parser {
  public:
    explicit Parser(std::string_view source) : tokens_(tokenize_template(source)) {}

    Body run() {
        Body body = parse_body({});
        if (now().kind != TokenKind::end) refuse_at(now().at, "'{}' ends no block that is open", now().text);
        return body;
    }

  private:
    // Tokens.

    [[nodiscard]] const Token& now() const { return tokens_[next_]; }
    [[nodiscard]] const Token& behind() const { return tokens_[std::min(next_ + 1, tokens_.size() - 1)]; }
    Token take() {
        Token token = now();
        if (token.kind != TokenKind::end) ++next_;
        return token;
    }
    [[nodiscard]] static bool is(const Token& token, TokenKind kind, std::string_view text) {
        return token.kind == kind && token.text == text;
    }
    [[nodiscard]] bool at_symbol(std::string_view text) const { return is(now(), TokenKind::symbol, text); }
    [[nodiscard]] bool at_name(std::string_view text) const { return is(now(), TokenKind::name, text); }
    bool skip_symbol(std::string_view text) {
        const bool here = at_symbol(text);
        if (here) ++next_;
        return here;
    }
    bool skip_name(std::string_view text) {
        const bool here = at_name(text);
        if (here) ++next_;
        return here;
    }
    [[nodiscard]] std::string shown() const {
        return now().kind == TokenKind::end ? "the end of the template" : fmt::format("'{}'", now().text);
    }
    void expect_symbol(std::string_view text) {
        if (!skip_symbol(text)) refuse_at(now().at, "expected '{}', found {}", text, shown());
    }
    Token expect(TokenKind kind, std::string_view what) {
        if (now().kind != kind) refuse_at(now().at, "expected {}, found {}", what, shown());
        return take();
    }
    std::string expect_name() { return expect(TokenKind::name, "a name").text; }
    void end_block() { (void)expect(TokenKind::block_end, "'%}'"); }

    // Expressions.

    static std::unique_ptr<Expression> make(ExpressionKind kind, std::size_t at) {
        auto made = std::make_unique<Expression>();
        made->kind = kind;
        made->at = at;
        return made;
    }
    /// Sets the depth; a tree is read by recursion.
    static ExpressionPtr done(std::unique_ptr<Expression> made) {
        const auto look = [&](const ExpressionPtr& part) {
            if (part) made->depth = std::max(made->depth, part->depth + 1);
        };
        for (const auto& part : made->parts) look(part);
        for (const auto& part : made->arguments.positional) look(part);
        for (const auto& [name, part] : made->arguments.named) look(part);
        if (made->depth > deepest) refuse_at(made->at, "the expression is nested more than {} deep", deepest);
        return made;
    }
    template <class... Parts>
    static ExpressionPtr make(ExpressionKind kind, std::size_t at, std::string text, Parts... parts) {
        auto made = make(kind, at);
        made->text = std::move(text);
        (made->parts.push_back(std::move(parts)), ...);
        return done(std::move(made));
    }
    static ExpressionPtr constant(Value value, std::size_t at) {
        auto made = make(ExpressionKind::constant, at);
        made->constant = std::move(value);
        return made;
    }

    ExpressionPtr parse_expression() {
        const Level level(depth_, now().at);
        ExpressionPtr value = parse_or();
        while (at_name("if")) {
            const std::size_t at = take().at;
            ExpressionPtr condition = parse_or();
            if (skip_name("else")) {
                value = make(ExpressionKind::condition, at, "", std::move(condition), std::move(value),
                             parse_expression());
            } else {
                value = make(ExpressionKind::condition, at, "", std::move(condition), std::move(value));
            }
        }
        return value;
    }

    /// A chain of one operator on `parse_part`.
    template <class Part>
    ExpressionPtr parse_chain(ExpressionKind kind, std::string_view word, const Part& parse_part) {
        ExpressionPtr left = parse_part();
        while (at_name(word)) {
            const std::size_t at = take().at;
            left = make(kind, at, std::string(word), std::move(left), parse_part());
        }
        return left;
    }
    ExpressionPtr parse_or() {
        return parse_chain(ExpressionKind::disjunction, "or", [&] {
            return parse_chain(ExpressionKind::conjunction, "and", [&] { return parse_not(); });
        });
    }
    ExpressionPtr parse_not() {
        if (!at_name("not")) return parse_comparison();
        const Level level(depth_, now().at);
        const std::size_t at = take().at;
        return make(ExpressionKind::negation, at, "", parse_not());
    }

    ExpressionPtr parse_comparison() {
        auto made = make(ExpressionKind::comparison, now().at);
        made->parts.push_back(parse_sum());
        while (true) {
            if (now().kind == TokenKind::symbol && std::ranges::count(comparisons, now().text) > 0) {
                made->operators.push_back(take().text);
            } else if (skip_name("in")) {
                made->operators.emplace_back("in");
            } else if (at_name("not") && is(behind(), TokenKind::name, "in")) {
                next_ += 2;
                made->operators.emplace_back("not in");
            } else {
                break;
            }
            made->parts.push_back(parse_sum());
        }
        if (made->operators.empty()) return std::move(made->parts.front());
        return done(std::move(made));
    }

    /// Binary operators of one rank, from the left.
    template <class Part>
    ExpressionPtr parse_left(std::initializer_list<std::string_view> operators, const Part& parse_part) {
        ExpressionPtr left = parse_part();
        while (now().kind == TokenKind::symbol && std::ranges::count(operators, now().text) > 0) {
            Token token = take();
            left = make(ExpressionKind::arithmetic, token.at, std::move(token.text), std::move(left),
                        parse_part());
        }
        return left;
    }
    ExpressionPtr parse_sum() {
        return parse_left({"+", "-"}, [&] { return parse_concatenation(); });
    }
    ExpressionPtr parse_concatenation() {
        auto made = make(ExpressionKind::concatenation, now().at);
        made->parts.push_back(parse_product());
        while (skip_symbol("~")) made->parts.push_back(parse_product());
        if (made->parts.size() == 1) return std::move(made->parts.front());
        return done(std::move(made));
    }
    ExpressionPtr parse_product() {
        return parse_left({"*", "/", "//", "%"},
                          [&] { return parse_left({"**"}, [&] { return parse_unary(true); }); });
    }

    ExpressionPtr parse_unary(bool with_filters) {
        const Level level(depth_, now().at);
        ExpressionPtr value;
        if (at_symbol("-") || at_symbol("+")) {
            const Token sign = take();
            value = make(sign.text == "-" ? ExpressionKind::negative : ExpressionKind::positive, sign.at, "",
                         parse_unary(false));
        } else {
            value = parse_primary();
        }
        value = parse_postfix(std::move(value));
        return with_filters ? parse_filters(std::move(value)) : std::move(value);
    }

    ExpressionPtr parse_primary() {
        const Token token = now();
        switch (token.kind) {
            case TokenKind::name:
                ++next_;
                return parse_word(token);
            case TokenKind::text: {
                std::string text;
                while (now().kind == TokenKind::text) text += take().text;
                return constant(Value(std::move(text)), token.at);
            }
            case TokenKind::integer:
                ++next_;
                return constant(Value(whole(token)), token.at);
            case TokenKind::floating:
                ++next_;
                return constant(Value(std::stod(token.text)), token.at);
            default:
                break;
        }
        if (skip_symbol("(")) {
            ExpressionPtr value = parse_tuple(true);
            expect_symbol(")");
            return value;
        }
        if (at_symbol("[")) return parse_list();
        if (at_symbol("{")) return parse_mapping();
        refuse_at(token.at, "expected a value, found {}", shown());
    }

    static ExpressionPtr parse_word(const Token& token) {
        const std::string& word = token.text;
        if (word == "true" || word == "True") return constant(Value(true), token.at);
        if (word == "false" || word == "False") return constant(Value(false), token.at);
        if (word == "none" || word == "None") return constant(Value(), token.at);
        return make(ExpressionKind::name, token.at, word);
    }

    static std::int64_t whole(const Token& token) {
        std::string_view digits = token.text;
        int base = 10;
        if (digits.size() > 1 && digits[0] == '0' &&
            std::isalpha(static_cast<unsigned char>(digits[1])) != 0) {
            base = digits[1] == 'x' ? 16 : digits[1] == 'o' ? 8 : 2;
            digits.remove_prefix(2);
        }
        std::int64_t value = 0;
        const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
        if (read.ec != std::errc{}) refuse_at(token.at, "the number {} is too large", token.text);
        return value;
    }

    /// Whether a list of expressions ends here.
    [[nodiscard]] bool at_list_end() const {
        return now().kind == TokenKind::block_end || now().kind == TokenKind::print_end || at_symbol(")") ||
               at_name("in");
    }

    /// One expression, or several with commas, which are a tuple; "()" where `may_be_empty`.
    ExpressionPtr parse_tuple(bool may_be_empty) {
        auto made = make(ExpressionKind::tuple, now().at);
        bool is_tuple = false;
        while (!at_list_end()) {
            made->parts.push_back(parse_expression());
            if (!at_symbol(",")) break;
            is_tuple = true;
            ++next_;
        }
        if (made->parts.empty() && !may_be_empty) refuse_at(now().at, "expected a value, found {}", shown());
        if (made->parts.size() == 1 && !is_tuple) return std::move(made->parts.front());
        return done(std::move(made));
    }

    ExpressionPtr parse_list() {
        auto made = make(ExpressionKind::list, take().at);
        while (!at_symbol("]")) {
            made->parts.push_back(parse_expression());
            if (!skip_symbol(",")) break;
        }
        expect_symbol("]");
        return done(std::move(made));
    }

    ExpressionPtr parse_mapping() {
        auto made = make(ExpressionKind::mapping, take().at);
        while (!at_symbol("}")) {
            ExpressionPtr key = parse_expression();
            if (key->kind != ExpressionKind::constant || !key->constant.is_text())
                refuse_at(key->at, "only strings are implemented as keys of a mapping");
            expect_symbol(":");
            made->arguments.named.emplace_back(key->constant.text(), parse_expression());
            if (!skip_symbol(",")) break;
        }
        expect_symbol("}");
        return done(std::move(made));
    }

    ExpressionPtr parse_postfix(ExpressionPtr value) {
        while (true) {
            const std::size_t at = now().at;
            if (skip_symbol(".")) {
                if (now().kind == TokenKind::integer) {
                    const Token index = take();
                    value = make(ExpressionKind::item, at, "", std::move(value),
                                 constant(Value(whole(index)), index.at));
                } else {
                    value = make(ExpressionKind::attribute, at, expect_name(), std::move(value));
                }
            } else if (skip_symbol("[")) {
                value = parse_subscript(std::move(value), at);
            } else if (at_symbol("(")) {
                value = parse_call(std::move(value));
            } else {
                return value;
            }
        }
    }

    ExpressionPtr parse_call(ExpressionPtr callee) {
        auto made = make(ExpressionKind::call, now().at);
        made->arguments = parse_arguments();
        made->parts.push_back(std::move(callee));
        return done(std::move(made));
    }

    ExpressionPtr parse_subscript(ExpressionPtr value, std::size_t at) {
        std::array<ExpressionPtr, 3> bounds;
        std::size_t colons = 0;
        while (!at_symbol("]")) {
            if (at_symbol(":") && colons < 2) {
                ++next_;
                ++colons;
            } else if (bounds.at(colons) == nullptr) {
                bounds.at(colons) = parse_expression();
            } else {
                break;
            }
        }
        if (at_symbol(",")) refuse_at(now().at, "several subscripts are not implemented");
        expect_symbol("]");
        if (colons > 0)
            return make(ExpressionKind::slice, at, "", std::move(value), std::move(bounds[0]),
                        std::move(bounds[1]), std::move(bounds[2]));
        if (bounds[0] == nullptr) refuse_at(at, "a subscript is empty");
        return make(ExpressionKind::item, at, "", std::move(value), std::move(bounds[0]));
    }

    Arguments parse_arguments() {
        Arguments arguments;
        expect_symbol("(");
        while (!at_symbol(")")) {
            if (arguments.positional.size() + arguments.named.size() >= most_arguments)
                refuse_at(now().at, "more than {} arguments", most_arguments);
            if (at_symbol("*") || at_symbol("**"))
                refuse_at(now().at, "arguments from a list or mapping ('{}') are not implemented",
                          now().text);
            if (now().kind == TokenKind::name && is(behind(), TokenKind::symbol, "=")) {
                std::string name = take().text;
                ++next_;
                arguments.named.emplace_back(std::move(name), parse_expression());
            } else if (!arguments.named.empty()) {
                refuse_at(now().at, "an argument without a name stands behind one with a name");
            } else {
                arguments.positional.push_back(parse_expression());
            }
            if (!skip_symbol(",")) break;
        }
        expect_symbol(")");
        return arguments;
    }

    ExpressionPtr parse_filters(ExpressionPtr value) {
        while (true) {
            if (skip_symbol("|")) {
                value = parse_filter(std::move(value));
            } else if (at_name("is")) {
                value = parse_test(std::move(value));
            } else if (at_symbol("(")) {
                value = parse_call(std::move(value));
            } else {
                return value;
            }
        }
    }

    ExpressionPtr parse_filter(ExpressionPtr value) {
        auto made = make(ExpressionKind::filter, now().at);
        made->text = expect_name();
        if (!is_filter(made->text)) refuse_at(made->at, "the filter '{}' is not implemented", made->text);
        if (at_symbol("(")) made->arguments = parse_arguments();
        made->parts.push_back(std::move(value));
        return done(std::move(made));
    }

    ExpressionPtr parse_test(ExpressionPtr value) {
        ++next_;
        const std::size_t not_at = now().at;
        const bool negated = skip_name("not");
        auto made = make(ExpressionKind::test, now().at);
        made->text = expect_name();
        if (!is_test(made->text)) refuse_at(made->at, "the test '{}' is not implemented", made->text);
        if (at_symbol("(")) {
            made->arguments = parse_arguments();
        } else if (starts_argument()) {
            if (at_name("is")) refuse_at(now().at, "a test of a test needs brackets");
            made->arguments.positional.push_back(parse_postfix(parse_primary()));
        }
        made->parts.push_back(std::move(value));
        ExpressionPtr test = done(std::move(made));
        return negated ? make(ExpressionKind::negation, not_at, "", std::move(test)) : std::move(test);
    }

    /// Whether a test's argument follows that has no brackets: "is divisibleby 3".
    [[nodiscard]] bool starts_argument() const {
        switch (now().kind) {
            case TokenKind::name:
                return !at_name("else") && !at_name("or") && !at_name("and");
            case TokenKind::text:
            case TokenKind::integer:
            case TokenKind::floating:
                return true;
            default:
                return at_symbol("[") || at_symbol("{");
        }
    }

    // Statements.

    /// Up to a block of one of these names, whose name is then the next token, or up to the end.
    Body parse_body(std::initializer_list<std::string_view> ends) {
        const Level level(depth_, now().at);
        Body body;
        while (now().kind != TokenKind::end) {
            const Token token = take();
            if (token.kind == TokenKind::data) {
                body.push_back(statement(StatementKind::data, token.at));
                body.back().text = token.text;
            } else if (token.kind == TokenKind::print_begin) {
                body.push_back(statement(StatementKind::print, token.at));
                body.back().value = parse_tuple(false);
                (void)expect(TokenKind::print_end, "'}}'");
            } else {
                if (now().kind == TokenKind::name && std::ranges::count(ends, now().text) > 0) return body;
                body.push_back(parse_statement());
                end_block();
            }
        }
        return body;
    }

    static Statement statement(StatementKind kind, std::size_t at) {
        Statement made;
        made.kind = kind;
        made.at = at;
        return made;
    }

    /// The rest of a block that `end` ends.
    Body parse_inside(std::string_view end, const Token& begin) {
        end_block();
        Body body = parse_body({end});
        close(end, begin);
        return body;
    }
    void close(std::string_view end, const Token& begin) {
        if (!skip_name(end)) refuse_at(begin.at, "the block '{}' is not ended by '{}'", begin.text, end);
    }

    Statement parse_statement() {
        const Token tag = expect(TokenKind::name, "the name of a block");
        const std::string& name = tag.text;
        if (name == "if") return parse_if(tag);
        if (name == "for") return parse_for(tag);
        if (name == "set") return parse_set(tag);
        if (name == "macro") return parse_macro(tag);
        if (name == "with") return parse_with(tag);
        if (name == "print") {
            Statement made = statement(StatementKind::print, tag.at);
            made.value = parse_tuple(false);
            return made;
        }
        if (name == "filter") {
            Statement made = statement(StatementKind::filter, tag.at);
            made.value = parse_block_filters(true);
            made.body = parse_inside("endfilter", tag);
            return made;
        }
        if (name == "generation") {
            Statement made = statement(StatementKind::scope, tag.at);
            made.body = parse_inside("endgeneration", tag);
            return made;
        }
        if (name == "break" || name == "continue") {
            if (loops_ == 0) refuse_at(tag.at, "'{}' stands in no loop", name);
            return statement(name == "break" ? StatementKind::leave_loop : StatementKind::next_round, tag.at);
        }
        if (name.starts_with("end") || name == "elif" || name == "else")
            refuse_at(tag.at, "'{}' ends no block that is open", name);
        refuse_at(tag.at, "the block '{}' is not implemented", name);
    }

    Statement parse_if(const Token& tag) {
        Statement made = statement(StatementKind::branches, tag.at);
        Branch branch{parse_plain_tuple(), {}};
        while (true) {
            end_block();
            branch.body = parse_body({"elif", "else", "endif"});
            const bool is_last = branch.condition == nullptr;
            made.branches.push_back(std::move(branch));
            branch = {};
            if (is_last || at_name("endif")) break;
            if (skip_name("elif")) {
                branch.condition = parse_plain_tuple();
            } else if (!skip_name("else")) {
                break;
            }
        }
        close("endif", tag);
        return made;
    }

    Statement parse_for(const Token& tag) {
        Statement made = statement(StatementKind::loop, tag.at);
        made.target = parse_target(false);
        if (!skip_name("in")) refuse_at(now().at, "expected 'in', found {}", shown());
        made.value = parse_plain_tuple();
        if (skip_name("if")) made.condition = parse_expression();
        if (at_name("recursive")) refuse_at(now().at, "a recursive loop is not implemented");
        end_block();
        ++loops_;
        made.body = parse_body({"endfor", "else"});
        --loops_;
        if (skip_name("else")) {
            end_block();
            Branch otherwise{nullptr, parse_body({"endfor"})};
            made.branches.push_back(std::move(otherwise));
        }
        close("endfor", tag);
        return made;
    }

    /// One expression or several without "x if y": in a loop, the "if" is the loop's.
    ExpressionPtr parse_plain_tuple() {
        auto made = make(ExpressionKind::tuple, now().at);
        made->parts.push_back(parse_or());
        while (skip_symbol(",")) {
            if (at_list_end() || at_name("if")) break;
            made->parts.push_back(parse_or());
        }
        if (made->parts.size() == 1) return std::move(made->parts.front());
        return done(std::move(made));
    }

    Target parse_target(bool may_be_attribute) {
        std::vector<Target> items;
        const std::size_t at = now().at;
        bool is_tuple = false;
        do {
            if (at_name("in") || at_symbol(")") || at_symbol("=") || now().kind == TokenKind::block_end)
                break;
            if (!items.empty()) is_tuple = true;
            items.push_back(parse_one_target(may_be_attribute));
        } while (skip_symbol(",") && (is_tuple = true));
        if (items.size() == 1 && !is_tuple) return std::move(items.front());
        if (items.empty()) refuse_at(now().at, "expected a name, found {}", shown());
        return {at, "", "", std::move(items)};
    }

    Target parse_one_target(bool may_be_attribute) {
        const Level level(depth_, now().at);
        if (skip_symbol("(")) {
            Target inner = parse_target(may_be_attribute);
            expect_symbol(")");
            return inner;
        }
        const std::size_t at = now().at;
        Target target{at, expect_name(), "", {}};
        constexpr std::array reserved{"true", "false", "none", "True", "False", "None", "not",
                                      "and",  "or",    "if",   "else", "is",    "in"};
        if (std::ranges::count(reserved, target.name) > 0)
            refuse_at(at, "'{}' cannot be assigned to", target.name);
        if (may_be_attribute && skip_symbol(".")) target.attribute = expect_name();
        return target;
    }

    Statement parse_set(const Token& tag) {
        Statement made = statement(StatementKind::assign, tag.at);
        made.target = parse_target(true);
        if (skip_symbol("=")) {
            made.value = parse_tuple(false);
            return made;
        }
        made.kind = StatementKind::capture;
        if (made.target.name.empty()) refuse_at(made.target.at, "a block can be assigned to one name only");
        made.value = parse_block_filters(false);
        made.body = parse_inside("endset", tag);
        return made;
    }

    /// "name | name ...", or "| name ..." , of what the block renders.
    ExpressionPtr parse_block_filters(bool begins_with_name) {
        ExpressionPtr value = make(ExpressionKind::captured, now().at, "");
        if (begins_with_name) value = parse_filter(std::move(value));
        while (skip_symbol("|")) value = parse_filter(std::move(value));
        return value;
    }

    Statement parse_macro(const Token& tag) {
        Statement made = statement(StatementKind::macro, tag.at);
        made.text = expect_name();
        expect_symbol("(");
        while (!at_symbol(")")) {
            Parameter parameter{expect_name(), nullptr};
            if (skip_symbol("=")) {
                parameter.value = parse_expression();
            } else if (!made.parameters.empty() && made.parameters.back().value != nullptr) {
                refuse_at(now().at, "a parameter without a default stands behind one with a default");
            }
            made.parameters.push_back(std::move(parameter));
            if (!skip_symbol(",")) break;
        }
        expect_symbol(")");
        const int loops = std::exchange(loops_, 0);
        made.body = parse_inside("endmacro", tag);
        loops_ = loops;
        return made;
    }

    Statement parse_with(const Token& tag) {
        Statement made = statement(StatementKind::scope, tag.at);
        while (now().kind != TokenKind::block_end) {
            Parameter parameter{expect_name(), nullptr};
            expect_symbol("=");
            parameter.value = parse_expression();
            made.parameters.push_back(std::move(parameter));
            if (!skip_symbol(",")) break;
        }
        made.body = parse_inside("endwith", tag);
        return made;
    }

    std::vector<Token> tokens_;
    std::size_t next_ = 0;
    int depth_ = 0;
    int loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source) {
    return Parser(source).run();
}

}  // namespace jlcm::jinja
