#pragma once
// What stages take, as they say themselves before they run, and the sizes of a graph that this is made of.

#include "core/graph/graph.hpp"
#include "core/tensor/tensor.hpp"

#include <functional>
#include <string>
#include <vector>

namespace jlcm {

/// What one stage takes. Memory is an upper estimate, a bound on what its tensors hold and on what is kept of
/// them for reuse (core/tensor/memory.hpp). Pages of mapped files are left out: the system takes them back.
struct StageCost {
    struct Part {
        std::string what;
        double bytes = 0;
    };
    std::string name;         ///< as in Stages
    std::vector<Part> parts;  ///< what is in memory at the same time
    double products = 0;      ///< floating-point operations of matrix products
    double loops =
        0;  ///< passes over values, weights and codewords, one or two nanoseconds each on one thread

    [[nodiscard]] double total() const {
        double sum = 0;
        for (const Part& part : parts) sum += part.bytes;
        return sum;
    }
    /// Leaves out what takes nothing.
    void add(std::string what, double bytes) {
        if (bytes > 0) parts.push_back({std::move(what), bytes});
    }
};

/// Sizes of a graph's parameters and, for inputs of one shape, of its values.
class GraphSizes {
  public:
    /// `sample`: the shape of one sample. Products are made of `compute`. The graph outlives it.
    GraphSizes(const Graph& graph, const Shape& sample, DType compute);

    [[nodiscard]] const Graph& graph() const { return *graph_; }
    [[nodiscard]] double elements(ParameterId id) const {
        return static_cast<double>(element_count(graph_->parameter(id).shape));
    }
    /// Elements of a value for one sample.
    [[nodiscard]] double elements_of_value(ValueId value) const;
    [[nodiscard]] const Shape& shape_of(ValueId value) const {
        return shapes_[static_cast<std::size_t>(value)];
    }

    /// Bytes of a range's weights as they are bound: linear ones in the compute type, with a backend's packed
    /// copy of those of convolutions.
    [[nodiscard]] double bound(NodeRange range) const;
    /// Bytes of what the range's linear weights are decoded to before they are converted: one weight at a
    /// time, but memory is kept for each size.
    [[nodiscard]] double decoded(NodeRange range) const;
    /// Bytes of the head as products take it.
    [[nodiscard]] double head() const;
    /// Bytes of all values of a range for `samples`, in float32 and in the compute type if that is another.
    [[nodiscard]] double values(NodeRange range, double samples) const;
    /// Bytes of what a forward through a range takes that keeps no value longer than it is read: as many
    /// tensors of each size as are there at the same time, since freed memory serves tensors of its size
    /// only.
    [[nodiscard]] double passing_values(NodeRange range, double samples) const;
    /// Bytes of what the range's largest convolution is multiplied with, each pixel as often as it is read.
    [[nodiscard]] double patches(NodeRange range, double samples) const;

    /// Operations of a forward of one sample.
    [[nodiscard]] double forward_operations() const { return forward_; }
    /// And the elements of all its values, each of which is written and read.
    [[nodiscard]] double forward_elements() const { return elements_; }
    [[nodiscard]] double head_operations() const;

    [[nodiscard]] double largest_block(const std::function<double(const Block&)>& bytes) const;
    [[nodiscard]] double all_blocks(const std::function<double(const Block&)>& bytes) const;
    [[nodiscard]] NodeRange all_nodes() const { return graph_->body().nodes; }

  private:
    const Graph* graph_;
    double compute_bytes_;
    std::vector<Shape> shapes_;  ///< of all values, for one sample
    double forward_;
    double elements_ = 0;
};

}  // namespace jlcm
