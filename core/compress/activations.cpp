#include "core/compress/activations.hpp"

#include "core/base/interrupt.hpp"

#include <algorithm>

namespace jlcm {
namespace {

/// Rows of a tensor that is as long as `rows` and made when the first part is known.
class Parts {
  public:
    explicit Parts(std::int64_t rows, Tensor whole = {}) : rows_(rows), whole_(std::move(whole)) {}
    void put(std::int64_t first, const Tensor& part) {
        Shape shape = part.shape();
        shape.front() = rows_;
        if (!whole_.defined() || whole_.shape() != shape) whole_ = Tensor::empty(shape, part.dtype());
        std::ranges::copy(part.bytes(), whole_.slice(first, first + part.rows()).bytes().begin());
    }
    [[nodiscard]] Tensor take() { return std::move(whole_); }

  private:
    std::int64_t rows_;
    Tensor whole_;
};

}  // namespace

std::int64_t samples_per_step(const Shape& shape) {
    constexpr std::int64_t tokens = 2048;
    constexpr std::int64_t values = 1 << 18;  // of images, whose convolutions read each of them many times
    if (shape.size() < 4) return std::max<std::int64_t>(1, tokens / shape[1]);
    return std::clamp<std::int64_t>(values / (element_count(shape) / shape[0]), 4, 64);
}

void by_samples(const Shape& shape, const std::function<void(std::int64_t, std::int64_t)>& body) {
    const std::int64_t step = samples_per_step(shape);
    for (std::int64_t first = 0; first < shape[0]; first += step) {
        throw_if_interrupted();
        body(first, std::min(shape[0], first + step));
    }
}

Tensor first_activations(const Executor& executor, const WeightSource& model, const Tensor& samples) {
    const Graph& graph = executor.graph();
    Weights weights(graph);
    bind_weights(weights, model, graph.prologue().nodes, executor.compute(), executor.backend());
    Parts activations(samples.rows());
    by_samples(samples.shape(), [&](std::int64_t first, std::int64_t end) {
        activations.put(first, executor.forward(graph.prologue(), weights, samples.slice(first, end)));
    });
    return activations.take();
}

Tensor advance(const Executor& executor, const Block& block, const Weights& weights, Tensor activations,
               const LinearObserver& observer, std::int64_t observed) {
    Parts outputs(activations.rows(), activations);
    by_samples(activations.shape(), [&](std::int64_t first, std::int64_t end) {
        // A step that holds the last observed sample is cut there.
        const std::int64_t middle = std::clamp(observed, first, end);
        for (const auto& [from, to] : {std::pair(first, middle), std::pair(middle, end)}) {
            if (from == to) continue;
            outputs.put(from, executor.forward(block, weights, activations.slice(from, to), nullptr,
                                               to <= middle ? observer : LinearObserver()));
        }
    });
    return outputs.take();
}

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
