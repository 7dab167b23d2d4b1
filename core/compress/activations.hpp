#pragma once
// What a model feeds its blocks, one block after another, evaluated lazily.

#include "core/graph/execution.hpp"
#include "core/model/model.hpp"
#include "core/store/stages.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>

namespace jlcm {

/// How many samples of a tensor of that shape go through a block at a time: enough for products to be
/// efficient, few enough for memory.
[[nodiscard]] std::int64_t samples_per_step(const Shape& shape);
/// Calls `body(first, end)` for as many samples at a time.
void by_samples(const Shape& shape, const std::function<void(std::int64_t first, std::int64_t end)>& body);

/// The inputs of the first block for `samples`: float32 [samples, ...].
[[nodiscard]] Tensor first_activations(const Executor& executor, const WeightSource& model,
                                       const Tensor& samples);

/// What a block makes of `activations` [samples, ...], some samples at a time; in the memory of `activations`
/// if the result has the same shape. `observer` sees the inputs of linear layers of the first `observed`
/// samples, which go through in steps of their own.
[[nodiscard]] Tensor advance(const Executor& executor, const Block& block, const Weights& weights,
                             Tensor activations, const LinearObserver& observer = {},
                             std::int64_t observed = 0);

/// Activations [samples, ...] in float32. They go through a block when those behind it are asked for, with
/// the weights that the model has then. Evaluation is lazy.
class Activations {
  public:
    /// References outlive it. The first `observed` samples go through blocks in steps of their own, whether
    /// somebody observes them or not. What it computes counts as the stage "calibrate".
    Activations(const Executor& executor, const WeightSource& model, Tensor samples, std::int64_t observed,
                Stages& stages);

    /// What block `index` is fed (behind the last block: what that makes), never of an earlier block than was
    /// asked for before. Shares memory: going on to the next block overwrites it.
    [[nodiscard]] Tensor inputs(std::size_t index);
    /// Goes through block `index`, where `observer` sees the inputs of linear layers of the first `observed`
    /// samples.
    void pass(std::size_t index, const LinearObserver& observer);

  private:
    void go_on(const LinearObserver& observer);

    const Executor& executor_;
    const WeightSource& model_;
    Tensor samples_;
    std::int64_t observed_;
    Stages& stages_;
    std::size_t block_ = 0;  ///< whose inputs `values_` are
    Tensor values_;          ///< undefined at first
};

}  // namespace jlcm
