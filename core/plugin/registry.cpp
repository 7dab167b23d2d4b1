#include "core/plugin/registry.hpp"

#include <algorithm>

namespace jlcm {

Registry& Registry::instance() {
    static Registry registry;
    return registry;
}

void Registry::add(std::string_view kind, std::string_view kind_doc, std::unique_ptr<PluginEntry> plugin) {
    const bool is_word =
        !plugin->name.empty() && std::all_of(plugin->name.begin(), plugin->name.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        });
    require(is_word, "plugin {}.{}: a plugin's name is made of a-z, 0-9, '_', '-' and '.'", kind,
            plugin->name);
    Kind& entry = kinds_[std::string(kind)];
    entry.doc = kind_doc;
    const auto [at, is_new] = entry.plugins.try_emplace(plugin->name, nullptr);
    require(is_new, "plugin {}.{} is registered twice: give one of the two another name", kind, plugin->name);
    at->second = std::move(plugin);
}

void Registry::add_section(std::string_view name, std::string_view doc, const OptionsType& options) {
    sections_.insert_or_assign(std::string(name), SectionEntry{std::string(doc), options});
}

void Registry::defer(const Error& error) {
    deferred_.push_back(error);
}

void Registry::throw_deferred() const {
    if (!deferred_.empty()) throw Error(deferred_.front());
}

const PluginEntry* Registry::find(std::string_view kind, std::string_view name) const {
    throw_deferred();
    const auto plugins = kinds_.find(kind);
    if (plugins == kinds_.end()) return nullptr;
    const auto found = plugins->second.plugins.find(name);
    return found == plugins->second.plugins.end() ? nullptr : found->second.get();
}

const PluginEntry& Registry::get(std::string_view kind, std::string_view name) const {
    const PluginEntry* found = find(kind, name);
    require(found != nullptr, "unknown {} \"{}\"{}", kind, name, suggestion(name, names(kind)));
    return *found;
}

std::vector<std::string> Registry::names(std::string_view kind) const {
    throw_deferred();
    std::vector<std::string> names;
    if (const auto found = kinds_.find(kind); found != kinds_.end())
        for (const auto& [name, plugin] : found->second.plugins) names.push_back(name);
    return names;
}

const std::map<std::string, Registry::Kind, std::less<>>& Registry::kinds() const {
    throw_deferred();
    return kinds_;
}

const std::map<std::string, SectionEntry, std::less<>>& Registry::sections() const {
    return sections_;
}

}  // namespace jlcm
