#pragma once
// A pass through a graph that keeps the inputs of its blocks alone: the backward makes each block's values
// again from its input, so that memory holds one block's activations.

#include "core/graph/graph.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace jlcm {

class Recomputation {
  public:
    explicit Recomputation(const Graph& graph) : graph_(&graph) {}

    /// From the graph's input through the prologue and the blocks: the input of the epilogue.
    /// `run`: a block's output from its input.
    [[nodiscard]] Tensor forward(const Tensor& input,
                                 const std::function<Tensor(const Block& block, const Tensor& input)>& run) {
        Tensor x = run(graph_->prologue(), input);
        for (const Block& block : graph_->blocks()) {
            inputs_.push_back(x);
            x = run(block, x);
        }
        return x;
    }

    /// Through the blocks from the last to the first, with `slope` the gradient of the last one's output.
    /// `run`: the gradient of a block's input, from its input and the gradient of its output. Inputs are
    /// freed on the way. Returns the gradient of the prologue's output.
    Tensor backward(
        Tensor slope,
        const std::function<Tensor(const Block& block, const Tensor& input, const Tensor& slope)>& run) {
        const auto& blocks = graph_->blocks();
        for (std::size_t i = blocks.size(); i-- > 0; inputs_.pop_back())
            slope = run(blocks[i], inputs_[i], slope);
        return slope;
    }

  private:
    const Graph* graph_;
    std::vector<Tensor> inputs_;
};

}  // namespace jlcm
