#pragma once
// Recurrent layers: LSTM, GRU and plain ones.

#include "core/base/json.hpp"
#include "core/graph/operator.hpp"

namespace jlcm {

/// What a layer makes of its state, in ONNX's order of gates.
enum class RecurrentCell : std::uint8_t {
    lstm,              ///< input, output, forget, cell. Hochreiter & Schmidhuber, 1997
    gru,               ///< update, reset, candidate; the state is reset before its product. Cho et al., 2014
    gru_reset_behind,  ///< the same, its product is reset: linear_before_reset, as cuDNN has it
    tanh,
    relu,
};
NLOHMANN_JSON_SERIALIZE_ENUM(RecurrentCell, {{RecurrentCell::lstm, "lstm"},
                                             {RecurrentCell::gru, "gru"},
                                             {RecurrentCell::gru_reset_behind, "gru_reset_behind"},
                                             {RecurrentCell::tanh, "tanh"},
                                             {RecurrentCell::relu, "relu"}})

struct RecurrentAttributes {
    RecurrentCell cell = RecurrentCell::lstm;
    bool reverse = false;  ///< from the last step to the first
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RecurrentAttributes, cell, reverse)

/// 4, 3 or 1.
[[nodiscard]] std::int64_t gates_of(RecurrentCell cell);

/// A layer that goes through sequences step by step. Input 0 is what the gates get from outside, [sequences, steps,
/// gates * width], as a linear operator makes it. The first state [sequences, width] is input 1 (of an LSTM with the
/// first cells as input 2); without them it is zero. Parameters: weight [gates * width, width], which the state is
/// multiplied with, and b [width] of the candidate's product where the reset lies behind it. The output [sequences,
/// steps, width] has the state behind each step; of an LSTM, [sequences, steps, 2 * width], the cells follow.
[[nodiscard]] OperatorPtr make_recurrent(RecurrentAttributes attributes);

}  // namespace jlcm
