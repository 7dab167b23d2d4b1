#pragma once
// What a graph returns.

#include <cstdint>
#include <string>

namespace jlcm {

using ValueId = int;

/// The kinds of numbers that an output holds.
enum class OutputMeaning : std::uint8_t {
    logits,                    ///< a score per class; their softmax is the prediction
    probabilities,             ///< of classes that exclude each other
    log_probabilities,         ///< their logarithms
    multilabel_logits,         ///< a score per label; its sigmoid is the label's probability
    multilabel_probabilities,  ///< of labels that do not exclude each other
    values,                    ///< nothing of the kind: boxes, embeddings, a regression
};

/// An output, and the value that stands for it where models are compared and learn from each other: the
/// logits in front of a last Softmax tell more than float32 probabilities, and say the same.
struct GraphOutput {
    std::string name;
    ValueId value = -1;  ///< what the model returns
    OutputMeaning meaning = OutputMeaning::values;
    ValueId compared = -1;  ///< [samples, .., classes] unless it holds values
    /// The meaning of `compared`; never log_probabilities, which count as logits.
    OutputMeaning compared_as = OutputMeaning::values;
    std::string found;  ///< how the meaning is known: "a Softmax at its end"
};

}  // namespace jlcm
