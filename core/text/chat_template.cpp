#include "core/text/chat_template.hpp"

#include "core/base/error.hpp"
#include "core/text/jinja/interpreter.hpp"
#include "core/text/jinja/lexer.hpp"
#include "core/text/jinja/parser.hpp"
#include "core/text/jinja/python_text.hpp"
#include "core/text/utf8.hpp"

#include <algorithm>

namespace jlcm {
namespace {

constexpr std::size_t longest_source = 1 << 20;

/// What `work` returns; a problem becomes an input error that says where.
template <class Work>
auto told(const std::string& name, std::string_view source, const Work& work) {
    try {
        return work();
    } catch (const jinja::Problem& problem) {
        const std::string_view before = source.substr(0, problem.at().value_or(0));
        const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
        throw Error(ErrorKind::input,
                    fmt::format("{}:{}:{}: {}", name, 1 + std::ranges::count(before, '\n'),
                                1 + jinja::python::length(before.substr(line_begin)), problem.what()));
    }
}

}  // namespace

ChatTemplate::ChatTemplate(const std::string& source, std::string name) : name_(std::move(name)) {
    require(source.size() <= longest_source, "{}: a template of {} bytes; at most {} are read", name_,
            source.size(), longest_source);
    source_ = jinja::normalized_source(valid_utf8(source));
    body_ = told(name_, source_,
                 [&] { return std::make_shared<const jinja::Body>(jinja::parse_template(source_)); });
}

std::string ChatTemplate::render(const nlohmann::ordered_json& variables, std::optional<std::time_t> now,
                                 const TemplateLimits& limits) const {
    return told(name_, source_, [&] {
        return jinja::render(*body_, variables, now.value_or(std::time(nullptr)),
                             {limits.work, limits.output});
    });
}

}  // namespace jlcm
