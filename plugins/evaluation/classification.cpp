#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/graph/output_meaning.hpp"
#include "core/model/divergence.hpp"
#include "core/model/divergence_distribution.hpp"
#include "core/model/noise_floor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace jlcm {
namespace {

struct ClassificationOptions {
    DatasetChoice dataset;
    bool noise_floor = false;
    void fields(Fields& v) {
        v("dataset", dataset,
          Doc{"Images that neither calibration nor learning has seen. 1000 images leave a standard error of "
              "1 %: compare runs by their items, pairwise (jlcm-compare). Without labels there is no top-1: "
              "the figure is the agreement with the original."},
          Required{});
        noise_floor_field(v, noise_floor);
    }
};

/// What a model says of one image.
struct Outcome {
    std::int32_t predicted = 0;  ///< none if a score is NaN or plus infinity
    bool in_first_five = false;
    Divergence divergence;  ///< none of the original itself
};

constexpr std::int32_t none = -1;
constexpr float infinity = std::numeric_limits<float>::infinity();

bool predicts_all(const std::vector<Outcome>& outcomes) {
    return std::ranges::find(outcomes, none, &Outcome::predicted) == outcomes.end();
}

/// The record's item: null if there is no prediction.
nlohmann::json item_of(const Outcome& outcome) {
    return outcome.predicted == none ? nlohmann::json() : nlohmann::json(outcome.predicted);
}

/// Whether fewer than 5 classes score higher. Of equal scores the class with the lower number counts as the
/// higher.
bool is_in_first_five(std::span<const float> scores, std::int32_t label) {
    const auto own = static_cast<std::size_t>(label);
    std::int64_t before = 0;
    for (std::size_t c = 0; c < scores.size(); ++c)
        if (scores[c] > scores[own] || (scores[c] == scores[own] && c < own)) ++before;
    return before < 5;
}

/// `label`: none for an image without a label. `reference`: the original's prediction, null for the original
/// itself.
Outcome outcome_of(std::span<const float> scores, std::optional<std::int32_t> label,
                   const Reference* reference) {
    if (!std::ranges::all_of(scores, [](float score) { return score < infinity; }))
        return {none, false, {.kl = std::numeric_limits<float>::quiet_NaN(), .confidence = 0}};
    Outcome outcome{static_cast<std::int32_t>(std::ranges::max_element(scores) - scores.begin()),
                    label && is_in_first_five(scores, *label),
                    {}};
    if (reference != nullptr)
        outcome.divergence = {.kl = static_cast<float>(reference->divergence(scores)),
                              .confidence = static_cast<float>(reference->confidence())};
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

/// KL of the predictions against the original's: its mean and its distribution.
void add_divergence(Figures& figures, const std::vector<Outcome>& outcomes) {
    std::vector<Divergence> divergences;
    double sum = 0;
    for (const Outcome& each : outcomes) {
        divergences.push_back(each.divergence);
        sum += static_cast<double>(each.divergence.kl);
    }
    figures.kl = sum / static_cast<double>(outcomes.size());
    figures.more.update(kl_distribution(divergences));
}

/// Of images without labels: how many are classified as by the original (null: the original itself), and KL.
Figures unlabelled_figures(const std::vector<Outcome>& outcomes, const std::vector<Outcome>* original) {
    const std::int64_t count = std::ssize(outcomes);
    std::int64_t agree = 0;
    auto predicted = nlohmann::json::array();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        agree += original == nullptr || outcomes[i].predicted == (*original)[i].predicted ? 1 : 0;
        predicted.push_back(item_of(outcomes[i]));
    }
    const Share same(agree, count);
    Figures result{.value = same.value,
                   .standard_error = same.standard_error,
                   .kl = {},
                   .agreement = {},
                   .more = nlohmann::json::object(),
                   .items = std::move(predicted)};
    if (original != nullptr) {
        add_divergence(result, outcomes);
        result.agreement = same.value / 100;
    }
    if (!predicts_all(outcomes) || (original != nullptr && !predicts_all(*original))) {
        result.value = not_a_number;
        result.standard_error = not_a_number;
        if (original != nullptr) result.agreement = not_a_number;
    }
    return result;
}

Figures figures(const ImageData& data, const std::vector<Outcome>& outcomes,
                const std::vector<Outcome>* original) {
    const std::int64_t count = std::ssize(outcomes);
    std::int64_t first = 0;
    std::int64_t first_five = 0;
    std::int64_t agree = 0;
    auto predicted = nlohmann::json::array();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        first += outcomes[i].predicted == data.labels[i] ? 1 : 0;
        first_five += outcomes[i].in_first_five ? 1 : 0;
        if (original != nullptr) agree += outcomes[i].predicted == (*original)[i].predicted ? 1 : 0;
        predicted.push_back(item_of(outcomes[i]));
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
        add_divergence(result, outcomes);
        result.agreement =
            predicts_all(*original) ? static_cast<double>(agree) / static_cast<double>(count) : not_a_number;
    }
    if (!predicts_all(outcomes)) {
        result.value = not_a_number;
        result.standard_error = not_a_number;
        result.more["top5"] = not_a_number;
        result.more["top5_stderr"] = not_a_number;
        result.more.erase("per_class");
        if (original != nullptr) result.agreement = not_a_number;
    }
    return result;
}

class Classification final : public Evaluation {
  public:
    using Options = ClassificationOptions;
    explicit Classification(const Options& options)
        : dataset_(options.dataset.make()), has_noise_floor_(options.noise_floor) {}

    [[nodiscard]] nlohmann::json data(const Directories& directories) const override {
        return identity_of(load_images(*dataset_, directories));
    }

    [[nodiscard]] Workload workload(const ModelFacts& model, const Directories& directories) const override {
        (void)model.input.need_preprocess("classification");
        const std::int64_t classes = need_classes(model.graph, "classification");
        return {.samples = load_known(directories, classes).images->count()};
    }

    [[nodiscard]] bool has_noise_floor() const override { return has_noise_floor_; }

    [[nodiscard]] EvaluationResult evaluate(const EvaluatedModels& models,
                                            const Directories& directories) const override {
        const Preprocess& preprocess = models.input.need_preprocess("classification");
        const std::int64_t classes = need_classes(models.models.front()->graph(), "classification");
        const OutputMeaning meaning = compared_as(models.models.front()->graph());
        for (const BoundModel* each : models.models)
            require(
                need_classes(each->graph(), "classification") == classes &&
                    compared_as(each->graph()) == meaning,
                "classification: the models' outputs mean different things ({} and {}, {} and {} classes)",
                name_of(meaning), name_of(compared_as(each->graph())), classes,
                need_classes(each->graph(), "classification"));
        const ImageData data = load_known(directories, classes);
        const bool is_labelled = !data.labels.empty();
        require(
            is_labelled || models.models.size() > 1,
            "classification: the images of {} have no labels, and top-1 needs them: a labels.csv with the "
            "columns filename and class_index, or a folder per class. Without labels a model can be "
            "compared with its original (--original)",
            data.name);
        const NoiseFloor floor(has_noise_floor_, models, "classification");
        const auto outcomes = classify(floor.models(), data, preprocess, meaning);
        const char* figure = is_labelled ? "top-1" : "agreement with the original";
        EvaluationResult result{.title = fmt::format("{}, {}", figure, data.name),
                                .metric = is_labelled ? "top-1 %" : "agreement %",
                                .higher_is_better = true,
                                .protocol = {{"images", data.name},
                                             {"images_sha256", data.sha256},
                                             {"images_source", data.source},
                                             {"items", data.images->count()},
                                             {"input", preprocess.shape()},
                                             {"standard_error", "binomial"}},
                                .models = {},
                                .expected = {}};
        if (const std::string kl = describe_divergence(meaning); !kl.empty()) result.protocol["kl"] = kl;
        // What the original predicts takes the labels' place: paired tests then count agreement.
        for (const auto& each : outcomes) {
            const auto* original = &each == outcomes.data() ? nullptr : outcomes.data();
            result.models.push_back(is_labelled ? figures(data, each, original)
                                                : unlabelled_figures(each, original));
        }
        floor.fold(result.models);
        result.expected = is_labelled ? nlohmann::json(data.labels) : result.models.front().items;
        return result;
    }

  private:
    /// The images; if they have labels, each of a class that the model knows.
    [[nodiscard]] ImageData load_known(const Directories& directories, std::int64_t classes) const {
        ImageData data = load_images(*dataset_, directories);
        if (data.labels.empty()) return data;
        const auto largest = *std::ranges::max_element(data.labels);
        require(largest < classes, "classification: {} has the class {}, and the model {} classes, 0 to {}",
                data.name, largest, classes, classes - 1);
        return data;
    }

    /// By model and image.
    [[nodiscard]] static std::vector<std::vector<Outcome>> classify(
        const std::vector<const BoundModel*>& models, const ImageData& data, const Preprocess& preprocess,
        OutputMeaning meaning) {
        constexpr std::int64_t batch = 64;
        const std::int64_t count = data.images->count();
        std::vector<std::vector<Outcome>> outcomes(models.size());
        Progress progress("classification", count, "images");
        for (std::int64_t begin = 0; begin < count; begin += batch) {
            throw_if_interrupted();
            std::vector<ImageChoice> chosen;
            for (std::int64_t i = begin; i < std::min(count, begin + batch); ++i)
                chosen.push_back({data.images.get(), i});
            const Tensor samples = preprocessed(chosen, preprocess);
            std::vector<Reference> references;
            for (std::size_t m = 0; m < outcomes.size(); ++m) {
                const Tensor scores = models[m]->scores(samples);
                for (std::size_t i = 0; i < chosen.size(); ++i) {
                    const auto width = static_cast<std::size_t>(scores.size()) / chosen.size();
                    const auto row = scores.values<float>().subspan(i * width, width);
                    std::optional<std::int32_t> label;
                    if (!data.labels.empty()) label = data.labels[static_cast<std::size_t>(chosen[i].index)];
                    outcomes[m].push_back(outcome_of(row, label, m == 0 ? nullptr : &references[i]));
                    if (m == 0 && outcomes.size() > 1) references.emplace_back(meaning, row);
                }
            }
            progress.update(begin + std::ssize(chosen), "");
        }
        return outcomes;
    }

    std::unique_ptr<Dataset> dataset_;
    bool has_noise_floor_;
};

const Registrar<Evaluation, Classification> registrar{
    "classification", "Top-1 and top-5 of images, with KL divergence and agreement to the original."};

}  // namespace
}  // namespace jlcm
