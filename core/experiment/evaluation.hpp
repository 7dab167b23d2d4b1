#pragma once
// Plugin kind "evaluation": figures of models, each with the protocol that it was measured under.

#include "core/model/scoring.hpp"
#include "core/plugin/registry.hpp"
#include "core/text/dataset.hpp"

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace jlcm {

/// The figures of one model.
struct Figures {
    double value = 0;                      ///< of the metric
    std::optional<double> standard_error;  ///< of the value; none where one window cannot tell
    std::optional<double> kl;         ///< mean KL(original || model) a token, nats; none for the original
    std::optional<double> agreement;  ///< share of tokens with the original's most likely next token
};

struct EvaluationResult {
    std::string title;            ///< what tables call it: "perplexity, wikitext-2-raw-test, context 2048"
    std::string metric;           ///< "perplexity"
    nlohmann::json protocol;      ///< everything that a comparable figure has to share
    std::vector<Figures> models;  ///< in the order they were given
};

/// What an evaluation measures: models of one tokenizer and architecture, the first of which is the original
/// where there are several.
struct EvaluatedModels {
    std::vector<const BoundModel*> models;
    const Tokenizer& tokenizer;
    std::int64_t max_positions = 0;  ///< longest context that the model was made for
};

class Evaluation {
  public:
    Evaluation() = default;
    Evaluation(const Evaluation&) = delete;
    Evaluation& operator=(const Evaluation&) = delete;
    virtual ~Evaluation() = default;

    /// Names the data that it reads with its hash: a part of a run's identity.
    [[nodiscard]] virtual nlohmann::json data(const Directories& directories) const = 0;
    [[nodiscard]] virtual EvaluationResult evaluate(const EvaluatedModels& models,
                                                    const Directories& directories) const = 0;
};

template <>
struct KindOf<Evaluation> {
    static constexpr std::string_view name = "evaluation";
    static constexpr std::string_view doc = "Measures the original and the compressed model.";
};

}  // namespace jlcm
