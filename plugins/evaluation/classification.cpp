#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/model/evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jlcm {
namespace {

struct ClassificationOptions {
    DatasetChoice dataset;
    void fields(Fields& v) {
        v("dataset", dataset,
          Doc{"Images with labels that neither calibration nor learning has seen. 1000 images leave a "
              "standard "
              "error of 1 %: compare runs by their items, pairwise (jlcm-compare)."},
          Required{});
    }
};

/// What a model says of one image.
struct Outcome {
    std::int32_t predicted = 0;
    bool in_first_five = false;
    double kl = 0;  ///< KL(original || model), nats
};

/// Log-probabilities in double precision.
std::vector<double> log_softmax(std::span<const float> scores) {
    const double largest = static_cast<double>(*std::ranges::max_element(scores));
    double sum = 0;
    for (const float score : scores) sum += std::exp(static_cast<double>(score) - largest);
    std::vector<double> result;
    for (const float score : scores) result.push_back(static_cast<double>(score) - largest - std::log(sum));
    return result;
}

/// `reference`: the original's log-probabilities, empty for the original itself. Of equal scores the class
/// with the lower number counts as the higher.
Outcome outcome_of(std::span<const float> scores, std::int32_t label, const std::vector<double>& reference) {
    const auto own = static_cast<std::size_t>(label);
    std::int64_t before = 0;
    for (std::size_t c = 0; c < scores.size(); ++c)
        if (scores[c] > scores[own] || (scores[c] == scores[own] && c < own)) ++before;
    Outcome outcome{static_cast<std::int32_t>(std::ranges::max_element(scores) - scores.begin()), before < 5,
                    0};
    if (reference.empty()) return outcome;
    const std::vector<double> log_probabilities = log_softmax(scores);
    for (std::size_t c = 0; c < scores.size(); ++c)
        outcome.kl += std::exp(reference[c]) * (reference[c] - log_probabilities[c]);
    return outcome;
}

/// A share in per cent, with its standard error.
struct Share {
    double value = 0;
    double standard_error = 0;
    Share(std::int64_t hits, std::int64_t of) {
        const double share = static_cast<double>(hits) / static_cast<double>(of);
        value = 100 * share;
        standard_error = 100 * std::sqrt(share * (1 - share) / static_cast<double>(of));
    }
};

std::string name_of_class(const ImageData& data, std::size_t number) {
    return number < data.classes.size() ? data.classes[number] : std::to_string(number);
}

/// [{"class", "items", "correct"}] of the classes that there are images of.
nlohmann::json per_class(const ImageData& data, const std::vector<Outcome>& outcomes) {
    const auto classes = static_cast<std::size_t>(*std::ranges::max_element(data.labels)) + 1;
    std::vector<std::int64_t> items(classes);
    std::vector<std::int64_t> correct(classes);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        const auto label = static_cast<std::size_t>(data.labels[i]);
        ++items[label];
        correct[label] += outcomes[i].predicted == data.labels[i] ? 1 : 0;
    }
    auto table = nlohmann::json::array();
    for (std::size_t c = 0; c < classes; ++c)
        if (items[c] > 0)
            table.push_back(
                {{"class", name_of_class(data, c)}, {"items", items[c]}, {"correct", correct[c]}});
    return table;
}

Figures figures(const ImageData& data, const std::vector<Outcome>& outcomes,
                const std::vector<Outcome>* original) {
    const std::int64_t count = std::ssize(outcomes);
    std::int64_t first = 0;
    std::int64_t first_five = 0;
    std::int64_t agree = 0;
    double kl = 0;
    auto predicted = nlohmann::json::array();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        first += outcomes[i].predicted == data.labels[i] ? 1 : 0;
        first_five += outcomes[i].in_first_five ? 1 : 0;
        kl += outcomes[i].kl;
        if (original != nullptr) agree += outcomes[i].predicted == (*original)[i].predicted ? 1 : 0;
        predicted.push_back(outcomes[i].predicted);
    }
    const Share top1(first, count);
    const Share top5(first_five, count);
    Figures result{.value = top1.value,
                   .standard_error = top1.standard_error,
                   .kl = {},
                   .agreement = {},
                   .more = {{"top5", top5.value},
                            {"top5_stderr", top5.standard_error},
                            {"per_class", per_class(data, outcomes)}},
                   .items = std::move(predicted)};
    if (original != nullptr) {
        result.kl = kl / static_cast<double>(count);
        result.agreement = static_cast<double>(agree) / static_cast<double>(count);
    }
    return result;
}

class Classification final : public Evaluation {
  public:
    using Options = ClassificationOptions;
    explicit Classification(const Options& options) : dataset_(options.dataset.make()) {}

    [[nodiscard]] nlohmann::json data(const Directories& directories) const override {
        return identity_of(load_images(*dataset_, directories));
    }

    [[nodiscard]] Workload workload(const ModelInput& /*input*/,
                                    const Directories& directories) const override {
        return {.samples = load_images(*dataset_, directories).images->count()};
    }

    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& directories) const override {
        const Preprocess& preprocess = models.input.need_preprocess("classification");
        const ImageData data = load_images(*dataset_, directories);
        const auto outcomes = classify(models, data, preprocess);
        EvaluationResult result{.title = fmt::format("top-1, {}", data.name),
                                .metric = "top-1 %",
                                .higher_is_better = true,
                                .protocol = {{"images", data.name},
                                             {"images_sha256", data.sha256},
                                             {"images_source", data.source},
                                             {"items", data.labels.size()},
                                             {"input", preprocess.shape()},
                                             {"standard_error", "binomial"}},
                                .models = {},
                                .expected = data.labels};
        for (const auto& each : outcomes)
            result.models.push_back(
                figures(data, each, &each == outcomes.data() ? nullptr : outcomes.data()));
        return result;
    }

  private:
    /// By model and image.
    [[nodiscard]] static std::vector<std::vector<Outcome>> classify(const EvaluatedModels& models,
                                                                    const ImageData& data,
                                                                    const Preprocess& preprocess) {
        constexpr std::int64_t batch = 64;
        const std::int64_t count = data.images->count();
        std::vector<std::vector<Outcome>> outcomes(models.models.size());
        Progress progress("classification", count, "images");
        for (std::int64_t begin = 0; begin < count; begin += batch) {
            throw_if_interrupted();
            std::vector<ImageChoice> chosen;
            for (std::int64_t i = begin; i < std::min(count, begin + batch); ++i)
                chosen.push_back({data.images.get(), i});
            const Tensor samples = preprocessed(chosen, preprocess);
            std::vector<std::vector<double>> reference(chosen.size());
            for (std::size_t m = 0; m < outcomes.size(); ++m) {
                const Tensor scores = models.models[m]->scores(samples);
                for (std::size_t i = 0; i < chosen.size(); ++i) {
                    const auto width = static_cast<std::size_t>(scores.cols());
                    const auto row = scores.values<float>().subspan(i * width, width);
                    const std::int32_t label = data.labels[static_cast<std::size_t>(chosen[i].index)];
                    require(label < scores.cols(),
                            "classification: {} has the class {}, and the model {} classes", data.name, label,
                            scores.cols());
                    outcomes[m].push_back(outcome_of(row, label, reference[i]));
                    if (m == 0 && outcomes.size() > 1) reference[i] = log_softmax(row);
                }
            }
            progress.update(begin + std::ssize(chosen), "");
        }
        return outcomes;
    }

    std::unique_ptr<Dataset> dataset_;
};

const Registrar<Evaluation, Classification> registrar{
    "classification", "Top-1 and top-5 of images, with KL divergence and agreement to the original."};

}  // namespace
}  // namespace jlcm
