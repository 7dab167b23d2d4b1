#include "core/base/problems.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <tuple>

namespace jlcm {
namespace {

constexpr std::size_t most_shown = 50;

std::string folded(std::string_view word) {
    std::string result;
    for (const char c : word)
        result += c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

/// Optimal string alignment distance.
std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substituted = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, substituted});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

}  // namespace

std::string Origin::str() const {
    if (line == 0) return source;
    return column == 0 ? fmt::format("{}:{}", source, line) : fmt::format("{}:{}:{}", source, line, column);
}

void ProblemList::add(const Origin& where, std::string_view message) {
    found_.push_back({where, std::string(message)});
}

std::string ProblemList::text() const {
    std::map<std::string, std::size_t> rank;
    for (const Found& found : found_) rank.emplace(found.where.source, rank.size());
    std::vector<const Found*> order;
    for (const Found& found : found_) order.push_back(&found);
    const auto key = [&](const Found* found) {
        return std::tuple(rank.at(found->where.source), found->where.line, found->where.column);
    };
    std::stable_sort(order.begin(), order.end(), [&](auto* a, auto* b) { return key(a) < key(b); });
    std::string text;
    for (std::size_t i = 0; i < order.size() && i < most_shown; ++i) {
        if (i > 0) text += '\n';
        const std::string where = order[i]->where.str();
        text += where.empty() ? order[i]->message : where + ": " + order[i]->message;
    }
    if (order.size() > most_shown) text += fmt::format("\n... and {} more", order.size() - most_shown);
    return text;
}

void ProblemList::throw_if_any() const {
    if (!found_.empty()) throw Error(ErrorKind::input, text());
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates) {
    constexpr std::size_t longest = 64;  // a word longer than that is no typo of a name
    if (word.size() > longest) return {};
    std::string best;
    std::size_t best_edits = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t count = edits(folded(word), folded(candidate));
        if (count < best_edits && count < candidate.size()) {
            best_edits = count;
            best = candidate;
        }
    }
    return best;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
    if (const std::string near = nearest_word(word, candidates); !near.empty())
        return fmt::format(", did you mean \"{}\"?", near);
    if (candidates.empty()) return ", nothing is expected here";
    return fmt::format(", expected one of {}", fmt::join(candidates, ", "));
}

}  // namespace jlcm
