#include "core/spec/resolve.hpp"

namespace jlcm {
namespace {

void mark_default(Config& config) {
    config.origin = {"default", 0, 0};
    for (Config& item : config.items) mark_default(item);
    for (auto& entry : config.entries) mark_default(entry.value);
}

void take(Config& resolved, const Config& given) {
    using Kind = Config::Kind;
    resolved.origin = given.origin;
    if (resolved.kind == Kind::map && given.kind == Kind::scalar) {  // a bare plugin name
        resolved.entry("type").value.origin = given.origin;
    } else if (resolved.kind == Kind::list && given.kind != Kind::list && resolved.items.size() == 1) {
        take(resolved.items.front(), given);  // a lone value for a list of one
    } else if (resolved.kind == Kind::list) {
        for (std::size_t i = 0; i < resolved.items.size() && i < given.items.size(); ++i)
            take(resolved.items[i], given.items[i]);
    } else if (resolved.kind == Kind::map) {
        for (const auto& from : given.entries) {
            if (resolved.find(from.key) == nullptr) continue;
            Config& to = resolved.entry(from.key).value;
            // An option of the default plugin may have been dropped for another plugin's of the same name.
            if (!from.only_for_default_plugin || to.text == from.value.text) take(to, from.value);
        }
    }
}

}  // namespace

void take_origins(Config& resolved, const Config& given) {
    mark_default(resolved);
    take(resolved, given);
}

}  // namespace jlcm
