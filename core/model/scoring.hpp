#pragma once
// What models predict; next-token prediction over windows of tokens: what perplexity, KL and agreement are
// made of.

#include "core/model/divergence_distribution.hpp"
#include "core/model/feature_store.hpp"
#include "core/model/model.hpp"

#include <functional>
#include <span>
#include <vector>

namespace jlcm {

/// What the scores of a vocabulary, or of classes, are made of: features times head.
struct Predictions {
    Tensor features;   ///< [rows, width]
    BoundWeight head;  ///< [classes, width]; the identity if the features are the scores
};

/// A model bound for repeated forwards in one type of products. Matrices stay as the source holds them and are
/// decoded in tiles; weights of convolutions and of other operators that need them dense are decoded once.
class BoundModel {
  public:
    /// `source` outlives it; `store` (may be null, outlives it) remembers features of exact products.
    BoundModel(const WeightSource& source, DType compute, Backend& backend, FeatureStore* store = nullptr,
               Products products = Products::exact);
    /// The same model with products of another type: how far its predictions move by rounding alone.
    [[nodiscard]] BoundModel in(DType compute) const {
        return {*source_, compute, backend(), nullptr, products_};
    }
    /// What the head reads, for samples [n, ...]: [rows, width] in the head's type. Of ids [n, length] there
    /// is a row a token.
    [[nodiscard]] Tensor features(const Tensor& samples) const;
    /// Undefined if the graph has none: features are the scores then, and stay float32. compared_as(graph())
    /// says what they are.
    [[nodiscard]] const BoundWeight& head() const { return head_; }
    /// Of a vocabulary or of classes: float32 [rows, classes].
    [[nodiscard]] Tensor scores(const Tensor& samples) const;
    /// The same of rows of features().
    [[nodiscard]] Tensor scores_of(const Tensor& features) const;
    [[nodiscard]] Predictions predict(const Tensor& samples) const;
    [[nodiscard]] Backend& backend() const { return executor_.backend(); }
    [[nodiscard]] DType compute() const { return executor_.compute(); }
    [[nodiscard]] const Graph& graph() const { return executor_.graph(); }

  private:
    [[nodiscard]] Tensor computed_features(const Tensor& samples) const;

    const WeightSource* source_;
    Executor executor_;
    Weights weights_;
    BoundWeight head_;
    FeatureStore* store_;
    Products products_;
};

/// Features [.., width] as a head reads them: [rows, width] in its type, or as they are if it is undefined or is
/// multiplied by kernels on codes.
[[nodiscard]] Tensor head_input(const Tensor& features, const BoundWeight& head, Backend& backend);
/// The scores that a head makes of rows of features, of its type: float32 [rows, classes]. `soft_cap`: that of the
/// graph.
[[nodiscard]] Tensor head_scores(const Tensor& features, const BoundWeight& head, double soft_cap,
                                 Backend& backend);
/// `head`, or the identity of the width of `features` [rows, width] where it is undefined.
[[nodiscard]] BoundWeight head_or_identity(const BoundWeight& head, const Tensor& features);

/// Of the scored positions of one window, or of several one after another.
struct WindowScore {
    std::int64_t tokens = 0;              ///< scored
    double nll = 0;                       ///< sum, nats
    double kl = 0;                        ///< sum of KL(original || model), nats; 0 without an original
    std::int64_t agree = 0;               ///< positions where both predict the same token
    std::vector<Divergence> divergences;  ///< of each scored position; empty without an original

    WindowScore& operator+=(const WindowScore& other);
};

enum class Positions : std::uint8_t {
    all,          ///< every predicted position of the window
    second_half,  ///< llama.cpp's convention: targets from context / 2 + 1 on
};

struct ScoringOptions {
    std::int64_t context = 2048;
    Positions positions = Positions::all;
    /// Put in front of each window, in place of its first token as llama.cpp does; -1: none.
    std::int32_t bos = -1;
};

/// Called after each step with the scores of the last model so far.
using ScoringProgress = std::function<void(std::int64_t done, std::int64_t windows, const WindowScore&)>;

/// Scores windows of `tokens` one after another, without overlap and as far as they fit, at most `limit` of
/// them (0: all), for each of `models` (at least one). The first is the original, which KL and agreement of
/// the others refer to. Returns [model][window].
[[nodiscard]] std::vector<std::vector<WindowScore>> score_windows(
    const std::vector<const BoundModel*>& models, std::span<const std::int32_t> tokens,
    const ScoringOptions& options, std::int64_t limit, const ScoringProgress& progress = {});

}  // namespace jlcm
