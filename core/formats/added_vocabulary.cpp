#include "core/formats/added_vocabulary.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

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
    Forms& forms = forms_[token.content];
    if (!token.special) {
        (token.normalized ? forms.plain_normalized : forms.plain) = true;
    } else if (!forms.special_normalized) {
        forms.special_normalized = token.normalized;
    }
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
        const Forms& forms = forms_.at(token.content);
        std::vector<std::pair<bool, bool>> each;  // special, normalized
        if (forms.plain) each.emplace_back(false, false);
        if (forms.plain_normalized) each.emplace_back(false, true);
        if (forms.special_normalized) each.emplace_back(true, *forms.special_normalized);
        // What it is now stands last, and a form that is looked for as another one is left out.
        const bool is_special = token.special;
        std::ranges::stable_partition(each, [&](const auto& form) { return form.first != is_special; });
        for (std::size_t i = 0; i < each.size(); ++i) {
            const bool again = std::any_of(each.begin() + static_cast<std::ptrdiff_t>(i) + 1, each.end(),
                                           [&](const auto& form) { return form.second == each[i].second; });
            TokenEntry own = token;
            std::tie(own.special, own.normalized) = each[i];
            if (!again) write(id, own);
        }
    }
    return list;
}

}  // namespace jlcm
