#include "core/base/rng.hpp"
#include "core/learn/estimator.hpp"
#include "core/learn/optimizer.hpp"
#include "core/learn/relabelling.hpp"
#include "core/learn/score_learner.hpp"
#include "core/learn/segment_steps.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace jlcm {
namespace {

constexpr int most_candidates = 16;

struct GumbelOptions {
    double rate = 0.02;
    double scale = 50;
    double temperature = 2.0;
    double final_temperature = 0.05;
    int window = 5;
    StartMargin margin{};
    void fields(Fields& v) {
        v("rate", rate,
          Doc{"Adam step of a score, in spacings, element by element: gradients of candidates that are far "
              "behind all but vanish, and their size tells little."},
          Range{0.0, 10.0});
        v("scale", scale,
          Doc{"Logits per spacing of a score. High: noise only reaches candidates that are nearly chosen."},
          above(0.0));
        v("temperature", temperature,
          Doc{"T of the softmax in the first step. High: weights are mixtures; low: nearly codewords."},
          above(0.0));
        v("final_temperature", final_temperature,
          Doc{"T after the last step; it falls by the same factor in each."}, above(0.0));
        v("window", window,
          Doc{"Candidates: codewords around the one that the weight starts on, for good. 5 lets it shift by two."},
          Range{2, most_candidates});
        margin.fields(v);
    }
};

/// The candidates of one weight: how likely each is with a step's noise, and what they make of the weight.
struct Mixture {
    std::array<float, most_candidates> share{};
    float value = 0;
};

/// A weight is a softmax mixture of its candidates, drawn anew in each step; stored as the best of them.
class GumbelLearner final : public MappingLearner {
  public:
    GumbelLearner(const CompressedMatrix& matrix, const Tensor& target, const GumbelOptions& options)
        : options_(options),
          window_(std::min(options.window, matrix.layout.codewords())),
          first_codes_(Tensor::empty({matrix.layout.rows, matrix.layout.cols}, DType::u8)),
          scores_(Tensor::empty({matrix.layout.rows, matrix.layout.cols, window_})),
          first_(Tensor::zeros(scores_.shape())),
          second_(Tensor::zeros(scores_.shape())),
          draw_(Tensor::zeros({2})) {
        draw_.data<float>()[1] = static_cast<float>(options.temperature);
        for_placed_weights(matrix, target, [&](const PlacedWeight& weight) {
            first_codes_.data<std::uint8_t>()[weight.index] = static_cast<std::uint8_t>(
                start_scores(weight, ScoreStart::distance, options_.margin.of(weight.index),
                             kept_of(scores_, weight.index)));
        });
    }

    Tensor soft_weights(const CodedMatrix& matrix, Backend& /*backend*/) const override {
        Tensor weights = Tensor::empty({matrix.rows(), matrix.cols()});
        for_segments(matrix, [&](const Segment& segment) {
            for (std::int64_t i = segment.first; i < segment.first + segment.size(); ++i)
                weights.data<float>()[i] = mixture(i, matrix.table(segment.group)).value;
        });
        return weights;
    }

    void step(const CodedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps,
              Backend& /*backend*/) override {
        const AdamStep a = adam_step(step.number, options_.rate * step.rate_factor);
        const float slope_of_logit = static_cast<float>(options_.scale) / temperature();
        step_segments(matrix, step.gradient, jumps.jumps, [&](const Segment& segment, std::int64_t* counts) {
            const float* table = matrix.table(segment.group);
            for (std::int64_t i = segment.first; i < segment.first + segment.size(); ++i) {
                const Mixture mixed = mixture(i, table);
                const float* values = table + first_codes_.data<std::uint8_t>()[i];
                for (int k = 0; k < window_; ++k) {
                    const float slope = step.gradient.data<float>()[i] * slope_of_logit *
                                        mixed.share[static_cast<std::size_t>(k)] * (values[k] - mixed.value);
                    float& m = first_.data<float>()[i * window_ + k];
                    float& v = second_.data<float>()[i * window_ + k];
                    m = a.beta1 * m + (1.0F - a.beta1) * slope;
                    v = a.beta2 * v + (1.0F - a.beta2) * slope * slope;
                    scores_.data<float>()[i * window_ + k] -=
                        a.rate * a.correction1 * m / (std::sqrt(v * a.correction2) + a.epsilon);
                }
                take_best(i, matrix.codes, counts);
            }
        });
        draw_.data<float>()[0] += 1;
        draw_.data<float>()[1] =
            static_cast<float>(options_.temperature *
                               std::pow(options_.final_temperature / options_.temperature, step.progress));
    }

    void relabel(const CompressedMatrix& matrix, const GroupMap& groups, const Tensor& former) override {
        for_relabelled_weights(
            matrix, groups, former,
            [&](std::int64_t i, int code, const std::uint8_t* label) { follow(i, code, label); });
    }

    std::vector<NamedTensor> state() override {
        return {{"first_codes", first_codes_},
                {"scores", scores_},
                {"scores.first_moment", first_},
                {"scores.second_moment", second_},
                {"draw", draw_}};
    }

  private:
    [[nodiscard]] float temperature() const { return draw_.data<float>()[1]; }

    /// What a tensor [rows, cols, window] keeps of weight i.
    [[nodiscard]] std::span<float> kept_of(Tensor& kept, std::int64_t i) const {
        return {kept.data<float>() + i * window_, static_cast<std::size_t>(window_)};
    }

    /// Candidate k's logit plus Gumbel noise, -log(-log(uniform)): Gumbel 1954. The noise depends on the step
    /// and the candidate's place in the scores alone: matrices of one shape draw the same.
    [[nodiscard]] float noisy_logit(std::int64_t i, int k) const {
        const auto place =
            (static_cast<std::uint64_t>(draw_.data<float>()[0]) * static_cast<std::uint64_t>(scores_.size()) +
             static_cast<std::uint64_t>(i * window_ + k));
        const std::uint64_t bits = noise_.bits(place / 2) >> (place % 2 * 32);
        // 23 bits and a half: float32 holds every sum, so that none is rounded to 1.
        const float uniform = (static_cast<float>(bits & 0x7FFFFFU) + 0.5F) / 8388608.0F;
        return static_cast<float>(options_.scale) * scores_.data<float>()[i * window_ + k] -
               std::log(-std::log(uniform));
    }

    [[nodiscard]] Mixture mixture(std::int64_t i, const float* table) const {
        const float* values = table + first_codes_.data<std::uint8_t>()[i];
        Mixture mixed;
        float largest = -std::numeric_limits<float>::infinity();
        for (int k = 0; k < window_; ++k) {
            float& share = mixed.share[static_cast<std::size_t>(k)];
            share = noisy_logit(i, k) / temperature();
            largest = std::max(largest, share);
        }
        float total = 0;
        for (int k = 0; k < window_; ++k) {
            float& share = mixed.share[static_cast<std::size_t>(k)];
            share = std::exp(share - largest);
            total += share;
        }
        for (int k = 0; k < window_; ++k) {
            float& share = mixed.share[static_cast<std::size_t>(k)];
            share /= total;
            mixed.value += share * values[k];
        }
        return mixed;
    }

    /// Ties go to the present candidate.
    void take_best(std::int64_t i, std::uint8_t* codes, std::int64_t* counts) const {
        const float* scores = scores_.data<float>() + i * window_;
        const int begin = first_codes_.data<std::uint8_t>()[i];
        const int present = codes[i] - begin;
        int best = present;
        for (int k = 0; k < window_; ++k)
            if (scores[k] > scores[best]) best = k;
        if (best == present) return;
        ++counts[std::abs(best - present) - 1];
        codes[i] = static_cast<std::uint8_t>(begin + best);
    }

    /// What was kept by codeword goes where that is now, and the window to the weight's code if that has
    /// left it.
    void follow(std::int64_t i, int code, const std::uint8_t* label) {
        std::uint8_t& first = first_codes_.data<std::uint8_t>()[i];
        const int former = first;
        const int begin = std::clamp(former, code - window_ + 1, code);
        first = static_cast<std::uint8_t>(begin);
        follow_score_labels(kept_of(scores_, i), begin, former, code, label);
        for (Tensor* moment : {&first_, &second_}) follow_labels(kept_of(*moment, i), begin, former, label);
    }

    GumbelOptions options_;
    int window_;
    Rng noise_{0, "gumbel"};
    Tensor first_codes_;  ///< uint8 [rows, cols]: each weight's first candidate
    Tensor scores_;       ///< [rows, cols, window], as are the moments
    Tensor first_, second_;
    Tensor draw_;  ///< [2]: steps so far, which the noise depends on, and the temperature
};

class Gumbel final : public Estimator {
  public:
    using Options = GumbelOptions;
    explicit Gumbel(const Options& options) : options_(options) {}

    std::unique_ptr<MappingLearner> start(const CompressedMatrix& matrix,
                                          const Tensor& target) const override {
        return std::make_unique<GumbelLearner>(matrix, target, options_);
    }
    /// Scores and two moments, and the first candidate.
    double bytes_per_weight(const CodeShape& codes) const override {
        return 3.0 * sizeof(float) * std::min(options_.window, 1 << codes.bits) + 1;
    }

  private:
    Options options_;
};

const Registrar<Estimator, Gumbel> registrar{
    "gumbel",
    "A weight is a mixture of nearby codewords, a softmax of their scores with Gumbel noise, temperature falling; the "
    "best of them is stored.",
    "Gumbel-softmax: Jang et al., arXiv 1611.01144; over nearby codes: GSQ, arXiv 2604.18556 (there even grids)"};

}  // namespace
}  // namespace jlcm
