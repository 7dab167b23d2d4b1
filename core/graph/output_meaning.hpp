#pragma once
// What the output of a graph means, found from its last operators or stated by the user.

#include "core/base/json.hpp"
#include "core/graph/graph.hpp"
#include "core/graph/output_choice.hpp"
#include "core/graph/record.hpp"

namespace jlcm {

/// Makes `values` the graph's outputs, called as `choices` name them, one for each. A meaning is the stated one,
/// else what the last operators say, through whatever only moves elements: Softmax, LogSoftmax, the logarithm of
/// a Softmax, Sigmoid, a weighted mean of Softmaxes. Of other outputs [samples, classes] it is assumed to be
/// logits, and all else holds values. Appends a node if classes have to be moved into the last dimension, and the
/// record of several outputs. Input errors: a stated meaning that the shape does not allow.
void state_outputs(Graph& graph, const std::vector<ValueId>& values,
                   const std::vector<OutputChoice>& choices);
/// The same of the features, the one output.
void state_output(Graph& graph, const std::string& name, OutputChoice choice = {});

/// The meaning of what models are compared by: logits for a graph without outputs of its own (a language model),
/// values for several outputs, whose meanings are those of their parts.
[[nodiscard]] OutputMeaning compared_as(const Graph& graph);

/// What one output is compared by: all of the features, or their columns in the record of several.
struct ComparedPart {
    const GraphOutput* output = nullptr;  ///< of the graph
    RecordPart part;
};
[[nodiscard]] std::vector<ComparedPart> compared_parts(const Graph& graph);

/// The shape of an output for one sample, without the dimension of samples: [1000].
[[nodiscard]] Shape sample_shape(const Graph& graph, const GraphOutput& output);

/// How many classes each sample has one score of: of an output [samples, classes], or with further dimensions
/// of one. An input error, which names the shape and what to do, if it is another; `what` names who asks.
[[nodiscard]] std::int64_t need_classes(const Graph& graph, std::string_view what);

/// {"name", "shape", "meaning", "found", "compared"}, for records.
[[nodiscard]] nlohmann::json output_record(const Graph& graph, const GraphOutput& output);
/// "output 'p' [n, 10]: probabilities (a Softmax at its end), compared by the logits in front".
[[nodiscard]] std::string describe(const Graph& graph, const GraphOutput& output);

}  // namespace jlcm
