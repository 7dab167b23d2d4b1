// Divergences by what scores mean: against sums written out, their gradients against differences.
#include "core/base/error.hpp"
#include "core/model/divergence.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

namespace {

using namespace jlcm;

constexpr OutputMeaning meanings[]{OutputMeaning::logits, OutputMeaning::probabilities,
                                   OutputMeaning::multilabel_logits, OutputMeaning::multilabel_probabilities};

/// What logits are as scores of that meaning.
std::vector<float> scores_of(OutputMeaning meaning, std::span<const float> logits) {
    std::vector<double> scores(logits.begin(), logits.end());
    double sum = 0;
    for (double& score : scores) {
        if (meaning == OutputMeaning::multilabel_probabilities) score = 1 / (1 + std::exp(-score));
        if (meaning == OutputMeaning::probabilities) sum += score = std::exp(score);
    }
    std::vector<float> result;
    for (const double score : scores)
        result.push_back(static_cast<float>(meaning == OutputMeaning::probabilities ? score / sum : score));
    return result;
}

/// Sums of p log p/q, by probabilities.
double written_out(bool labels, std::span<const float> original, std::span<const float> model) {
    double total = 0;
    double sums[2]{0, 0};
    for (const float x : original) sums[0] += std::exp(static_cast<double>(x));
    for (const float x : model) sums[1] += std::exp(static_cast<double>(x));
    for (std::size_t i = 0; i < original.size(); ++i) {
        const double a = std::exp(static_cast<double>(original[i]));
        const double b = std::exp(static_cast<double>(model[i]));
        const double p = labels ? a / (1 + a) : a / sums[0];
        const double q = labels ? b / (1 + b) : b / sums[1];
        total += p * std::log(p / q);
        if (labels) total += (1 - p) * std::log((1 - p) / (1 - q));
    }
    return total;
}

Tensor random(const char* name) {
    return test::random_tensor({5, 7}, name, DType::f32, 2.0);
}

std::span<const float> row(const Tensor& tensor, std::int64_t r) {
    return tensor.values<float>().subspan(static_cast<std::size_t>(r * tensor.cols()),
                                          static_cast<std::size_t>(tensor.cols()));
}

}  // namespace

TEST_CASE("logits and probabilities of the same predictions diverge alike") {
    const Tensor original = random("original");
    const Tensor model = random("model");
    for (const OutputMeaning meaning : meanings)
        for (std::int64_t r = 0; r < original.rows(); ++r) {
            const Reference reference(meaning, scores_of(meaning, row(original, r)));
            CHECK(reference.divergence(scores_of(meaning, row(model, r))) ==
                  Approx(written_out(are_labels(meaning), row(original, r), row(model, r))).epsilon(2e-5));
            CHECK(reference.divergence(scores_of(meaning, row(original, r))) == Approx(0).margin(1e-12));
        }
}

TEST_CASE("divergences of certain predictions are finite, and those of no probabilities refused") {
    const std::vector<float> far{-1000, 1000, 0};
    const std::vector<float> flipped{1000, -1000, 0};
    CHECK(Reference(OutputMeaning::logits, far).divergence(flipped) == Approx(2000));
    CHECK(Reference(OutputMeaning::multilabel_logits, far).divergence(flipped) == Approx(2000));
    const std::vector<float> certain{0, 1, 0};
    const std::vector<float> other{1, 0, 0};
    CHECK(Reference(OutputMeaning::probabilities, certain).divergence(other) ==
          Approx(-std::log(probability_floor)));
    CHECK(Reference(OutputMeaning::multilabel_probabilities, certain).divergence(other) ==
          Approx(-2 * std::log(label_probability_floor)).epsilon(1e-5));
    CHECK_THROWS_AS(Reference(OutputMeaning::probabilities, std::vector<float>{0.5F, 0.6F}), Error);
    CHECK_THROWS_AS(Reference(OutputMeaning::probabilities, std::vector<float>{1.5F, -0.5F}), Error);
    CHECK_THROWS_AS(Reference(OutputMeaning::multilabel_probabilities, std::vector<float>{NAN, 0.5F}), Error);
    CHECK(std::isnan(Reference(OutputMeaning::logits, far).divergence(std::vector<float>{NAN, 0, 0})));
}

TEST_CASE("the loss of distillation has the gradient that it says") {
    const auto meaning = GENERATE(OutputMeaning::probabilities, OutputMeaning::multilabel_logits,
                                  OutputMeaning::multilabel_probabilities, OutputMeaning::values);
    const auto scores = [&](const char* name) {
        const Tensor logits = random(name);
        if (meaning == OutputMeaning::values) return logits;
        Tensor result = Tensor::empty(logits.shape());
        for (std::int64_t r = 0; r < logits.rows(); ++r)
            std::ranges::copy(scores_of(meaning, row(logits, r)), result.data<float>() + r * logits.cols());
        return result;
    };
    const Tensor original = scores("original");
    Tensor model = scores("model");
    Tensor slope;
    Tensor unused;
    const double loss = distillation_loss(meaning, model, original, 1, slope);
    if (meaning != OutputMeaning::values) {
        double mean = 0;
        for (std::int64_t r = 0; r < model.rows(); ++r)
            mean += Reference(meaning, row(original, r)).divergence(row(model, r)) / 5;
        CHECK(loss == Approx(mean));
    }
    Tensor part;  // of a step's samples
    CHECK(distillation_loss(meaning, model, original, 0.25, part) == loss);
    for (std::int64_t i = 0; i < model.size(); ++i) {
        CHECK(part.data<float>()[i] == slope.data<float>()[i] / 4);
        float& x = model.data<float>()[i];
        const float kept = x;
        // Far from 1 too, where the logit of a label's probability is steep.
        const bool has_end = meaning == OutputMeaning::multilabel_probabilities;
        const float h = 1e-2F * std::min(std::abs(kept), has_end ? 1 - kept : std::abs(kept));
        x = kept + h;
        const auto above = static_cast<double>(x);
        const double up = distillation_loss(meaning, model, original, 1, unused);
        x = kept - h;
        const double down = distillation_loss(meaning, model, original, 1, unused);
        const double expected = (up - down) / (above - static_cast<double>(x));
        x = kept;
        CHECK(static_cast<double>(slope.data<float>()[i]) == Approx(expected).epsilon(3e-3).margin(1e-5));
    }
    CHECK(distillation_loss(meaning, original, original, 1, slope) == Approx(0).margin(1e-12));
    const std::vector<float> far{1, 2, 2};
    if (meaning == OutputMeaning::values)  // nothing to be relative to
        CHECK(distillation_loss(meaning, Tensor::from<float>({1, 3}, far), Tensor::zeros({1, 3}), 1, slope) ==
              Approx(9));
}
