#pragma once
// Operators of vision models, and those that move tensors about. Images are channels last: [images, height,
// width, channels], or [images, length, channels]. Structs are what the operators' attributes are made of.

#include "core/base/json.hpp"
#include "core/graph/operator.hpp"

namespace jlcm {

using Integers = std::vector<std::int64_t>;

/// Windows over the one or two spatial dimensions of an image; lists have an entry for each.
struct WindowAttributes {
    Integers kernel;
    Integers stride;
    Integers dilation;
    Integers pad_begin;
    Integers pad_end;
    /// A last window that begins inside the padded image and ends beyond it counts (pooling only).
    bool ceil_mode = false;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WindowAttributes, kernel, stride, dilation, pad_begin, pad_end, ceil_mode)

/// Where an input's windows lie; an input error where they do not fit.
[[nodiscard]] Windows windows_over(const WindowAttributes& attributes, const Shape& input);

/// A convolution; parameters: weight [outputs, channels / groups * taps], its columns in the order [channel
/// of the group][vertical tap][horizontal tap], and b [outputs] where `bias`.
struct ConvolutionAttributes {
    WindowAttributes windows;
    std::int64_t groups = 1;
    bool bias = false;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ConvolutionAttributes, windows, groups, bias)
[[nodiscard]] OperatorPtr make_convolution(ConvolutionAttributes attributes);

/// Normalisation over each channel (the last dimension) by statistics that are given. Parameters: scale,
/// shift, mean, variance, each [channels]. Ioffe & Szegedy, "Batch normalization", 2015.
[[nodiscard]] OperatorPtr make_batch_norm(double epsilon);

/// The value of its parameter; no inputs.
[[nodiscard]] OperatorPtr make_constant();
/// Dimension d of the output is dimension order[d] of the input.
[[nodiscard]] OperatorPtr make_transpose(std::vector<int> order);
/// The same elements under another shape; one dimension may be -1: as many as it takes.
[[nodiscard]] OperatorPtr make_reshape(Shape shape);
/// `count` elements of a dimension: begin, begin + step, ...
struct SliceAttributes {
    int dimension = 0;
    std::int64_t begin = 0;
    std::int64_t count = 0;
    std::int64_t step = 1;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SliceAttributes, dimension, begin, count, step)
[[nodiscard]] OperatorPtr make_slice(SliceAttributes attributes);
/// Elements put before and behind each dimension: a constant, or what is there (mirrored without the edge, or
/// the edge again).
enum class PadMode : std::uint8_t { constant, reflect, edge };
NLOHMANN_JSON_SERIALIZE_ENUM(PadMode, {{PadMode::constant, "constant"},
                                       {PadMode::reflect, "reflect"},
                                       {PadMode::edge, "edge"}})
struct PadAttributes {
    Integers before;
    Integers behind;
    PadMode mode = PadMode::constant;
    double value = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PadAttributes, before, behind, mode, value)
[[nodiscard]] OperatorPtr make_pad(PadAttributes attributes);
/// The inputs one after the other along a dimension.
[[nodiscard]] OperatorPtr make_concat(int dimension);
/// The first input repeated to `shape` as broadcasting does it. -1 stands for the first dimension of the
/// second input, which gives nothing else and is left out where there is no -1: what is repeated for each
/// sample.
[[nodiscard]] OperatorPtr make_expand(Shape shape);

/// The same backwards: an image's pixels spread over windows, which are added up. Parameter: weight [groups *
/// (outputs of a group) * taps, channels of a group], its rows in the order [group][output][vertical
/// tap][horizontal tap]; and b [outputs] where `bias`. `windows` are those over the output.
struct TransposedConvolutionAttributes {
    WindowAttributes windows;
    Integers size;  ///< of the output's spatial dimensions
    std::int64_t groups = 1;
    bool bias = false;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TransposedConvolutionAttributes, windows, size, groups, bias)
[[nodiscard]] OperatorPtr make_transposed_convolution(TransposedConvolutionAttributes attributes);

NLOHMANN_JSON_SERIALIZE_ENUM(Pooling, {{Pooling::maximum, "maximum"},
                                       {Pooling::average, "average"},
                                       {Pooling::average_with_padding, "average_with_padding"}})
struct PoolingAttributes {
    WindowAttributes windows;
    Pooling pooling = Pooling::maximum;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PoolingAttributes, windows, pooling)
[[nodiscard]] OperatorPtr make_pooling(PoolingAttributes attributes);

/// Rows (the last dimension) less their mean over their deviation; parameters where `affine`: scale, shift
/// [features]. Ba, Kiros & Hinton, "Layer normalization", 2016.
[[nodiscard]] OperatorPtr make_layer_norm(double epsilon, bool affine);
/// Over the last dimension.
[[nodiscard]] OperatorPtr make_softmax();
/// Its logarithm, finite wherever the input is.
[[nodiscard]] OperatorPtr make_log_softmax();
/// Of two inputs, products of matrices in the last two dimensions; the ones before broadcast.
[[nodiscard]] OperatorPtr make_matmul();

enum class Reduction : std::uint8_t { sum, mean };
NLOHMANN_JSON_SERIALIZE_ENUM(Reduction, {{Reduction::sum, "sum"}, {Reduction::mean, "mean"}})
/// Over some dimensions, which stay with a size of one where `keep`.
struct ReduceAttributes {
    Reduction reduction = Reduction::mean;
    std::vector<int> dimensions;
    bool keep = true;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ReduceAttributes, reduction, dimensions, keep)
[[nodiscard]] OperatorPtr make_reduce(ReduceAttributes attributes);

}  // namespace jlcm
