#include "core/compress/activations.hpp"

#include "core/compress/calibration.hpp"

namespace jlcm {

Activations::Activations(const Executor& executor, const WeightSource& model, Tensor samples,
                         std::int64_t observed, Stages& stages)
    : executor_(executor),
      model_(model),
      samples_(std::move(samples)),
      observed_(observed),
      stages_(stages) {}

Tensor Activations::inputs(std::size_t index) {
    ensure(index >= block_, "block {} has been passed: {} is next", index, block_);
    const Stages::Timer timer(stages_, "calibrate");
    if (!values_.defined()) values_ = first_activations(executor_, model_, samples_);
    while (block_ < index) go_on({});
    return values_;
}

void Activations::pass(std::size_t index, const LinearObserver& observer) {
    (void)inputs(index);
    const Stages::Timer timer(stages_, "calibrate");
    go_on(observer);
}

void Activations::go_on(const LinearObserver& observer) {
    const Block& block = executor_.graph().blocks().at(block_);
    Weights weights(executor_.graph());
    bind_weights(weights, model_, block.nodes, executor_.compute(), executor_.backend());
    values_ = advance(executor_, block, weights, std::move(values_), observer, observed_);
    ++block_;
}

}  // namespace jlcm
