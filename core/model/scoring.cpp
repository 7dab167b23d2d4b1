#include "core/model/scoring.hpp"

#include "core/base/interrupt.hpp"

#include <algorithm>

namespace jlcm {
namespace {

/// Tokens of one forward: enough for products to be efficient, few enough for memory.
constexpr std::int64_t tokens_per_step = 2048;

}  // namespace

BoundModel::BoundModel(const WeightSource& source, DType compute, Backend& backend)
    : executor_(source.graph(), backend, compute),
      weights_(source.graph()),
      head_(head_weight(source, compute, backend)) {
    bind_weights(weights_, source, {0, source.graph().node_count()}, compute, backend);
}

Tensor BoundModel::features(const Tensor& ids) const {
    const Graph& graph = executor_.graph();
    const Tensor x =
        executor_.forward({0, graph.node_count()}, weights_, graph.input(), ids, graph.features());
    return executor_.backend().convert(x.reshape({ids.size(), x.shape().back()}), head_.dtype());
}

std::vector<WindowScore> score_windows(
    const BoundModel& model, const BoundModel* original, std::span<const std::int32_t> tokens,
    const ScoringOptions& options, std::int64_t limit, Backend& backend,
    const std::function<void(std::int64_t, std::int64_t, const WindowScore&)>& progress) {
    const std::int64_t context = options.context;
    require(context >= 2, "a context of {} tokens predicts nothing; it must be at least 2", context);
    const auto available = static_cast<std::int64_t>(tokens.size()) / context;
    const std::int64_t windows = limit > 0 ? std::min(limit, available) : available;
    require(windows > 0, "the text has {} tokens, fewer than one window of {}", tokens.size(), context);
    const std::int64_t first_scored = options.positions == Positions::all ? 1 : context / 2 + 1;

    std::vector<WindowScore> scores(static_cast<std::size_t>(windows));
    WindowScore total;
    const std::int64_t batch = std::max<std::int64_t>(1, tokens_per_step / context);
    for (std::int64_t begin = 0; begin < windows; begin += batch) {
        throw_if_interrupted();
        const std::int64_t count = std::min(batch, windows - begin);
        Tensor ids = Tensor::from<std::int32_t>({count, context},
                                                tokens.subspan(static_cast<std::size_t>(begin * context),
                                                               static_cast<std::size_t>(count * context)));
        // A position predicts the next token of its window; the last one predicts nothing.
        std::vector<std::int32_t> targets(static_cast<std::size_t>(count * context), -1);
        for (std::int64_t w = 0; w < count; ++w) {
            for (std::int64_t i = first_scored; i < context; ++i)
                targets[static_cast<std::size_t>(w * context + i - 1)] =
                    ids.data<std::int32_t>()[w * context + i];
            if (options.bos >= 0) ids.data<std::int32_t>()[w * context] = options.bos;
        }
        const Tensor features = model.features(ids);
        const Tensor reference = original != nullptr ? original->features(ids) : Tensor();
        const TokenScores token_scores =
            backend.score_tokens(features, model.head(), targets, original != nullptr ? &reference : nullptr,
                                 original != nullptr ? &original->head() : nullptr);
        for (std::int64_t w = 0; w < count; ++w) {
            WindowScore& score = scores[static_cast<std::size_t>(begin + w)];
            for (std::int64_t i = 0; i < context; ++i) {
                const auto at = static_cast<std::size_t>(w * context + i);
                if (targets[at] < 0) continue;
                ++score.tokens;
                score.nll += static_cast<double>(token_scores.nll[at]);
                if (original == nullptr) continue;
                score.kl += static_cast<double>(token_scores.kl[at]);
                score.agree += token_scores.agree[at];
            }
            total.tokens += score.tokens;
            total.nll += score.nll;
            total.kl += score.kl;
            total.agree += score.agree;
        }
        if (progress) progress(begin + count, windows, total);
    }
    return scores;
}

}  // namespace jlcm
