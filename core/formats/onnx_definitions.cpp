// Written by scripts/make_onnx_definitions.py.
#include "core/formats/onnx_definitions.hpp"

#include <algorithm>
#include <array>

namespace jlcm {
namespace {

struct Definition {
    std::string_view type;
    std::size_t inputs;           ///< at most
    std::size_t outputs;          ///< at most
    std::string_view attributes;  ///< names, a space behind each
};
constexpr std::array definitions = std::to_array<Definition>({
    {"Abs", 1, 1, ""},
    {"Add", 2, 1, ""},
    {"And", 2, 1, ""},
    {"ArgMax", 1, 1, "axis keepdims select_last_index "},
    {"ArgMin", 1, 1, "axis keepdims select_last_index "},
    {"AveragePool", 1, 1, "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides "},
    {"BatchNormalization", 5, 3, "epsilon momentum training_mode "},
    {"Cast", 1, 1, "round_mode saturate to "},
    {"Ceil", 1, 1, ""},
    {"Clip", 3, 1, ""},
    {"Concat", 65536, 1, "axis "},
    {"Constant", 0, 1,
     "sparse_value value value_float value_floats value_int value_ints value_string value_strings "},
    {"ConstantOfShape", 1, 1, "value "},
    {"Conv", 3, 1, "auto_pad dilations group kernel_shape pads strides "},
    {"ConvInteger", 4, 1, "auto_pad dilations group kernel_shape pads strides "},
    {"ConvTranspose", 3, 1,
     "auto_pad dilations group kernel_shape output_padding output_shape pads strides "},
    {"Cos", 1, 1, ""},
    {"CumSum", 2, 1, "exclusive reverse "},
    {"DepthToSpace", 1, 1, "blocksize mode "},
    {"DequantizeLinear", 3, 1, "axis block_size output_dtype "},
    {"Div", 2, 1, ""},
    {"Dropout", 3, 2, "seed "},
    {"DynamicQuantizeLinear", 1, 3, ""},
    {"Elu", 1, 1, "alpha "},
    {"Equal", 2, 1, ""},
    {"Erf", 1, 1, ""},
    {"Exp", 1, 1, ""},
    {"Expand", 2, 1, ""},
    {"Flatten", 1, 1, "axis "},
    {"Floor", 1, 1, ""},
    {"GRU", 6, 2,
     "activation_alpha activation_beta activations clip direction hidden_size layout linear_before_reset "},
    {"Gather", 2, 1, "axis "},
    {"GatherElements", 2, 1, "axis "},
    {"Gelu", 1, 1, "approximate "},
    {"Gemm", 3, 1, "alpha beta transA transB "},
    {"GlobalAveragePool", 1, 1, ""},
    {"GlobalMaxPool", 1, 1, ""},
    {"Greater", 2, 1, ""},
    {"GreaterOrEqual", 2, 1, ""},
    {"HardSigmoid", 1, 1, "alpha beta "},
    {"HardSwish", 1, 1, ""},
    {"Identity", 1, 1, ""},
    {"If", 1, 65536, "else_branch then_branch "},
    {"InstanceNormalization", 3, 1, "epsilon "},
    {"IsInf", 1, 1, "detect_negative detect_positive "},
    {"IsNaN", 1, 1, ""},
    {"LRN", 1, 1, "alpha beta bias size "},
    {"LSTM", 8, 3,
     "activation_alpha activation_beta activations clip direction hidden_size input_forget layout "},
    {"LayerNormalization", 3, 3, "axis epsilon stash_type "},
    {"LeakyRelu", 1, 1, "alpha "},
    {"Less", 2, 1, ""},
    {"LessOrEqual", 2, 1, ""},
    {"Log", 1, 1, ""},
    {"LogSoftmax", 1, 1, "axis "},
    {"MatMul", 2, 1, ""},
    {"MatMulInteger", 4, 1, ""},
    {"Max", 65536, 1, ""},
    {"MaxPool", 1, 2, "auto_pad ceil_mode dilations kernel_shape pads storage_order strides "},
    {"Mean", 65536, 1, ""},
    {"Min", 65536, 1, ""},
    {"Mish", 1, 1, ""},
    {"Mod", 2, 1, "fmod "},
    {"Mul", 2, 1, ""},
    {"Neg", 1, 1, ""},
    {"Not", 1, 1, ""},
    {"Or", 2, 1, ""},
    {"PRelu", 2, 1, ""},
    {"Pad", 4, 1, "mode "},
    {"Pow", 2, 1, ""},
    {"QuantizeLinear", 3, 1, "axis block_size output_dtype precision saturate "},
    {"RNN", 6, 2, "activation_alpha activation_beta activations clip direction hidden_size layout "},
    {"Range", 3, 1, "stash_type "},
    {"Reciprocal", 1, 1, ""},
    {"ReduceL1", 2, 1, "keepdims noop_with_empty_axes "},
    {"ReduceL2", 2, 1, "keepdims noop_with_empty_axes "},
    {"ReduceMax", 2, 1, "keepdims noop_with_empty_axes "},
    {"ReduceMean", 2, 1, "keepdims noop_with_empty_axes "},
    {"ReduceMin", 2, 1, "keepdims noop_with_empty_axes "},
    {"ReduceProd", 2, 1, "keepdims noop_with_empty_axes "},
    {"ReduceSum", 2, 1, "keepdims noop_with_empty_axes "},
    {"ReduceSumSquare", 2, 1, "keepdims noop_with_empty_axes "},
    {"Relu", 1, 1, ""},
    {"Reshape", 2, 1, "allowzero "},
    {"Resize", 4, 1,
     "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value keep_aspect_ratio_policy mode nearest_mode "},
    {"Round", 1, 1, ""},
    {"Shape", 1, 1, "end start "},
    {"Sigmoid", 1, 1, ""},
    {"Sign", 1, 1, ""},
    {"Sin", 1, 1, ""},
    {"Size", 1, 1, ""},
    {"Slice", 5, 1, ""},
    {"Softmax", 1, 1, "axis "},
    {"Softplus", 1, 1, ""},
    {"SpaceToDepth", 1, 1, "blocksize mode "},
    {"Split", 2, 65536, "axis num_outputs "},
    {"Sqrt", 1, 1, ""},
    {"Squeeze", 2, 1, ""},
    {"Sub", 2, 1, ""},
    {"Sum", 65536, 1, ""},
    {"Swish", 1, 1, "alpha "},
    {"Tan", 1, 1, ""},
    {"Tanh", 1, 1, ""},
    {"Tile", 2, 1, ""},
    {"TopK", 2, 2, "axis largest sorted "},
    {"Transpose", 1, 1, "perm "},
    {"Unsqueeze", 2, 1, ""},
    {"Upsample", 2, 1, "mode "},
    {"Where", 3, 1, ""},
    {"Xor", 2, 1, ""},
});

}  // namespace

void require_known_definition(const OnnxNode& node, std::int64_t opset) {
    if (opset <= newest_opset) return;
    const auto found = std::ranges::find(definitions, node.type, &Definition::type);
    require(found != definitions.end() && node.inputs.size() <= found->inputs &&
                node.outputs.size() <= found->outputs &&
                std::ranges::all_of(node.attributes,
                                    [&](const auto& each) {
                                        return found->attributes.find(each.first + " ") !=
                                               std::string_view::npos;
                                    }),
            "its definition differs from that of opset {}, the newest that is known here; export at that one",
            newest_opset);
}

}  // namespace jlcm
