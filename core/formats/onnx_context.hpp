#pragma once
// What the lowering rules of ONNX operators work with. Of use to onnx_*.cpp only.

#include "core/formats/onnx_lowering.hpp"
#include "core/graph/broadcast.hpp"
#include "core/graph/data_operators.hpp"
#include "core/graph/tensor_operators.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <set>

namespace jlcm::onnx_rules {

/// A value of the ONNX graph, on the way to be lowered: known now, or a value of the graph.
struct Value {
    std::string name;
    std::shared_ptr<const OnnxTensor> constant;  ///< shared by copies; null where it is a value of the graph
    ValueId id = -1;
    /// Of the ONNX value, at the batch size that the lowering assumes.
    Shape shape;
    /// places[d]: the dimension of the graph's value that is dimension d here. Transposition costs nothing
    /// until somebody needs another order.
    std::vector<int> places;
    /// Integers or truth values in ONNX, which the graph holds as numbers: exact up to 2^24.
    bool is_integer = false;

    [[nodiscard]] std::size_t rank() const { return shape.size(); }
};

/// A value that is known.
[[nodiscard]] Value known(std::string name, OnnxTensor tensor);

/// Rules read what a node is given through input(), data(), constant() and integers(), which check it: an
/// input error where it is missing, or of another kind than the rule asks for.
class Context {
  public:
    /// As lower_onnx.
    Context(const OnnxModel& model, std::int64_t batch, Backend& backend, const LoweredOnnx* other = nullptr);
    /// One node by itself, whose inputs are all known: a graph that depends on no input.
    Context(const Context& outer, const OnnxNode& node);

    [[nodiscard]] Backend& backend() const { return *backend_; }
    [[nodiscard]] std::int64_t opset() const { return model_->opset; }
    /// Whether every input of the node is there: made by a node that was lowered, or known.
    [[nodiscard]] bool has_inputs(const OnnxNode& node) const;
    /// Input i, which may be known or a value of the graph (`id` is not valid where it is known).
    [[nodiscard]] const Value& input(const OnnxNode& node, std::size_t i) const;
    /// Input i as a value of the graph; numbers that are known become one.
    [[nodiscard]] Value data(const OnnxNode& node, std::size_t i);
    /// The same of numbers or integers.
    [[nodiscard]] Value any_data(const OnnxNode& node, std::size_t i);
    /// The values of input i, which have to be known now.
    [[nodiscard]] const OnnxTensor& constant(const OnnxNode& node, std::size_t i) const;
    /// The one element of input i, which has to be known now.
    [[nodiscard]] double number(const OnnxNode& node, std::size_t i) const;
    /// Attribute `key`, or from the opset on that made it an input, input i; nothing where it is left out.
    [[nodiscard]] std::optional<std::vector<std::int64_t>> integers(const OnnxNode& node,
                                                                    const std::string& key,
                                                                    std::size_t i) const;

    /// Constants of a graph inside of a node. They live as long as the model.
    void add_constants(const std::map<std::string, OnnxTensor>& constants);
    /// Reads what a node's inputs left in the file; unload() leaves it there again.
    void load(const OnnxNode& node);
    void unload();
    void set(const OnnxNode& node, std::size_t output, Value value);
    /// Whether an output that was set holds integers.
    void set_integer(const OnnxNode& node, std::size_t output, bool is_integer);
    void set(const OnnxNode& node, Value value) { set(node, 0, std::move(value)); }
    /// What stands under a value's name; null where nothing does.
    [[nodiscard]] const Value* find(const std::string& name) const;
    /// Appends a node of the graph; its output is dimension for dimension what ONNX means.
    [[nodiscard]] Value emit(const OnnxNode& node, const OperatorPtr& op, const std::vector<ValueId>& inputs,
                             const std::vector<ParameterId>& parameters = {});
    /// The same; the output's dimensions lie where `places` says.
    [[nodiscard]] Value emit(const OnnxNode& node, const OperatorPtr& op, const std::vector<ValueId>& inputs,
                             const std::vector<ParameterId>& parameters, std::vector<int> places);

    /// A value of the graph whose dimensions lie where `places` says, made of a constant or by a
    /// transposition where needed.
    [[nodiscard]] ValueId in_places(const OnnxNode& node, const Value& value, const std::vector<int>& places);
    /// In ONNX's order.
    [[nodiscard]] ValueId plain(const OnnxNode& node, const Value& value);
    /// [images, spatial.., channels]
    [[nodiscard]] ValueId channels_last(const OnnxNode& node, const Value& value);

    /// A parameter of the graph that holds `values`. Asked again for the same name, it is the same parameter;
    /// the name is `name`, or where that holds other values or another shape already, with a number. If the
    /// node reads a constant of that name, the parameter is that, arranged as said.
    [[nodiscard]] ParameterId parameter(const OnnxNode& node, const std::string& name,
                                        const std::string& role, const Shape& shape,
                                        const std::vector<float>& values, bool linear = false,
                                        const OnnxArrangement& arrangement = {});

    /// The parameter holds elements of a constant from `first` on; `added`: as OnnxOrigin.
    void note_part(ParameterId parameter, const std::string& constant, std::int64_t first,
                   std::pair<std::int64_t, std::int64_t> added = {});
    /// `centred` is the integers of a constant less their zero point: a parameter made of it holds that constant.
    void add_levels(const Value& centred, const std::string& constant);

    /// The shape with the batch left open (-1), for a reshape at any batch size.
    [[nodiscard]] Shape open_shape(const Shape& shape) const;
    /// Whether a size is that of the batch.
    [[nodiscard]] bool is_batch(std::int64_t size) const { return batch_ > 0 && size == batch_; }
    /// Whether a size is a multiple of it.
    [[nodiscard]] bool holds_batch(std::int64_t size) const {
        return batch_ > 0 && size > 0 && size % batch_ == 0;
    }
    [[nodiscard]] bool moves_samples() const { return model_->moves_samples; }
    /// What `change` makes of a shape whose first dimension may be samples. A file for a fixed number of
    /// samples may have it in its constants: there `change` sees as many samples as the file has, and what it
    /// makes is said for all.
    [[nodiscard]] Shape for_all_samples(const Shape& shape,
                                        const std::function<Shape(const Shape&)>& change) const;
    /// A value of the graph whose first dimension is that of samples: the model's input.
    [[nodiscard]] ValueId samples() const { return result_.graph.input(); }

    /// Whether anything that is lowered reads the value.
    [[nodiscard]] bool is_needed(const std::string& name) const { return needed_.contains(name); }
    void set_needed(std::set<std::string, std::less<>> names) { needed_ = std::move(names); }

    /// What was lowered so far.
    [[nodiscard]] const LoweredOnnx& lowered() const { return result_; }
    /// Elements of all values of the graph.
    [[nodiscard]] double elements() const;
    [[nodiscard]] LoweredOnnx finish();

  private:
    /// The shape of an input at the batch; an input error asks for what the file leaves open.
    [[nodiscard]] Shape settled(const OnnxInput& input) const;
    void add_input(const OnnxInput& input);
    /// Several are parts of one, the graph's.
    void add_record(const std::vector<OnnxInput>& inputs);
    /// An output of the model, the dimension of samples first.
    [[nodiscard]] ValueId output(const Value& value);
    [[nodiscard]] const Shape& graph_shape(ValueId id) const;
    /// The values of a parameter; those of the other lowering, where they are the same.
    [[nodiscard]] Tensor stored(const std::string& name, const Shape& shape,
                                const std::vector<float>& values) const;
    void note_origin(const OnnxNode& node, const std::string& parameter, const std::string& name,
                     const OnnxArrangement& arrangement);
    [[nodiscard]] ValueId add(const std::string& name, const OperatorPtr& op,
                              const std::vector<ValueId>& inputs, const std::vector<ParameterId>& parameters);
    const OnnxModel* model_;
    Backend* backend_;
    const LoweredOnnx* other_ = nullptr;
    std::int64_t batch_ = 0;
    std::int64_t fixed_batch_ = 0;  ///< the file's own, where the batch is another; else 0
    std::map<std::string, Value> values_;
    std::map<std::string, std::shared_ptr<const OnnxTensor>>
        left_;                                   ///< constants that are loaded, as they were
    std::map<std::string, std::string> levels_;  ///< the constants of centred ones
    std::size_t loaded_ = 0;                     ///< bytes, since pages were given back
    std::set<std::string, std::less<>> needed_;
    std::vector<Shape> shapes_;  ///< of the graph's values
    LoweredOnnx result_;
};

using Rule = void (*)(Context&, const OnnxNode&);
using Rules = std::map<std::string, Rule, std::less<>>;

void add_composed_rules(Rules& rules);
void add_convolution_rules(Rules& rules);
void add_elementwise_rules(Rules& rules);
void add_linear_rules(Rules& rules);
void add_normalisation_rules(Rules& rules);
void add_logic_rules(Rules& rules);
void add_quantization_rules(Rules& rules);
void add_recurrent_rules(Rules& rules);
void add_resize_rules(Rules& rules);
void add_selection_rules(Rules& rules);
void add_shape_rules(Rules& rules);

/// The rule of an operator of ONNX's own that there is one for.
[[nodiscard]] Rule rule_of(std::string_view type);
/// Attributes of windows of `kernel` over the spatial dimensions of `shape` ([images, channels, spatial..]).
[[nodiscard]] WindowAttributes windows_of(const OnnxNode& node, const Shape& shape, const Integers& kernel);
/// The role of a convolution's weight.
[[nodiscard]] std::string convolution_role(std::int64_t groups, std::int64_t channels);
/// Volumes, [images, channels, depth, height, width]: what convolve() and a pooling are to images.
void convolve_volume(Context& context, const OnnxNode& node, const Value& x, const Value& factor,
                     const Value* bias);
void pool_volume(Context& context, const OnnxNode& node, const Value& x, const PoolingAttributes& attributes);
/// A transposed convolution whose windows have three dimensions.
void transpose_convolve_volume(Context& context, const OnnxNode& node, const Value& x,
                               const TransposedConvolutionAttributes& attributes);

/// A function of two values that broadcast; one of them may be known.
[[nodiscard]] Value combine(Context& context, const OnnxNode& node, Binary function, const Value& a,
                            const Value& b);
/// A constant with so many dimensions, those in front being ones; other values stay.
[[nodiscard]] Value with_rank(const Value& value, std::size_t rank);
/// What an operator makes of these inputs of a node, numbers or integers, which broadcast.
[[nodiscard]] Value broadcast_all(Context& context, const OnnxNode& node, const OperatorPtr& op,
                                  const std::vector<std::size_t>& inputs);
/// The matrix product of two values; one that is known is a weight where it is one matrix.
void multiply_matrices(Context& context, const OnnxNode& node, const Value& a, const Value& b);
/// The convolution of x with a weight that is known, as the node's attributes say; `bias`, known too, may be null.
void convolve(Context& context, const OnnxNode& node, const Value& x, const Value& factor, const Value* bias);
/// A Gather whose indices are data.
void gather_by_data(Context& context, const OnnxNode& node);
/// What a node makes of inputs that are all known, by its rule: its graph is run. One tensor an output; an
/// output that nobody needs is left empty.
[[nodiscard]] std::vector<std::optional<OnnxTensor>> run_on_constants(const Context& context,
                                                                      const OnnxNode& node, Rule rule);

/// Sizes beyond it are damage, and products of two do not overflow.
inline constexpr std::int64_t size_limit = std::int64_t{1} << 31;
/// An attribute of strides, widths or sizes; an input error where one is beyond size_limit either way.
[[nodiscard]] std::vector<std::int64_t> bounded(std::vector<std::int64_t> values);
/// The identity of `rank` dimensions.
[[nodiscard]] std::vector<int> in_order(std::size_t rank);
/// Where the dimensions of an ONNX image lie in [images, spatial.., channels].
[[nodiscard]] std::vector<int> image_places(std::size_t rank);
/// `axis`, which may count from the end, in [0, rank).
[[nodiscard]] std::size_t axis_of(std::int64_t axis, std::size_t rank);
/// The values as numbers; an input error where an integer is none of float32.
[[nodiscard]] std::vector<float> as_numbers(const OnnxTensor& tensor);
/// The tensor with its dimensions where `places` says.
[[nodiscard]] OnnxTensor moved(const OnnxTensor& tensor, const std::vector<int>& places);

/// A part of a dimension: `count` elements begin, begin + step, ...
struct Range {
    std::int64_t begin = 0;
    std::int64_t count = 0;
    std::int64_t step = 1;
};
/// What a Slice takes, by dimension; whole dimensions are left out.
[[nodiscard]] std::vector<std::pair<std::size_t, Range>> slices(
    const std::optional<std::vector<std::int64_t>>& starts,
    const std::optional<std::vector<std::int64_t>>& ends, std::optional<std::vector<std::int64_t>> axes,
    std::optional<std::vector<std::int64_t>> steps, const Shape& shape);
/// The parts that a Split of a dimension of `size` makes: of the given sizes, or of one, which the last has less
/// of where it may.
[[nodiscard]] std::vector<Range> split_ranges(std::int64_t size, std::size_t parts,
                                              const std::optional<std::vector<std::int64_t>>& sizes,
                                              bool may_be_uneven);
/// The matrix that a Flatten at `axis` makes.
[[nodiscard]] Shape flattened(const Shape& shape, std::int64_t axis);
/// The shape that a Reshape asks for, its zeros replaced by what is there.
[[nodiscard]] Shape copied_dimensions(const OnnxNode& node, Shape shape, const Shape& input);
[[nodiscard]] Shape squeezed(const Shape& shape, const std::vector<std::int64_t>& axes);
[[nodiscard]] Shape unsqueezed(const Shape& shape, const std::vector<std::int64_t>& axes);
/// Output dimension d of a Transpose is input dimension [d].
[[nodiscard]] std::vector<std::size_t> transposition(const OnnxNode& node, std::size_t rank);

/// A constant repeated to `shape`.
[[nodiscard]] OnnxTensor expanded(const OnnxTensor& tensor, const Shape& shape);
/// What a DequantizeLinear makes of levels that are known; `zero` may be null.
[[nodiscard]] OnnxTensor dequantized(const OnnxNode& node, const OnnxTensor& levels, const OnnxTensor& scale,
                                     const OnnxTensor* zero);

/// Whether there is a rule for inputs that are all known.
[[nodiscard]] bool can_fold(std::string_view type);
/// What a node makes of inputs that are all known; nothing where the type has no such rule.
[[nodiscard]] std::optional<std::vector<OnnxTensor>> fold(const OnnxNode& node, std::int64_t opset,
                                                          const std::vector<const OnnxTensor*>& inputs);

}  // namespace jlcm::onnx_rules
