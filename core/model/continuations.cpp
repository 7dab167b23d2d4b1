#include "core/model/continuations.hpp"

#include "core/base/interrupt.hpp"
#include "core/tensor/reorder.hpp"

#include <algorithm>
#include <numeric>

namespace jlcm {
namespace {

/// Tokens of one forward, those that fill up shorter texts included.
constexpr std::int64_t tokens_per_step = 2048;
/// Rows of scores over a vocabulary that are held at once.
constexpr std::int64_t rows_of_scores = 64;

/// The most likely token of each row of features, the first of equals.
std::vector<std::int32_t> most_likely_tokens(const BoundModel& model, const Tensor& features) {
    std::vector<std::int32_t> tokens;
    for (std::int64_t begin = 0; begin < features.rows(); begin += rows_of_scores) {
        const std::int64_t end = std::min(features.rows(), begin + rows_of_scores);
        const Tensor scores = model.scores_of(features.slice(begin, end));
        for (std::int64_t row = 0; row < end - begin; ++row) {
            const auto width = static_cast<std::size_t>(scores.cols());
            const auto own = scores.values<float>().subspan(static_cast<std::size_t>(row) * width, width);
            tokens.push_back(static_cast<std::int32_t>(std::ranges::max_element(own) - own.begin()));
        }
    }
    return tokens;
}

/// Texts of one forward as they are read: the last token of each only counts as a target.
class Step {
  public:
    Step(const std::vector<Continuation>& all, std::span<const std::size_t> chosen)
        : all_(all), chosen_(chosen) {
        std::size_t length = 0;
        for (const std::size_t i : chosen) length = std::max(length, all[i].ids.size() - 1);
        ids_ = Tensor::zeros({std::ssize(chosen), static_cast<std::int64_t>(length)}, DType::i32);
        for (std::size_t row = 0; row < chosen.size(); ++row) {
            const auto& [ids, begin] = all[chosen[row]];
            std::ranges::copy(ids.first(ids.size() - 1), ids_.data<std::int32_t>() + row * length);
            for (std::size_t at = begin; at < ids.size(); ++at) {
                rows_.push_back(static_cast<std::int64_t>(row * length + at - 1));
                targets_.push_back(ids[at]);
            }
        }
    }

    /// Features are made of all that is read, scores of what predicts a target.
    void score(const BoundModel& model, std::vector<double>& result,
               std::vector<std::vector<std::int32_t>>* greedy) const {
        const Tensor features = gather_rows(model.features(ids_), rows_);
        const TokenScores scores = model.backend().score_tokens(features, model.head(), targets_, nullptr,
                                                                nullptr, model.graph().head_soft_cap());
        auto nll = scores.nll.begin();
        for (const std::size_t i : chosen_)
            for (std::size_t at = all_[i].begin; at < all_[i].ids.size(); ++at)
                result[i] -= static_cast<double>(*nll++);
        if (greedy == nullptr) return;
        const auto tokens = most_likely_tokens(model, features);
        auto token = tokens.begin();
        for (const std::size_t i : chosen_) {
            const auto count = static_cast<std::ptrdiff_t>(all_[i].ids.size() - all_[i].begin);
            (*greedy)[i].assign(token, token + count);
            token += count;
        }
    }

  private:
    const std::vector<Continuation>& all_;
    std::span<const std::size_t> chosen_;
    Tensor ids_;
    std::vector<std::int64_t> rows_;
    std::vector<std::int32_t> targets_;
};

}  // namespace

std::vector<double> log_likelihoods(const BoundModel& model, const std::vector<Continuation>& continuations,
                                    const std::function<void(std::int64_t)>& progress,
                                    std::vector<std::vector<std::int32_t>>* greedy) {
    // Longest first: texts of one forward are about equally long, and what memory it takes shows at once.
    std::vector<std::size_t> order(continuations.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater(),
                             [&](std::size_t i) { return continuations[i].ids.size(); });
    std::vector<double> result(continuations.size(), 0.0);
    if (greedy != nullptr) greedy->assign(continuations.size(), {});
    for (std::size_t begin = 0; begin < order.size();) {
        throw_if_interrupted();
        const auto& [ids, scored] = continuations[order[begin]];
        ensure(scored >= 1 && scored < ids.size(), "{} tokens scored from {} on", ids.size(), scored);
        const auto fitting =
            static_cast<std::size_t>(std::max<std::int64_t>(1, tokens_per_step / (std::ssize(ids) - 1)));
        const std::size_t count = std::min(fitting, order.size() - begin);
        Step(continuations, std::span(order).subspan(begin, count)).score(model, result, greedy);
        begin += count;
        if (progress) progress(static_cast<std::int64_t>(begin));
    }
    return result;
}

}  // namespace jlcm
