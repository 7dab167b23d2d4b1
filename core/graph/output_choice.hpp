#pragma once
// What a user says of a model's output: its name and its meaning.

#include "core/base/enum_names.hpp"
#include "core/graph/output.hpp"

#include <optional>
#include <string>

namespace jlcm {

class Fields;

inline EnumNames<OutputMeaning> enum_names(OutputMeaning /*tag*/) {
    return {{OutputMeaning::logits, "logits", "scores of classes; their softmax is the prediction"},
            {OutputMeaning::probabilities, "probabilities", "of classes that exclude each other"},
            {OutputMeaning::log_probabilities, "log_probabilities", "their logarithms"},
            {OutputMeaning::multilabel_logits, "multilabel_logits",
             "scores of labels; the sigmoid of each is its probability"},
            {OutputMeaning::multilabel_probabilities, "multilabel_probabilities",
             "of labels that do not exclude each other"},
            {OutputMeaning::values, "values", "none of these: boxes, embeddings, a regression"}};
}

/// "logits", ...
[[nodiscard]] std::string name_of(OutputMeaning meaning);

/// What the user says of an output.
struct OutputChoice {
    std::string name;
    std::optional<OutputMeaning> meaning;  ///< none: found from the graph
    std::optional<std::int64_t> axis;      ///< of the classes, where a meaning is given
    void fields(Fields& v);
};

}  // namespace jlcm
