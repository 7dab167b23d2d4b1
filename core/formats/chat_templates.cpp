#include "core/formats/chat_templates.hpp"

#include "core/formats/config_keys.hpp"

#include <string_view>

namespace jlcm {

using nlohmann::json;

std::map<std::string, std::string> chat_templates(const Checkpoint& model) {
    std::map<std::string, std::string> result;
    const auto add = [&](const std::string& name, const json& content) {
        if (content.is_string() && !name.empty()) result.emplace(name, content.get<std::string>());
    };
    constexpr std::string_view folder = "additional_chat_templates/";
    constexpr std::string_view ending = ".jinja";
    for (const auto& [name, content] : model.files)
        if (name.starts_with(folder) && name.ends_with(ending))
            add(name.substr(folder.size(), name.size() - folder.size() - ending.size()), content);
    if (has_key(model.extra, "chat_template")) {
        const json& given = model.extra.at("chat_template");
        add("default", given);
        if (given.is_array())
            for (const json& one : given)
                if (has_key(one, "template") && has_key(one, "name") && one.at("name").is_string())
                    add(one.at("name").get<std::string>(), one.at("template"));
    }
    if (has_key(model.extra, "chat_templates") && model.extra.at("chat_templates").is_object())
        for (const auto& [name, content] : model.extra.at("chat_templates").items()) add(name, content);
    return result;
}

}  // namespace jlcm
