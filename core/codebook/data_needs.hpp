#pragma once
// What a method reads of the calibration data, besides the weights. Initialisers, solvers and objectives
// declare it, and so do options of the pipeline; the pipeline makes nothing else, and plans count nothing
// else.

#include <algorithm>
#include <cstdint>

namespace jlcm {

struct DataNeeds {
    bool second_moments = false;    ///< of each layer: sum of x x^T over its inputs
    bool original_moments = false;  ///< of each layer: sum of x_original x^T, over both models' inputs
    std::int64_t row_sets = 0;      ///< sets of a layer's outputs with second moments weighted by gradients
    bool fisher = false;            ///< of each weight: the mean square of its gradient
    bool activations = false;       ///< a block's inputs, and the original block's outputs
    bool can_do_without = false;    ///< of a method: tables that have no inputs (the embedding) are fine too

    [[nodiscard]] bool any() const { return moments() || gradients() || activations; }
    /// Whether the inputs of layers are observed.
    [[nodiscard]] bool moments() const { return second_moments || original_moments || row_sets > 0; }
    /// Whether the original model's predictions are differentiated.
    [[nodiscard]] bool gradients() const { return fisher || row_sets > 0; }

    DataNeeds& operator|=(const DataNeeds& other) {
        second_moments = second_moments || other.second_moments;
        original_moments = original_moments || other.original_moments;
        row_sets = std::max(row_sets, other.row_sets);
        fisher = fisher || other.fisher;
        activations = activations || other.activations;
        can_do_without = can_do_without && other.can_do_without;
        return *this;
    }
    [[nodiscard]] friend DataNeeds operator|(DataNeeds a, const DataNeeds& b) { return a |= b; }
};

}  // namespace jlcm
