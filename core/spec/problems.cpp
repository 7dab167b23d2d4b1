#include "core/spec/problems.hpp"

namespace jlcm {

void Problems::add_at_path(const Origin& where, std::string_view message) {
    const std::string path = levels_.empty() ? "" : levels_.back().path;
    add(where, path.empty() ? std::string(message) : path + ": " + std::string(message));
}

void Problems::add_field(std::string_view name, std::string_view message) {
    static const Config nowhere;
    const Config& parent = levels_.empty() ? nowhere : *levels_.back().node;
    const Config* value = parent.find(name);
    const Scope scope(*this, value != nullptr ? *value : parent, name);
    add_at_path(levels_.back().node->origin, message);
}

Problems::Scope::Scope(Problems& problems, const Config& node, std::string_view segment)
    : problems_(problems) {
    std::string path = problems.levels_.empty() ? "" : problems.levels_.back().path;
    if (!path.empty() && !segment.empty()) path += '.';
    problems.levels_.push_back({&node, path + std::string(segment)});
}

Problems::Scope::~Scope() {
    problems_.levels_.pop_back();
}

}  // namespace jlcm
