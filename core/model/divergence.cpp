#include "core/model/divergence.hpp"

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/graph/output_meaning.hpp"

#include <algorithm>
#include <cmath>

namespace jlcm {

bool are_labels(OutputMeaning meaning) {
    return meaning == OutputMeaning::multilabel_logits || meaning == OutputMeaning::multilabel_probabilities;
}

namespace {

double softplus(double x) {
    return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

double clipped(OutputMeaning meaning, double probability) {
    if (meaning == OutputMeaning::multilabel_probabilities)
        return std::clamp(probability, label_probability_floor, 1 - label_probability_floor);
    return std::max(probability, probability_floor);
}

/// The logit of a score.
double logit_of(OutputMeaning meaning, float score) {
    const auto value = static_cast<double>(score);
    if (meaning == OutputMeaning::probabilities) return std::log(clipped(meaning, value));
    if (meaning == OutputMeaning::multilabel_probabilities) {
        const double p = clipped(meaning, value);
        return std::log(p) - std::log1p(-p);
    }
    return value;
}

/// d logit / d score; 0 where the floor holds.
double slope_of_logit(OutputMeaning meaning, float score) {
    const auto value = static_cast<double>(score);
    if (meaning == OutputMeaning::logits || meaning == OutputMeaning::multilabel_logits) return 1;
    if (clipped(meaning, value) != value) return 0;
    return meaning == OutputMeaning::probabilities ? 1 / value : 1 / (value * (1 - value));
}

std::vector<double> logits_of(OutputMeaning meaning, std::span<const float> scores) {
    std::vector<double> logits;
    logits.reserve(scores.size());
    for (const float score : scores) logits.push_back(logit_of(meaning, score));
    return logits;
}

/// Log-probabilities of classes.
void log_softmax(std::vector<double>& logits) {
    const double largest = *std::ranges::max_element(logits);
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - largest);
    for (double& logit : logits) logit = logit - largest - std::log(sum);
}

void require_probabilities(OutputMeaning meaning, std::span<const float> scores) {
    constexpr double rounding = 1e-3;
    const auto outside = std::ranges::find_if(scores, [](float p) {
        return std::isnan(p) || static_cast<double>(p) < -rounding || static_cast<double>(p) > 1 + rounding;
    });
    require(outside == scores.end(),
            "the output is said to hold {}, and the original's value {} is none: set model.outputs' meaning",
            name_of(meaning), outside == scores.end() ? 0.0F : *outside);
    if (meaning != OutputMeaning::probabilities) return;
    double sum = 0;
    for (const float p : scores) sum += static_cast<double>(p);
    require(std::abs(sum - 1) < rounding,
            "the output is said to hold probabilities of classes, and the original's sum to {:.4g}: set "
            "model.outputs' meaning or axis",
            sum);
}

/// `share` times `factor` times the gradient of KL(original || model) with respect to the model's scores.
void gradient(OutputMeaning meaning, std::span<const double> original, std::span<const float> scores,
              double factor, float share, std::span<float> slope) {
    std::vector<double> own = logits_of(meaning, scores);
    if (!are_labels(meaning)) log_softmax(own);
    for (std::size_t c = 0; c < scores.size(); ++c) {
        const double difference = are_labels(meaning) ? sigmoid(own[c]) - sigmoid(original[c])
                                                      : std::exp(own[c]) - std::exp(original[c]);
        slope[c] = share * static_cast<float>(factor * difference * slope_of_logit(meaning, scores[c]));
    }
}

double value_loss(const Tensor& features, const Tensor& original, float share, Tensor& slope) {
    constexpr std::int64_t grain = 1 << 14;
    const float* own = features.data<float>();
    const float* other = original.data<float>();
    const auto sum = [&](auto term) {
        return parallel_sum(features.size(), grain, [&](std::int64_t begin, std::int64_t end) {
            double total = 0;
            for (std::int64_t i = begin; i < end; ++i) total += term(i);
            return total;
        });
    };
    const double size =
        sum([&](std::int64_t i) { return static_cast<double>(other[i]) * static_cast<double>(other[i]); });
    const double factor = size > 0 ? 1 / size : 1;
    const double error = sum([&](std::int64_t i) {
        const double difference = static_cast<double>(own[i]) - static_cast<double>(other[i]);
        return difference * difference;
    });
    slope = Tensor::empty(features.shape());
    parallel_for(features.size(), grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            slope.data<float>()[i] =
                share * static_cast<float>(2 * factor *
                                           (static_cast<double>(own[i]) - static_cast<double>(other[i])));
    });
    return factor * error;
}

}  // namespace

Reference::Reference(OutputMeaning compared_as, std::span<const float> scores)
    : compared_as_(compared_as), logits_(logits_of(compared_as, scores)) {
    ensure(compared_as != OutputMeaning::values && compared_as != OutputMeaning::log_probabilities,
           "a divergence of {}", name_of(compared_as));
    if (compared_as == OutputMeaning::probabilities || compared_as == OutputMeaning::multilabel_probabilities)
        require_probabilities(compared_as, scores);
    if (!are_labels(compared_as)) log_softmax(logits_);
}

double Reference::divergence(std::span<const float> scores) const {
    std::vector<double> own = logits_of(compared_as_, scores);
    double sum = 0;
    if (are_labels(compared_as_)) {
        for (std::size_t c = 0; c < own.size(); ++c)
            sum += sigmoid(logits_[c]) * (logits_[c] - own[c]) + softplus(own[c]) - softplus(logits_[c]);
        return sum;
    }
    log_softmax(own);
    for (std::size_t c = 0; c < own.size(); ++c) sum += std::exp(logits_[c]) * (logits_[c] - own[c]);
    return sum;
}

double Reference::confidence() const {
    const double largest = *std::ranges::max_element(logits_);
    return are_labels(compared_as_) ? sigmoid(largest) : std::exp(largest);
}

std::string describe_divergence(OutputMeaning compared_as) {
    switch (compared_as) {
        case OutputMeaning::probabilities:
            return fmt::format("of probabilities, each at least {:.1e}", probability_floor);
        case OutputMeaning::multilabel_logits:
            return "of each label by itself, summed over labels";
        case OutputMeaning::multilabel_probabilities:
            return fmt::format(
                "of each label by itself, summed over labels; probabilities at least {:.1e} from 0 and 1",
                label_probability_floor);
        default:
            return "";
    }
}

double distillation_loss(OutputMeaning compared_as, const Tensor& features, const Tensor& original,
                         double share, Tensor& slope) {
    const auto factor_of_slope = static_cast<float>(share);
    ensure(features.shape() == original.shape() && features.shape().size() == 2,
           "a loss of features {} against {}", to_string(features.shape()), to_string(original.shape()));
    if (compared_as == OutputMeaning::values) return value_loss(features, original, factor_of_slope, slope);
    const std::int64_t rows = features.rows();
    const auto width = static_cast<std::size_t>(features.cols());
    const double factor = 1.0 / static_cast<double>(rows);
    slope = Tensor::empty(features.shape());
    const auto row = [width](const Tensor& tensor, std::int64_t r) {
        return tensor.values<float>().subspan(static_cast<std::size_t>(r) * width, width);
    };
    return factor * parallel_sum(rows, 16, [&](std::int64_t begin, std::int64_t end) {
               double sum = 0;
               for (std::int64_t r = begin; r < end; ++r) {
                   const Reference reference(compared_as, row(original, r));
                   sum += reference.divergence(row(features, r));
                   gradient(compared_as, reference.logits(), row(features, r), factor, factor_of_slope,
                            slope.values<float>().subspan(static_cast<std::size_t>(r) * width, width));
               }
               return sum;
           });
}

}  // namespace jlcm
