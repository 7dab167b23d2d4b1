#pragma once
// A model as a graph of operators in topological order. It knows names, roles and shapes, but holds no
// weights: those are bound at each execution (execution.hpp), so that one graph serves the original and the
// compressed model.

#include "core/graph/operator.hpp"
#include "core/graph/output.hpp"

#include <optional>
#include <string>
#include <vector>

namespace jlcm {

using ParameterId = int;
using NodeId = int;

/// A tensor that the checkpoint holds.
struct Parameter {
    std::string name;  ///< the checkpoint's name, e.g. model.layers.0.self_attn.q_proj.weight
    std::string
        role;  ///< "attention.query", "mlp.down", "norm", "embedding", "head", ...: what specs match on
    Shape shape;
    int block = -1;            ///< index of the (first) block it was added to; -1 outside
    bool linear = false;       ///< the weight of a linear operator: what compression is about
    ParameterId tied_to = -1;  ///< shares the tensor of that parameter
};

struct Node {
    std::string name;
    OperatorPtr op;
    std::vector<ValueId> inputs;
    std::vector<ParameterId> parameters;
    ValueId output = -1;
};

/// What the elements of an input are. A graph computes on all of them as numbers, integers exact up to 2^24.
enum class ElementKind : std::uint8_t {
    number,
    integer,
    truth,  ///< 0 or 1
};

/// One of several inputs of a graph. They come as the record of a sample (record.hpp).
struct GraphInput {
    std::string name;
    Shape shape;  ///< of one sample, without the dimension of samples
    ElementKind kind = ElementKind::number;
    bool operator==(const GraphInput&) const = default;
};

/// Consecutive nodes [first, end).
struct NodeRange {
    NodeId first = 0;
    NodeId end = 0;
};

/// Nodes with one value in and one value out: a unit of reconstruction (a transformer block, a residual
/// block), or any other part of a graph that is run by itself.
struct Block {
    std::string name{};
    NodeRange nodes;
    ValueId input = -1;
    ValueId output = -1;
};

class Graph {
  public:
    /// `shape`: one that the graph takes, of one sequence or image.
    [[nodiscard]] ValueId add_input(const std::string& name, Shape shape = {1, 1});
    [[nodiscard]] ParameterId add_parameter(Parameter parameter);
    /// Appends a node and returns its output value.
    [[nodiscard]] ValueId add(const std::string& name, OperatorPtr op, std::vector<ValueId> inputs,
                              std::vector<ParameterId> parameters = {});
    /// Parameters that its nodes read belong to it.
    void add_block(Block block);
    /// Makes every `count` consecutive blocks one, the last of what is left; 1 changes nothing. Parameters
    /// keep the number of the block that they were added to.
    void join_blocks(std::int64_t count);
    /// Declares the last linear layer over the vocabulary: `features` [.., width] times `head`. Without one
    /// (-1) the features are what the model returns (logits). `soft_cap`: of its logits, 0: none.
    void set_head(ValueId features, ParameterId head, double soft_cap = 0);
    /// Declares that the input is a record [samples, elements] of several.
    void set_inputs(std::vector<GraphInput> inputs);
    /// Declares that it is made for one sample: a dimension inside may be that of samples and of something else too.
    /// Several run one after the other. Input, outputs and what passes between blocks have a first dimension of 1.
    void set_one_by_one() { one_by_one_ = true; }
    /// Declares what the model returns, in its file's order. `features`: what all of it is compared by, the
    /// `compared` of one output, the record of those of several. The head is none.
    void set_outputs(std::vector<GraphOutput> outputs, ValueId features);

    [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
    [[nodiscard]] const std::vector<Parameter>& parameters() const { return parameters_; }
    [[nodiscard]] const std::vector<Block>& blocks() const { return blocks_; }
    [[nodiscard]] const std::vector<std::string>& values() const { return values_; }
    [[nodiscard]] NodeId node_count() const { return static_cast<NodeId>(nodes_.size()); }
    [[nodiscard]] const Node& node(NodeId id) const { return nodes_.at(static_cast<std::size_t>(id)); }
    [[nodiscard]] const Parameter& parameter(ParameterId id) const {
        return parameters_.at(static_cast<std::size_t>(id));
    }
    [[nodiscard]] ValueId input() const { return 0; }
    [[nodiscard]] const Shape& input_shape() const { return input_shape_; }
    /// The parts of an input that is a record, in order; empty: the input is one tensor.
    [[nodiscard]] const std::vector<GraphInput>& inputs() const { return inputs_; }
    [[nodiscard]] bool one_by_one() const { return one_by_one_; }
    [[nodiscard]] ValueId features() const { return features_; }
    [[nodiscard]] ParameterId head() const { return head_; }
    /// What the head's logits are capped by (Unary::soft_cap); 0: nothing.
    [[nodiscard]] double head_soft_cap() const { return head_soft_cap_; }
    /// Empty in a language model, which returns the logits of its head, or its features.
    [[nodiscard]] const std::vector<GraphOutput>& outputs() const { return outputs_; }
    [[nodiscard]] std::optional<ParameterId> find_parameter(const std::string& name) const;
    /// Tables: those of all look-ups in the body by ids (the embedding), and the head if it has weights of its own.
    [[nodiscard]] std::vector<ParameterId> tables() const;
    /// The table that the head reads, its own or the embedding that it is tied to; -1: there is no head.
    [[nodiscard]] ParameterId head_table() const;

    /// From the input to the features. Nodes behind it make outputs of those, and have no weights to compress: a
    /// Softmax.
    [[nodiscard]] Block body() const;
    /// The nodes of the body before the first block, and those after the last one.
    [[nodiscard]] Block prologue() const;
    [[nodiscard]] Block epilogue() const;
    /// All nodes, from the input to a value.
    [[nodiscard]] Block whole(ValueId output) const { return {"model", {0, node_count()}, input(), output}; }

    /// The linear weights of a block, in the order of the nodes, and the node each belongs to.
    struct LinearUse {
        ParameterId parameter;
        NodeId node;
    };
    [[nodiscard]] std::vector<LinearUse> linears(NodeRange range) const;
    /// Every parameter that the nodes of a range read, in order, once.
    [[nodiscard]] std::vector<ParameterId> parameters_of(NodeRange range) const;

    /// Shapes of all values for an input of this shape; throws an input error where an operator refuses. Where samples
    /// run one by one, those of all of them, one behind the other.
    [[nodiscard]] std::vector<Shape> infer(const Shape& input) const;
    /// Floating-point operations of a forward over a range of nodes.
    [[nodiscard]] double flops(NodeRange range, const Shape& input) const;

  private:
    std::vector<std::string> values_;
    Shape input_shape_;
    std::vector<GraphInput> inputs_;
    std::vector<Node> nodes_;
    std::vector<Parameter> parameters_;
    std::vector<Block> blocks_;
    std::vector<GraphOutput> outputs_;
    ValueId features_ = -1;
    ParameterId head_ = -1;
    double head_soft_cap_ = 0;
    bool one_by_one_ = false;
};

}  // namespace jlcm
