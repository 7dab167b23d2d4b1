#pragma once
// Norm weights and biases under way: small dense parameters moved by Adam.

#include "core/codebook/compressed_model.hpp"
#include "core/learn/optimizer.hpp"

#include <map>

namespace jlcm {

class LearnedNorm {
  public:
    LearnedNorm(const std::string& name, Tensor start);
    [[nodiscard]] const Tensor& value() const { return value_; }
    /// Adds the gradient of some of the next step's samples, taken over.
    void observe(Tensor gradient, Backend& backend);
    /// A step by what was observed. `rate` is relative to the root mean square of the start.
    void step(std::int64_t step, double rate, Backend& backend);
    void append_state(std::vector<NamedTensor>& state) const;

  private:
    std::string name_;
    Tensor value_;
    Tensor size_;      ///< [1]: root mean square at the start
    Tensor gradient_;  ///< of the next step; undefined: nothing observed
    Adam adam_;
};

/// One for every scale and shift of a norm (role "norm...", but for statistics) and every bias that the nodes
/// of `range` read.
[[nodiscard]] std::map<ParameterId, LearnedNorm> learned_norms(const CompressedModel& model, NodeRange range);

}  // namespace jlcm
