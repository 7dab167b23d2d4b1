#include "core/formats/added_vocabulary.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <utility>

namespace jlcm {

using nlohmann::json;

TokenEntry token_entry_from(const json& object) {
    require(object.is_object(), "{} is not an object with a 'content'", object.dump());
    const auto content = object.find("content");
    require(content != object.end() && content->is_string(), "'content' is not a string in {}",
            object.dump());
    TokenEntry token;
    token.content = content->get<std::string>();
    const auto flag = [&](const char* name, bool otherwise) {
        const auto found = object.find(name);
        if (found == object.end()) return otherwise;
        require(found->is_boolean(), "'{}' of \"{}\" is {}: expected true or false", name, token.content,
                found->dump());
        return found->get<bool>();
    };
    token.single_word = flag("single_word", false);
    token.lstrip = flag("lstrip", false);
    token.rstrip = flag("rstrip", false);
    token.special = flag("special", false);
    token.normalized = flag("normalized", !token.special);
    return token;
}

AddedVocabulary::AddedVocabulary(std::unordered_map<std::string, std::int64_t> vocabulary)
    : vocabulary_(std::move(vocabulary)) {}

std::int64_t AddedVocabulary::next_id() const {
    const std::int64_t size = std::ssize(vocabulary_);
    return added_.empty() ? size : std::max(size, added_.rbegin()->first + 1);
}

void AddedVocabulary::add(const TokenEntry& token) {
    if (token.content.empty()) return;
    const std::int64_t id = id_of(token.content).value_or(next_id());
    added_ids_[token.content] = id;
    added_[id] = token;
    if (token.special) first_special_.try_emplace(token.content, token.normalized);
}

std::optional<std::int64_t> AddedVocabulary::id_of(const std::string& content) const {
    for (const auto* ids : {&added_ids_, &vocabulary_})
        if (const auto found = ids->find(content); found != ids->end()) return found->second;
    return std::nullopt;
}

json AddedVocabulary::to_json() const {
    json list = json::array();
    const auto write = [&](std::int64_t id, const TokenEntry& token) {
        list.push_back({{"id", id},
                        {"content", token.content},
                        {"single_word", token.single_word},
                        {"lstrip", token.lstrip},
                        {"rstrip", token.rstrip},
                        {"normalized", token.normalized},
                        {"special", token.special}});
    };
    for (const auto& [id, token] : added_) {
        const auto first = first_special_.find(token.content);
        if (first != first_special_.end() && first->second != token.normalized) {
            TokenEntry other = token;
            other.normalized = first->second;
            other.special = true;
            write(id, other);
        }
        write(id, token);
    }
    return list;
}

}  // namespace jlcm
