#include "core/backend/cpu/vocabulary.hpp"

#include "core/backend/cpu/dense_kernels.hpp"
#include "core/backend/cpu/gemm.hpp"
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

/// logits [rows, count] = features rows times head rows [first, first + count).
void tile_logits(const Tensor& features, const Tensor& head, std::int64_t first, std::int64_t count,
                 float* logits) {
    gemm_tile(host_matrix(features), Transpose::no, host_matrix(head.slice(first, first + count)),
              Transpose::yes, logits, count, false);
}

double log_sum(const LogitSums& sums) {
    return static_cast<double>(sums.maximum) + std::log(sums.exponentials);
}

float* scratch_floats(int slot, std::int64_t elements) {
    thread_local std::vector<Tensor> slots(2);
    Tensor& memory = slots[static_cast<std::size_t>(slot)];
    if (!memory.defined() || memory.size() < elements) memory = Tensor::empty({elements});
    return memory.data<float>();
}

void check(const Tensor& features, const Tensor& head) {
    ensure(features.shape().size() == 2 && head.shape().size() == 2 &&
               features.shape()[1] == head.shape()[1] && features.dtype() == head.dtype(),
           "predictions from {} {} with a head {} {}", name_of(features.dtype()), to_string(features.shape()),
           name_of(head.dtype()), to_string(head.shape()));
}

}  // namespace

TokenScores score_tokens(const Tensor& features, const Tensor& head, std::span<const std::int32_t> targets,
                         const Tensor* reference, const Tensor* reference_head) {
    check(features, head);
    if (reference != nullptr) check(*reference, *reference_head);
    const std::int64_t tokens = features.rows();
    const std::int64_t vocabulary = head.rows();
    ensure(static_cast<std::int64_t>(targets.size()) == tokens, "{} targets for {} tokens", targets.size(),
           tokens);
    TokenScores scores;
    scores.nll.resize(targets.size());
    if (reference != nullptr) {
        scores.reference_nll.resize(targets.size());
        scores.kl.resize(targets.size());
        scores.agree.resize(targets.size());
    }
    const auto& kernels = vocabulary_kernels();
    parallel_for(tokens, token_tile, [&](std::int64_t begin, std::int64_t end) {
        const auto rows = static_cast<std::size_t>(end - begin);
        std::vector<LogitSums> sums(rows);
        std::vector<LogitSums> reference_sums(reference != nullptr ? rows : 0);
        std::vector<double> difference(reference_sums.size(), 0.0);
        std::vector<float> target_logit(rows, 0.0F);
        std::vector<float> reference_target_logit(reference_sums.size(), 0.0F);
        const Tensor tile = features.slice(begin, end);
        const Tensor reference_tile = reference != nullptr ? reference->slice(begin, end) : Tensor();
        for (std::int64_t first = 0; first < vocabulary; first += vocabulary_tile) {
            const std::int64_t count = std::min(vocabulary_tile, vocabulary - first);
            float* logits = scratch_floats(0, token_tile * vocabulary_tile);
            tile_logits(tile, head, first, count, logits);
            float* reference_logits = nullptr;
            if (reference != nullptr) {
                reference_logits = scratch_floats(1, token_tile * vocabulary_tile);
                tile_logits(reference_tile, *reference_head, first, count, reference_logits);
            }
            for (std::size_t r = 0; r < rows; ++r) {
                const float* line = logits + static_cast<std::int64_t>(r) * count;
                if (reference != nullptr) {
                    kernels.add_logit_pair(count, first,
                                           reference_logits + static_cast<std::int64_t>(r) * count, line,
                                           &reference_sums[r], &sums[r], &difference[r]);
                } else {
                    kernels.add_logits(count, first, line, &sums[r]);
                }
                const std::int64_t target = targets[static_cast<std::size_t>(begin) + r];
                if (target < first || target >= first + count) continue;
                target_logit[r] = line[target - first];
                if (reference != nullptr)
                    reference_target_logit[r] =
                        reference_logits[static_cast<std::int64_t>(r) * count + target - first];
            }
        }
        for (std::size_t r = 0; r < rows; ++r) {
            const std::size_t token = static_cast<std::size_t>(begin) + r;
            ensure(targets[token] < vocabulary, "target {} of a vocabulary of {}", targets[token],
                   vocabulary);
            if (targets[token] >= 0)
                scores.nll[token] =
                    static_cast<float>(log_sum(sums[r]) - static_cast<double>(target_logit[r]));
            if (reference == nullptr) continue;
            if (targets[token] >= 0)
                scores.reference_nll[token] = static_cast<float>(
                    log_sum(reference_sums[r]) - static_cast<double>(reference_target_logit[r]));
            // sum p_t (t - s) - log_sum(t) + log_sum(s)
            const double gap = difference[r] / reference_sums[r].exponentials;
            const double kl = gap - log_sum(reference_sums[r]) + log_sum(sums[r]);
            scores.kl[token] = static_cast<float>(kl < 0 ? 0.0 : kl);  // NaN stays NaN
            scores.agree[token] = std::isfinite(kl) && sums[r].best == reference_sums[r].best ? 1 : 0;
        }
    });
    return scores;
}

double kl_backward(Backend& backend, const Tensor& features, const Tensor& head, const Tensor& reference,
                   const Tensor& reference_head, double factor, Tensor& feature_gradient) {
    check(features, head);
    check(reference, reference_head);
    const std::int64_t tokens = features.rows();
    const std::int64_t vocabulary = head.rows();
    feature_gradient = Tensor::empty({tokens, features.shape()[1]});
    double total = 0;
    for (std::int64_t begin = 0; begin < tokens; begin += gradient_tile) {
        const std::int64_t end = std::min(tokens, begin + gradient_tile);
        Tensor logits = backend.product(features.slice(begin, end), Transpose::no, head, Transpose::yes);
        const Tensor reference_logits =
            backend.product(reference.slice(begin, end), Transpose::no, reference_head, Transpose::yes);
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
        Tensor part = feature_gradient.slice(begin, end);
        const Tensor slopes = backend.convert(logits, head.dtype());
        backend.gemm(matrix(slopes), Transpose::no, matrix(head), Transpose::no, part, false);
    }
    return total;
}

double cross_entropy_backward(Backend& backend, const Tensor& features, const Tensor& head,
                              std::span<const std::int32_t> targets, double factor,
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
        Tensor logits = backend.product(features.slice(begin, end), Transpose::no, head, Transpose::yes);
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
        Tensor part = feature_gradient.slice(begin, end);
        const Tensor slopes = backend.convert(logits, head.dtype());
        backend.gemm(matrix(slopes), Transpose::no, matrix(head), Transpose::no, part, false);
    }
    return total;
}

}  // namespace jlcm::cpu
