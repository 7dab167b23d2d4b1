#pragma once
// Element-wise functions: of NaN, NaN. Kernels of every instruction set include this: no code here.

#include <cstdint>

namespace jlcm {

enum class Unary : std::uint8_t {
    silu,
    relu,
    gelu,  ///< x Phi(x), the exact form
    tanh,
    sigmoid,
    clip,          ///< min(max(x, a), b)
    leaky_relu,    ///< x, or a x if negative
    hard_sigmoid,  ///< min(max(a x + b, 0), 1)
    hard_swish,    ///< x min(max(x / 6 + 1/2, 0), 1)
    elu,           ///< x, or a (exp(x) - 1) if negative
    softplus,      ///< log(1 + exp(x))
    affine,        ///< a x + b
    power,         ///< x^a; not a number if that is not real
    exponential,
    logarithm,
    absolute,
    erf,
    gelu_tanh,  ///< x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, Hendrycks & Gimpel 2016
    soft_cap,   ///< a tanh(x / a): as x near 0, never beyond a
};
/// A function of one number, with its constants.
struct UnaryFunction {
    Unary kind = Unary::relu;
    double a = 0;
    double b = 0;
};
enum class Binary : std::uint8_t {
    add,
    multiply,
    silu_multiply,  ///< silu(a) * b
    subtract,
    divide,
    minimum,
    maximum,
};
/// What a window over an image becomes. Averages are over what lies inside of the image, or inside of image
/// and padding.
enum class Pooling : std::uint8_t { maximum, average, average_with_padding };

}  // namespace jlcm
