#include "core/model/scoring.hpp"

#include "core/backend/few_rows.hpp"
#include "core/base/files.hpp"
#include "core/base/interrupt.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {
namespace {

/// Tokens of one forward: enough for products to be efficient, few enough for memory.
constexpr std::int64_t tokens_per_step = 1024;

/// The token that each position of ids [windows, context] predicts, -1 where it is not scored: a position
/// predicts the next token of its window, the last one nothing.
std::vector<std::int32_t> scored_targets(const Tensor& ids, const ScoringOptions& options) {
    const std::int64_t context = options.context;
    const std::int64_t first_scored = options.positions == Positions::all ? 1 : context / 2 + 1;
    std::vector<std::int32_t> targets(static_cast<std::size_t>(ids.size()), -1);
    for (std::int64_t w = 0; w < ids.rows(); ++w)
        for (std::int64_t i = first_scored; i < context; ++i)
            targets[static_cast<std::size_t>(w * context + i - 1)] =
                ids.data<std::int32_t>()[w * context + i];
    return targets;
}

/// Adds the scored tokens of consecutive windows to `windows`, one after another.
void add_scores(const TokenScores& scores, const std::vector<std::int32_t>& targets, std::int64_t context,
                std::span<WindowScore> windows) {
    for (std::size_t at = 0; at < targets.size(); ++at) {
        if (targets[at] < 0) continue;
        WindowScore& window = windows[at / static_cast<std::size_t>(context)];
        ++window.tokens;
        window.nll += static_cast<double>(scores.nll[at]);
        if (scores.kl.empty()) continue;
        window.kl += static_cast<double>(scores.kl[at]);
        window.agree += scores.agree[at];
        window.divergences.push_back(
            {.kl = scores.kl[at], .confidence = std::exp(-scores.reference_nll[at])});
    }
}

}  // namespace

WindowScore& WindowScore::operator+=(const WindowScore& other) {
    tokens += other.tokens;
    nll += other.nll;
    kl += other.kl;
    agree += other.agree;
    divergences.insert(divergences.end(), other.divergences.begin(), other.divergences.end());
    return *this;
}

Tensor head_input(const Tensor& features, const BoundWeight& head, Backend& backend) {
    const std::int64_t width = features.shape().back();
    const Tensor rows = features.reshape({features.size() / width, width});
    // Kernels on codes round what they read themselves.
    const bool as_they_are = !head.defined() || codes_for(head, rows.rows()) != nullptr;
    return as_they_are ? rows : backend.convert(rows, head.dtype());
}

BoundWeight head_or_identity(const BoundWeight& head, const Tensor& features) {
    if (head.defined()) return head;
    const std::int64_t classes = features.cols();
    Tensor identity = Tensor::zeros({classes, classes});
    for (std::int64_t i = 0; i < classes; ++i) identity.data<float>()[i * (classes + 1)] = 1.0F;
    return identity;
}

Tensor head_scores(const Tensor& features, const BoundWeight& head, double soft_cap, Backend& backend) {
    const Tensor scores = backend.product(features, head);
    return soft_cap > 0 ? backend.unary({Unary::soft_cap, soft_cap}, scores) : scores;
}

BoundModel::BoundModel(const WeightSource& source, DType compute, Backend& backend, FeatureStore* store,
                       Products products)
    : source_(&source),
      executor_(source.graph(), backend, compute),
      weights_(source.graph()),
      head_(bound_head(source, compute, backend, products)),
      store_(store),
      products_(products) {
    bind_weights(weights_, source, source.graph().body().nodes, compute, backend, Binding::packed, products);
}

Tensor BoundModel::features(const Tensor& samples) const {
    if (store_ == nullptr) return computed_features(samples);
    return store_->features(samples, [&] { return computed_features(samples); });
}

Tensor BoundModel::computed_features(const Tensor& samples) const {
    const Graph& graph = executor_.graph();
    if (samples.dtype() != DType::i32 || graph.blocks().empty()) {
        const Tensor x = executor_.forward(graph.body(), weights_, samples);
        return head_input(x, head_, executor_.backend());
    }
    // A language model goes block by block, so that no more of mapped files than a block stays in memory.
    const auto through = [&](const Block& block, const Tensor& input) {
        Tensor output = executor_.forward(block, weights_, input);
        release_mapped_pages();
        return output;
    };
    Tensor x = through(graph.prologue(), samples);
    for (const Block& block : graph.blocks()) x = through(block, x);
    return head_input(through(graph.epilogue(), x), head_, executor_.backend());
}

Tensor BoundModel::scores(const Tensor& samples) const {
    return scores_of(features(samples));
}

Tensor BoundModel::scores_of(const Tensor& features) const {
    if (!head_.defined()) return features;
    return head_scores(features, head_, graph().head_soft_cap(), backend());
}

Predictions BoundModel::predict(const Tensor& samples) const {
    Tensor x = features(samples);
    BoundWeight head = head_or_identity(head_, x);
    return {std::move(x), std::move(head)};
}

std::vector<std::vector<WindowScore>> score_windows(const std::vector<const BoundModel*>& models,
                                                    std::span<const std::int32_t> tokens,
                                                    const ScoringOptions& options, std::int64_t limit,
                                                    const ScoringProgress& progress) {
    const std::int64_t context = options.context;
    require(context >= 2, "a context of {} tokens predicts nothing; it must be at least 2", context);
    const auto available = static_cast<std::int64_t>(tokens.size()) / context;
    const std::int64_t windows = limit > 0 ? std::min(limit, available) : available;
    require(windows > 0, "the text has {} tokens, fewer than one window of {}", tokens.size(), context);

    std::vector<std::vector<WindowScore>> scores(models.size(),
                                                 std::vector<WindowScore>(static_cast<std::size_t>(windows)));
    WindowScore last_total;
    const std::int64_t batch = std::max<std::int64_t>(1, tokens_per_step / context);
    for (std::int64_t begin = 0; begin < windows; begin += batch) {
        throw_if_interrupted();
        const std::int64_t count = std::min(batch, windows - begin);
        Tensor ids = Tensor::from<std::int32_t>({count, context},
                                                tokens.subspan(static_cast<std::size_t>(begin * context),
                                                               static_cast<std::size_t>(count * context)));
        const std::vector<std::int32_t> targets = scored_targets(ids, options);
        if (options.bos >= 0)
            for (std::int64_t w = 0; w < count; ++w) ids.data<std::int32_t>()[w * context] = options.bos;

        const BoundModel& original = *models.front();
        const double soft_cap = original.graph().head_soft_cap();
        const Tensor reference = original.features(ids);
        const auto first = static_cast<std::size_t>(begin);
        if (models.size() == 1)
            add_scores(original.backend().score_tokens(reference, original.head(), targets, nullptr, nullptr,
                                                       soft_cap),
                       targets, context, std::span(scores[0]).subspan(first));
        for (std::size_t m = 1; m < models.size(); ++m) {
            const TokenScores each = original.backend().score_tokens(
                models[m]->features(ids), models[m]->head(), targets, &reference, &original.head(), soft_cap);
            add_scores(each, targets, context, std::span(scores[m]).subspan(first));
            if (m == 1) {
                const TokenScores own{.nll = each.reference_nll, .reference_nll = {}, .kl = {}, .agree = {}};
                add_scores(own, targets, context, std::span(scores[0]).subspan(first));
            }
        }
        for (std::int64_t w = begin; w < begin + count; ++w)
            last_total += scores.back()[static_cast<std::size_t>(w)];
        if (progress) progress(begin + count, windows, last_total);
    }
    return scores;
}

}  // namespace jlcm
