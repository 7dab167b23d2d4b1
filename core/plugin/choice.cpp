#include "core/plugin/choice.hpp"

namespace jlcm {
namespace {

/// The options in `map` that are meant for the plugin `name`, where the field's default is `default_name`.
Config options_for(const Config& map, std::string_view name, std::string_view default_name) {
    Config options = map;
    if (name != default_name)
        std::erase_if(options.entries, [](const auto& entry) { return entry.only_for_default_plugin; });
    return options;
}

}  // namespace

void AnyChoice::decode(const Config& given, Problems& problems) {
    const Registry& registry = Registry::instance();
    const bool is_map = given.kind == Config::Kind::map;
    const Config* type = is_map ? given.find("type") : &given;
    const std::vector<std::string> names = registry.names(kind_);
    if (type == nullptr && empty()) {
        problems.here(given, "the key \"type\" is missing, expected one of {}", fmt::join(names, ", "));
        return;
    }
    if (type != nullptr && type->kind != Config::Kind::scalar) {
        problems.here(*type, "expected the name of a plugin of kind {} or a map with its \"type\", got {}",
                      kind_, type->describe());
        return;
    }
    const std::string name = type != nullptr ? type->text : name_;
    const PluginEntry* plugin = registry.find(kind_, name);
    if (plugin == nullptr) {
        problems.here(type != nullptr ? *type : given, "unknown {} \"{}\"{}", kind_, name,
                      suggestion(name, names));
        return;
    }
    Config options = Config::map();
    options.origin = given.origin;
    if (is_map) options = options_for(given, name, name_);
    const auto decoded = plugin->options.make();
    plugin->options.decode(decoded.get(), options, problems);
    name_ = name;
    options_ = decoded;
}

const PluginEntry& AnyChoice::entry() const {
    require(!empty(), "no {} is chosen", kind_);
    return Registry::instance().get(kind_, name_);
}

std::shared_ptr<const void> AnyChoice::options() const {
    return options_ ? options_ : entry().options.make();
}

Config AnyChoice::encode() const {
    if (empty()) return {};
    Config map = Config::map();
    map.entry("type").value = Config::string(name_);
    const Config options = entry().options.encode(this->options().get());
    map.entries.insert(map.entries.end(), options.entries.begin(), options.entries.end());
    return map;
}

void ChoiceSlot::decode(const Config& given, const Range& /*range*/, Problems& problems) {
    variable_.decode(given, problems);
}

void ChoiceSlot::decode_absent(const Config& parent, Problems& problems) {
    Config empty = Config::map();
    empty.origin = parent.origin;
    if (!variable_.empty()) variable_.decode(empty, problems);
}

Config ChoiceSlot::brief() const {
    return variable_.empty() ? Config{} : Config::string(variable_.name());
}

TypeDoc ChoiceSlot::type() const {
    TypeDoc type = TypeDoc::of(TypeDoc::Kind::plugin);
    type.plugin_kind = variable_.kind();
    return type;
}

}  // namespace jlcm
