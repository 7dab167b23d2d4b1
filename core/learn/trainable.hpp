#pragma once
// What the stages of a run drive: something that makes steps, and whose whole state can be saved between any
// two.

#include "core/base/json.hpp"
#include "core/tensor/tensor.hpp"

#include <string>
#include <vector>

namespace jlcm {

/// A tensor of a state; the handle shares memory with the owner, so that a restore copies into it.
struct NamedTensor {
    std::string name;
    Tensor tensor;
};

class Trainable {
  public:
    Trainable() = default;
    Trainable(const Trainable&) = delete;
    Trainable& operator=(const Trainable&) = delete;
    virtual ~Trainable() = default;

    [[nodiscard]] virtual std::int64_t total_steps() const = 0;
    /// Steps done so far; a restore sets it.
    [[nodiscard]] virtual std::int64_t steps_done() const = 0;
    /// Makes the next step and returns its record for metrics.jsonl: at least "step" and "loss".
    [[nodiscard]] virtual nlohmann::json step() = 0;
    /// Everything that later steps depend on, the same names in the same order at any time.
    [[nodiscard]] virtual std::vector<NamedTensor> state() = 0;
    /// Called after the tensors of state() were overwritten with those saved after `steps` steps.
    virtual void restored(std::int64_t steps) = 0;
    /// Where the weights of each matrix whose mapping moves lie among their codewords, for a later learner
    /// of the same estimator to go on from: tensors of the state, by the matrix's name.
    [[nodiscard]] virtual std::vector<NamedTensor> positions() { return {}; }
    /// Writes the result (codebooks, mappings, scales, norms, rounded to what an artifact stores) to the
    /// model it learns.
    virtual void finish() = 0;
};

}  // namespace jlcm
