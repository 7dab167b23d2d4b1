#include "core/learn/score_learner.hpp"

#include "core/learn/change_cap.hpp"
#include "core/learn/optimizer.hpp"
#include "core/learn/relabelling.hpp"
#include "core/learn/segment_steps.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace jlcm {

void ScoreOptions::fields(Fields& v) {
    v("rate", rate,
      Doc{"The most that a step changes a score against the present codeword's, in spacings. Means the same "
          "as the rate of nearest; higher moves more weights.",
          "docs/method.md"},
      Range{0.0, 10.0});
    v("start", start,
      Doc{"How far behind the present codeword candidates start. distance knows where the weight lay; even "
          "shows the rule by itself.",
          "docs/method.md"});
    margin.fields(v);
    v("window", window,
      Doc{"Codewords around the present one that have a score. Bounds memory, and the length of a jump, if "
          "codebooks are large."},
      Range{3, 256});
    v("second_moment", second_moment, Doc{"The divisor of steps.", "docs/method.md"});
}

int ScoreOptions::window_of(int bits) const {
    return std::min(window, 1 << bits);
}

double ScoreOptions::bytes_per_weight(const CodeShape& codes) const {
    const int scores = window_of(codes.bits);
    const int seconds =
        second_moment == SecondMoment::score ? scores : (second_moment == SecondMoment::weight ? 1 : 0);
    return static_cast<double>(2 * scores + seconds) * sizeof(float) * codes.per_weight();
}

std::string ScoreOptions::of_positions() const {
    return fmt::format("window {}, second_moment {}", window, enum_name(second_moment));
}

namespace {

class ScoreLearner final : public MappingLearner {
  public:
    ScoreLearner(const CompressedMatrix& matrix, const Tensor& target, ScoreKernel kernel,
                 const ScoreOptions& options, Temperature temperature)
        : kernel_(kernel),
          options_(options),
          temperature_(std::move(temperature)),
          unit_(Tensor::zeros({1})) {
        const Shape shape{matrix.layout.rows, matrix.layout.cols};
        const int window = options.window_of(matrix.layout.bits);
        scores_.value = Tensor::empty({shape[0], shape[1], window});
        scores_.first_moment = Tensor::zeros(scores_.value.shape());
        if (options.second_moment == SecondMoment::weight) scores_.second_moment = Tensor::zeros(shape);
        if (options.second_moment == SecondMoment::score)
            scores_.second_moment = Tensor::zeros(scores_.value.shape());
        start(matrix, target);
    }

    void step(const CodedMatrix& matrix, const MappingStep& step, JumpHistogram& jumps,
              Backend& backend) override {
        float& unit = unit_.data<float>()[0];
        if (options_.second_moment == SecondMoment::none && unit == 0 && step.gradient.size() > 0)
            unit = static_cast<float>(
                std::sqrt(backend.sum_of_squares(step.gradient) / static_cast<double>(step.gradient.size())));
        ScoreStep scores{.second_moment = options_.second_moment,
                         .adam = adam_step(step.number, options_.rate * step.rate_factor),
                         .temperature = static_cast<float>(temperature_(step.progress)),
                         .unit = unit};
        if (step.most >= matrix.size()) {
            run(matrix, step.gradient, scores, Tensor(), jumps);
            return;
        }
        Tensor leads = Tensor::empty(step.gradient.shape());
        scores.phase = ScorePhase::scores;
        run(matrix, step.gradient, scores, leads, jumps);
        keep_largest(leads.values<float>(), step.most);
        scores.phase = ScorePhase::codes;
        run(matrix, step.gradient, scores, leads, jumps);
    }

    void relabel(const CompressedMatrix& matrix, const GroupMap& groups, const Tensor& former) override {
        const int words = matrix.layout.codewords();
        for_relabelled_weights(matrix, groups, former,
                               [&](std::int64_t i, int code, const std::uint8_t* label) {
                                   relabel_weight(i, code, words, label);
                               });
    }

    Tensor position() override { return scores_.value; }
    std::vector<NamedTensor> state() override {
        std::vector<NamedTensor> state{{"scores", scores_.value},
                                       {"scores.first_moment", scores_.first_moment}};
        if (scores_.second_moment.defined())
            state.push_back({"scores.second_moment", scores_.second_moment});
        else
            state.push_back({"scores.unit", unit_});
        return state;
    }

  private:
    /// The kernel over every segment. `leads`: undefined for a whole step.
    void run(const CodedMatrix& matrix, const Tensor& gradient, const ScoreStep& scores, Tensor leads,
             JumpHistogram& jumps) {
        const auto window = static_cast<int>(scores_.value.shape().back());
        const std::int64_t seconds = options_.second_moment == SecondMoment::score ? window : 1;
        step_segments(matrix, gradient, jumps.jumps, [&](const Segment& segment, std::int64_t* counts) {
            const std::int64_t first = segment.first * window;
            kernel_(segment.size(), matrix.codewords, window, matrix.table(segment.group), &scores,
                    gradient.data<float>() + segment.first, scores_.value.data<float>() + first,
                    scores_.first_moment.data<float>() + first,
                    scores_.second_moment.defined()
                        ? scores_.second_moment.data<float>() + segment.first * seconds
                        : nullptr,
                    leads.defined() ? leads.data<float>() + segment.first : nullptr,
                    matrix.codes + segment.first, counts);
        });
    }

    /// Scores of the codewords around each weight's present one: a window of consecutive codewords.
    struct Scores {
        Tensor value;          ///< [rows, cols, window]
        Tensor first_moment;   ///< [rows, cols, window]
        Tensor second_moment;  ///< [rows, cols], [rows, cols, window] or undefined
    };

    /// label[k]: the former label of codeword k; `code`: the present one of weight i.
    void relabel_weight(std::int64_t i, int code, int words, const std::uint8_t* label) {
        const auto window = static_cast<int>(scores_.value.shape().back());
        const int begin = score_window_begin(code, words, window);
        const int former_begin = score_window_begin(label[code], words, window);
        const auto kept_of = [&](Tensor& kept) {
            return std::span(kept.data<float>() + i * window, static_cast<std::size_t>(window));
        };
        follow_score_labels(kept_of(scores_.value), begin, former_begin, code, label);
        follow_labels(kept_of(scores_.first_moment), begin, former_begin, label);
        if (options_.second_moment == SecondMoment::score)
            follow_labels(kept_of(scores_.second_moment), begin, former_begin, label);
    }

    void start(const CompressedMatrix& matrix, const Tensor& target) {
        const auto window = static_cast<std::size_t>(scores_.value.shape().back());
        for_placed_weights(matrix, target, [&](const PlacedWeight& weight) {
            start_scores(weight, options_.start, options_.margin.of(weight.index),
                         scores_.value.values<float>().subspan(
                             static_cast<std::size_t>(weight.index) * window, window));
        });
    }

    ScoreKernel kernel_;
    ScoreOptions options_;
    Temperature temperature_;
    Scores scores_;
    Tensor unit_;  ///< [1]: the first gradient's root mean square; 0: not known yet
};

}  // namespace

float starting_score(ScoreStart start, float farther, float margin) {
    return -std::max(score_of_a_codeword * (start == ScoreStart::even ? 1.0F : farther), margin);
}

int start_scores(const PlacedWeight& weight, ScoreStart start, float margin, std::span<float> scores) {
    const auto window = static_cast<int>(scores.size());
    const int begin = score_window_begin(weight.code, static_cast<int>(weight.values.size()), window);
    const auto distance = [&](int k) {
        const float away = std::abs(weight.target - weight.values[static_cast<std::size_t>(k)]);
        return weight.spacing > 0 ? away / weight.spacing : 0.0F;
    };
    const float own = distance(weight.code);
    for (int k = 0; k < window; ++k)
        scores[static_cast<std::size_t>(k)] =
            begin + k == weight.code ? 0.0F : starting_score(start, distance(begin + k) - own, margin);
    return begin;
}

std::unique_ptr<MappingLearner> make_score_learner(const CompressedMatrix& matrix, const Tensor& target,
                                                   ScoreKernel kernel, const ScoreOptions& options,
                                                   Temperature temperature) {
    return std::make_unique<ScoreLearner>(matrix, target, kernel, options, std::move(temperature));
}

}  // namespace jlcm
