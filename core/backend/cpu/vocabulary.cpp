#include "core/backend/cpu/vocabulary.hpp"

#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/gemm.hpp"
#include "core/backend/cpu/packed_products.hpp"
#include "core/backend/few_rows.hpp"
#include "core/base/parallel.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm::cpu {
namespace {

constexpr std::int64_t token_tile = 128;
constexpr std::int64_t vocabulary_tile = 2048;
/// For gradients all threads work on one tile of tokens, whose whole rows of logits are held: the gradient
/// needs their sums first.
constexpr std::int64_t gradient_tile = 256;

double log_sum(const LogitSums& sums) {
    return static_cast<double>(sums.maximum) + std::log(sums.exponentials);
}

float* scratch_floats(int slot, std::int64_t elements) {
    thread_local std::vector<Tensor> slots(2);
    Tensor& memory = slots[static_cast<std::size_t>(slot)];
    if (!memory.defined() || memory.size() < elements) memory = Tensor::empty({elements});
    return memory.data<float>();
}

void check(const Tensor& features, const BoundWeight& head) {
    ensure(features.shape().size() == 2 && head.shape().size() == 2 &&
               features.shape()[1] == head.shape()[1] &&
               (features.dtype() == head.dtype() || codes_for(head, features.rows()) != nullptr),
           "predictions from {} {} with a head {} {}", name_of(features.dtype()), shown(features.shape()),
           name_of(head.dtype()), shown(head.shape()));
}

}  // namespace

namespace {

/// Rows of features and a head, whose logits are made in tiles.
class TiledLogits {
  public:
    /// `all`: [features, vocabulary], of a head whose products are those of kernels on codes; undefined: made here.
    /// `slot`: memory of its own, 0 or 1.
    TiledLogits(const Tensor& features, const BoundWeight& head, Tensor all, double soft_cap, int slot)
        : features_(features),
          head_(head),
          all_(std::move(all)),
          soft_cap_(static_cast<float>(soft_cap)),
          slot_(slot) {}
    /// From now on logits are those of `count` rows of the head.
    void set_rows(std::int64_t first, std::int64_t count) {
        first_ = first;
        count_ = count;
        thread_local std::vector<Tensor> scratch(2);
        if (!all_.defined())
            rows_ = head_.tile(first, first + count, scratch[static_cast<std::size_t>(slot_)]);
    }
    /// [end - begin, rows of the head], of at most `token_tile` features.
    [[nodiscard]] const float* logits(std::int64_t begin, std::int64_t end) const {
        float* out = scratch_floats(slot_, token_tile * vocabulary_tile);
        if (all_.defined()) {
            for (std::int64_t token = begin; token < end; ++token)
                std::copy_n(all_.data<float>() + token * all_.cols() + first_, count_,
                            out + (token - begin) * count_);
        } else {
            gemm_tile(host_matrix(features_.slice(begin, end)), Transpose::no, host_matrix(rows_),
                      Transpose::yes, out, count_, false);
        }
        if (soft_cap_ > 0)
            dense_kernels<float>().unary(static_cast<int>(Unary::soft_cap), soft_cap_, 0,
                                         (end - begin) * count_, out, out);
        return out;
    }

  private:
    const Tensor& features_;
    const BoundWeight& head_;
    Tensor all_;
    float soft_cap_;
    int slot_;
    std::int64_t first_ = 0;
    std::int64_t count_ = 0;
    Tensor rows_;
};

/// Logits of a head that kernels on codes multiply; undefined for others.
Tensor logits_by_codes(const Tensor& features, const BoundWeight& head) {
    const CodedRows* codes = codes_for(head, features.rows());
    if (codes == nullptr) return {};
    Tensor logits = Tensor::empty({features.rows(), head.rows()});
    multiply_codes(matrix(features), *codes, logits);
    return logits;
}

/// What is known of a token while tiles of the vocabulary pass.
struct TokenSums {
    LogitSums model;
    LogitSums reference;
    double difference = 0;
    float target_logit = 0;
    float reference_target_logit = 0;
};

/// Logits of a tile of features; `raw` holds them before they were capped.
Tensor capped_logits(Backend& backend, const Tensor& features, const Tensor& head, double soft_cap,
                     Tensor& raw) {
    raw = backend.product(features, Transpose::no, head, Transpose::yes);
    return soft_cap > 0 ? backend.unary({Unary::soft_cap, soft_cap}, raw) : raw;
}

/// Slopes of the loss with respect to the products of features and head, in the head's type, from those with respect
/// to the logits.
Tensor product_slopes(Backend& backend, const Tensor& slopes, const Tensor& raw, const Tensor& head,
                      double soft_cap) {
    const Tensor own =
        soft_cap > 0 ? backend.unary_backward({Unary::soft_cap, soft_cap}, raw, slopes) : slopes;
    return backend.convert(own, head.dtype());
}

/// gradient = slopes head.
void features_gradient(Backend& backend, const Tensor& slopes, const Tensor& head, Tensor gradient) {
    backend.gemm(matrix(slopes), Transpose::no, matrix(head), Transpose::no, gradient, false);
}

}  // namespace

namespace {

TokenScores scores_of(const Tensor& features, const BoundWeight& head, std::span<const std::int32_t> targets,
                      const Tensor* reference, const BoundWeight* reference_head, double soft_cap) {
    check(features, head);
    if (reference != nullptr) check(*reference, *reference_head);
    const std::int64_t tokens = features.rows();
    const std::int64_t vocabulary = head.rows();
    ensure(static_cast<std::int64_t>(targets.size()) == tokens, "{} targets for {} tokens", targets.size(),
           tokens);
    for (const std::int32_t target : targets)
        ensure(target < vocabulary, "target {} of a vocabulary of {}", target, vocabulary);
    TokenScores scores;
    scores.nll.resize(targets.size());
    if (reference != nullptr) {
        scores.reference_nll.resize(targets.size());
        scores.kl.resize(targets.size());
        scores.agree.resize(targets.size());
    }
    const auto& kernels = vocabulary_kernels();
    const Tensor all = logits_by_codes(features, head);
    const Tensor all_reference =
        reference != nullptr ? logits_by_codes(*reference, *reference_head) : Tensor();
    // Rows of a packed head are decoded once for all the tokens of a chunk.
    const std::int64_t tiles = (tokens + token_tile - 1) / token_tile;
    const std::int64_t tiles_at_once = head.is_packed() ? (tiles + thread_count() - 1) / thread_count() : 1;
    parallel_for(tokens, tiles_at_once * token_tile, [&](std::int64_t begin, std::int64_t end) {
        std::vector<TokenSums> sums(static_cast<std::size_t>(end - begin));
        TiledLogits model(features, head, all, soft_cap, 0);
        TiledLogits original(reference != nullptr ? *reference : features,
                             reference != nullptr ? *reference_head : head, all_reference, soft_cap, 1);
        for (std::int64_t first = 0; first < vocabulary; first += vocabulary_tile) {
            const std::int64_t count = std::min(vocabulary_tile, vocabulary - first);
            model.set_rows(first, count);
            if (reference != nullptr) original.set_rows(first, count);
            for (std::int64_t tile = begin; tile < end; tile += token_tile) {
                const std::int64_t tile_end = std::min(end, tile + token_tile);
                const float* line = model.logits(tile, tile_end);
                const float* reference_line =
                    reference != nullptr ? original.logits(tile, tile_end) : nullptr;
                for (std::int64_t token = tile; token < tile_end; ++token, line += count) {
                    TokenSums& own = sums[static_cast<std::size_t>(token - begin)];
                    const std::int64_t target = targets[static_cast<std::size_t>(token)];
                    const bool is_here = target >= first && target < first + count;
                    if (is_here) own.target_logit = line[target - first];
                    if (reference_line == nullptr) {
                        kernels.add_logits(count, first, line, &own.model);
                        continue;
                    }
                    if (is_here) own.reference_target_logit = reference_line[target - first];
                    kernels.add_logit_pair(count, first, reference_line, line, &own.reference, &own.model,
                                           &own.difference);
                    reference_line += count;
                }
            }
        }
        for (std::int64_t row = begin; row < end; ++row) {
            const auto token = static_cast<std::size_t>(row);
            const TokenSums& own = sums[static_cast<std::size_t>(row - begin)];
            if (targets[token] >= 0)
                scores.nll[token] =
                    static_cast<float>(log_sum(own.model) - static_cast<double>(own.target_logit));
            if (reference == nullptr) continue;
            if (targets[token] >= 0)
                scores.reference_nll[token] = static_cast<float>(
                    log_sum(own.reference) - static_cast<double>(own.reference_target_logit));
            // sum p_t (t - s) - log_sum(t) + log_sum(s)
            const double gap = own.difference / own.reference.exponentials;
            const double kl = gap - log_sum(own.reference) + log_sum(own.model);
            scores.kl[token] = static_cast<float>(kl < 0 ? 0.0 : kl);  // NaN stays NaN
            scores.agree[token] = std::isfinite(kl) && own.model.best == own.reference.best ? 1 : 0;
        }
    });
    return scores;
}

}  // namespace

TokenScores score_tokens(const Tensor& features, const BoundWeight& head,
                         std::span<const std::int32_t> targets, const Tensor* reference,
                         const BoundWeight* reference_head, double soft_cap) {
    const std::int64_t tokens = features.rows();
    const bool by_codes = codes_for(head, tokens) != nullptr ||
                          (reference != nullptr && codes_for(*reference_head, tokens) != nullptr);
    if (!by_codes || tokens <= token_tile)
        return scores_of(features, head, targets, reference, reference_head, soft_cap);
    // Whole rows of logits are held, so few tokens at a time.
    TokenScores scores;
    for (std::int64_t begin = 0; begin < tokens; begin += token_tile) {
        const std::int64_t end = std::min(tokens, begin + token_tile);
        const Tensor some = reference != nullptr ? reference->slice(begin, end) : Tensor();
        const TokenScores part =
            scores_of(features.slice(begin, end), head,
                      targets.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
                      reference != nullptr ? &some : nullptr, reference_head, soft_cap);
        const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
        append(scores.nll, part.nll);
        append(scores.reference_nll, part.reference_nll);
        append(scores.kl, part.kl);
        append(scores.agree, part.agree);
    }
    return scores;
}

double kl_backward(Backend& backend, const Tensor& features, const Tensor& head, const Tensor& reference,
                   const Tensor& reference_head, double soft_cap, double factor, Tensor& feature_gradient,
                   Tensor* head_gradient) {
    check(features, head);
    check(reference, reference_head);
    const std::int64_t tokens = features.rows();
    const std::int64_t vocabulary = head.rows();
    feature_gradient = Tensor::empty({tokens, features.shape()[1]});
    double total = 0;
    for (std::int64_t begin = 0; begin < tokens; begin += gradient_tile) {
        const std::int64_t end = std::min(tokens, begin + gradient_tile);
        Tensor raw;
        const Tensor reference_logits =
            capped_logits(backend, reference.slice(begin, end), reference_head, soft_cap, raw);
        Tensor logits = capped_logits(backend, features.slice(begin, end), head, soft_cap, raw);
        const auto& kernels = vocabulary_kernels();
        total += parallel_sum(end - begin, 8, [&](std::int64_t first, std::int64_t stop) {
            double sum = 0;
            for (std::int64_t r = first; r < stop; ++r) {
                float* line = logits.data<float>() + r * vocabulary;
                const float* reference_line = reference_logits.data<float>() + r * vocabulary;
                LogitSums sums;
                LogitSums reference_sums;
                double difference = 0;
                kernels.add_logit_pair(vocabulary, 0, reference_line, line, &reference_sums, &sums,
                                       &difference);
                sum += difference / reference_sums.exponentials - log_sum(reference_sums) + log_sum(sums);
                kernels.kl_gradient(vocabulary, reference_line, static_cast<float>(log_sum(reference_sums)),
                                    line, static_cast<float>(log_sum(sums)), static_cast<float>(factor));
            }
            return sum;
        });
        const Tensor slopes = product_slopes(backend, logits, raw, head, soft_cap);
        features_gradient(backend, slopes, head, feature_gradient.slice(begin, end));
        if (head_gradient != nullptr)
            backend.gemm(matrix(slopes), Transpose::yes, matrix(features.slice(begin, end)), Transpose::no,
                         *head_gradient, true);
    }
    return total;
}

double cross_entropy_backward(Backend& backend, const Tensor& features, const Tensor& head,
                              std::span<const std::int32_t> targets, double soft_cap, double factor,
                              Tensor& feature_gradient) {
    check(features, head);
    const std::int64_t tokens = features.rows();
    const std::int64_t vocabulary = head.rows();
    ensure(static_cast<std::int64_t>(targets.size()) == tokens, "{} targets for {} tokens", targets.size(),
           tokens);
    feature_gradient = Tensor::empty({tokens, features.shape()[1]});
    const auto& kernels = vocabulary_kernels();
    double total = 0;
    for (std::int64_t begin = 0; begin < tokens; begin += gradient_tile) {
        const std::int64_t end = std::min(tokens, begin + gradient_tile);
        Tensor raw;
        Tensor logits = capped_logits(backend, features.slice(begin, end), head, soft_cap, raw);
        total += parallel_sum(end - begin, 8, [&](std::int64_t first, std::int64_t stop) {
            double sum = 0;
            for (std::int64_t r = first; r < stop; ++r) {
                float* line = logits.data<float>() + r * vocabulary;
                const std::int64_t target = targets[static_cast<std::size_t>(begin + r)];
                ensure(target < vocabulary, "target {} of a vocabulary of {}", target, vocabulary);
                if (target < 0) {
                    std::fill_n(line, vocabulary, 0.0F);
                    continue;
                }
                LogitSums sums;
                kernels.add_logits(vocabulary, 0, line, &sums);
                sum += log_sum(sums) - static_cast<double>(line[target]);
                kernels.probabilities(vocabulary, static_cast<float>(log_sum(sums)),
                                      static_cast<float>(factor), line);
                line[target] -= static_cast<float>(factor);
            }
            return sum;
        });
        features_gradient(backend, product_slopes(backend, logits, raw, head, soft_cap), head,
                          feature_gradient.slice(begin, end));
    }
    return total;
}

}  // namespace jlcm::cpu
