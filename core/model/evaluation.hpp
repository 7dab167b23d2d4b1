#pragma once
// Plugin kind "evaluation": figures of models, each with the protocol that it was measured under.

#include "core/base/json.hpp"
#include "core/data/samples.hpp"
#include "core/graph/cost.hpp"
#include "core/model/scoring.hpp"
#include "core/plugin/registry.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

/// What a figure is that depends on something that is not finite.
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// The figures of one model. A figure that depends on a score which is not finite is not finite either:
/// not_a_number where comparisons, counts or maxima would hide it. The record says so, and the program's exit
/// code does.
struct Figures {
    double value = 0;                      ///< of the metric
    std::optional<double> standard_error;  ///< of the value; none where one window cannot tell
    std::optional<double> kl;  ///< mean KL(original || model) a prediction, nats; none for the original
    std::optional<double> agreement;  ///< share of predictions whose most likely outcome is the original's
    nlohmann::json more;              ///< an object of further keys of the record; null: none
    /// What the model predicted for each item (null if its scores are not finite) or, where nothing is
    /// `expected`, the score whose mean the figure is made of (of a window its mean negative log-likelihood);
    /// null: not kept.
    nlohmann::json items;
};

/// Where items are kept they make paired tests between runs possible (core/report/statistics.hpp).
struct EvaluationResult {
    std::string title;   ///< what tables call it: "perplexity, wikitext-2-raw-test, context 2048"
    std::string metric;  ///< "perplexity"
    bool higher_is_better = false;
    nlohmann::json protocol;      ///< everything that a comparable figure has to share
    std::vector<Figures> models;  ///< in the order they were given
    nlohmann::json expected;      ///< what is right for each item, where items are predictions
};

/// What is known of a model before it runs.
struct ModelFacts {
    const Graph& graph;
    const ModelInput& input;
};

/// What an evaluation measures: models that read and predict the same, the first of which is the original
/// where there are several.
struct EvaluatedModels {
    std::vector<const BoundModel*> models;
    const ModelInput& input;

    [[nodiscard]] ModelFacts facts() const { return {models.front()->graph(), input}; }
};

/// What each model reads in an evaluation.
struct Workload {
    std::int64_t samples = 0;
    std::int64_t length = 1;  ///< of a sample in tokens, a mean; of no meaning for images
};

class Evaluation {
  public:
    Evaluation() = default;
    Evaluation(const Evaluation&) = delete;
    Evaluation& operator=(const Evaluation&) = delete;
    virtual ~Evaluation() = default;

    /// Names the data that it reads with its hash: a part of a run's identity.
    [[nodiscard]] virtual nlohmann::json data(const Directories& directories) const = 0;
    /// For an estimate of the time. Input errors: all that evaluate() would refuse in the model, the data and
    /// the options, so that a run finds it before it computes anything.
    [[nodiscard]] virtual Workload workload(const ModelFacts& model,
                                            const Directories& directories) const = 0;
    /// Tokens of the longest sample that goes through a model, as far as that is known without the data.
    [[nodiscard]] virtual std::int64_t longest_sample() const { return 1; }
    /// Whether the original runs a second time, with products of the other type.
    [[nodiscard]] virtual bool has_noise_floor() const { return false; }
    [[nodiscard]] virtual EvaluationResult evaluate(const EvaluatedModels& models,
                                                    const Directories& directories) const = 0;
};

/// The type of products that a noise floor is measured in: bfloat16 where a model is computed in float32, and
/// the other way round.
[[nodiscard]] DType other_type(DType compute);

/// What evaluations of a run have in common.
struct EvaluationSizes {
    int models = 1;                ///< how many they measure
    std::int64_t longest = 0;      ///< Evaluation::longest_sample of them all
    bool has_noise_floor = false;  ///< whether any of them does
};

/// What evaluating compressed models of `original` and itself takes in memory, their mappings apart: the stage
/// "evaluate".
[[nodiscard]] StageCost evaluation_cost(const Model& original, DType compute,
                                        const EvaluationSizes& evaluated);
/// The work of an evaluation of one model, without its memory.
[[nodiscard]] StageCost evaluation_work(const Graph& graph, const ModelInput& input,
                                        const Workload& workload);

template <>
struct KindOf<Evaluation> {
    static constexpr std::string_view name = "evaluation";
    static constexpr std::string_view doc = "Measures the original and the compressed model.";
};

}  // namespace jlcm
