"""The operators of an artifact's graph (its `config`) in Core ML's MIL. Each is a function of a node's inputs, weights
and attributes, called inside of a MIL function. Images are channels last here and channels first in Core ML;
coremltools takes out the transpositions between."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from jlcm.errors import require

Attributes = dict[str, Any]


def type_of(x: Var) -> np.dtype:
    return np.dtype(types.nptype_from_builtin(x.dtype))


def scalar(x: Var, value: float) -> np.generic:
    """A number of the type of x, the nearest finite one; a positive one stays above 0."""
    limits = np.finfo(type_of(x))
    if 0 < value < limits.tiny:
        value = limits.tiny
    return type_of(x).type(np.clip(value, limits.min, limits.max))


def _channels_first(x: Var) -> Var:
    return mb.transpose(x=x, perm=[0, x.rank - 1, *range(1, x.rank - 1)])


def _channels_last(x: Var) -> Var:
    return mb.transpose(x=x, perm=[0, *range(2, x.rank), 1])


def _convolution(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    windows = attributes["windows"]
    weight, *bias = weights
    made = mb.conv(
        x=_channels_first(inputs[0]),
        weight=weight,
        strides=windows["stride"],
        dilations=windows["dilation"],
        pad_type="custom",
        pad=_sides(windows["pad_begin"], windows["pad_end"]),
        groups=attributes["groups"],
        **({"bias": bias[0]} if bias else {}),
    )
    return _channels_last(made)


def _sides(begin: Sequence[int], end: Sequence[int]) -> list[int]:
    return [side for pair in zip(begin, end) for side in pair]


def _pooling(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    windows, kind = attributes["windows"], attributes["pooling"]
    end = list(windows["pad_end"])
    if windows["ceil_mode"]:
        sizes = inputs[0].shape[1:-1]
        end = [_end_of_last_window(size, windows, i) for i, size in enumerate(sizes)]
    shared = {
        "x": _channels_first(inputs[0]),
        "kernel_sizes": windows["kernel"],
        "strides": windows["stride"],
        "pad_type": "custom",
        "pad": _sides(windows["pad_begin"], end),
    }
    if kind == "maximum":
        return _channels_last(mb.max_pool(**shared))
    return _channels_last(mb.avg_pool(**shared, exclude_padding_from_average=kind == "average"))


def _end_of_last_window(size: int, windows: Attributes, i: int) -> int:
    """The padding behind an image that a last window, which begins inside and ends beyond, needs."""
    begin, end = windows["pad_begin"][i], windows["pad_end"][i]
    kernel, stride = windows["kernel"][i], windows["stride"][i]
    last = -(-(size + begin + end - kernel) // stride) * stride
    if last >= size + begin:
        last -= stride
    return max(last + kernel - size - begin, 0)


def _batch_norm(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    (x,) = inputs
    scale, shift, mean, variance = weights
    epsilon = scalar(x, attributes["epsilon"])
    if x.rank in (3, 4):
        first = _channels_first(x)
        made = mb.batch_norm(x=first, mean=mean, variance=variance, gamma=scale, beta=shift, epsilon=epsilon)
        return _channels_last(made)
    deviation = mb.sqrt(x=mb.add(x=variance, y=epsilon))
    return mb.add(x=mb.mul(x=mb.real_div(x=mb.sub(x=x, y=mean), y=deviation), y=scale), y=shift)


def _layer_norm(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    (x,) = inputs
    factors = dict(zip(("gamma", "beta"), weights))
    return mb.layer_norm(x=x, axes=[-1], epsilon=scalar(x, attributes["epsilon"]), **factors)


def _linear(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    return mb.linear(x=inputs[0], **dict(zip(("weight", "bias"), weights)))


def _slice(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    (x,) = inputs
    axis, begin, step = attributes["dimension"], attributes["begin"], attributes["step"]
    first, end, steps = [0] * x.rank, list(x.shape), [1] * x.rank
    first[axis], end[axis], steps[axis] = begin, min(begin + step * attributes["count"], x.shape[axis]), step
    return mb.slice_by_index(x=x, begin=first, end=end, stride=steps)


def _expand(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    x = inputs[0]
    shape = [inputs[1].shape[0] if size < 0 else size for size in attributes["shape"]]
    full = [1] * (len(shape) - x.rank) + list(x.shape)
    return mb.tile(x=mb.reshape(x=x, shape=full), reps=[whole // part for whole, part in zip(shape, full)])


def _pad(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    (x,) = inputs
    sides = _sides(attributes["before"], attributes["behind"])
    return mb.pad(x=x, pad=sides, mode="constant", constant_val=scalar(x, attributes["value"]))


def _reduce(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    function = {"sum": mb.reduce_sum, "mean": mb.reduce_mean}[attributes["reduction"]]
    return function(x=inputs[0], axes=attributes["dimensions"], keep_dims=attributes["keep"])


def _affine(x: Var, a: float, b: float) -> Var:
    scaled = x if a == 1 else mb.mul(x=x, y=scalar(x, a))
    return scaled if b == 0 else mb.add(x=scaled, y=scalar(x, b))


def _hard_sigmoid(x: Var, a: float, b: float) -> Var:
    return mb.sigmoid_hard(x=x, alpha=scalar(x, a), beta=scalar(x, b))


def _log_softmax(x: Var) -> Var:
    largest = mb.reduce_max(x=x, axes=[-1], keep_dims=True)
    lower = mb.sub(x=x, y=largest)
    return mb.sub(x=lower, y=mb.reduce_log_sum_exp(x=lower, axes=[-1], keep_dims=True))


def soft_cap(x: Var, a: float) -> Var:
    return mb.mul(x=mb.tanh(x=mb.mul(x=x, y=scalar(x, 1 / a))), y=scalar(x, a))


def _unary(function: Callable[..., Var]) -> Callable[[Sequence[Var], Sequence[Var], Attributes], Var]:
    """Of x and the attributes a and b."""
    return lambda inputs, weights, attributes: function(inputs[0], **attributes)


def _binary(function: Callable[..., Var]) -> Callable[[Sequence[Var], Sequence[Var], Attributes], Var]:
    return lambda inputs, weights, attributes: function(x=inputs[0], y=inputs[1])


OPERATORS: dict[str, Callable[[Sequence[Var], Sequence[Var], Attributes], Var]] = {
    "convolution": _convolution,
    "pooling": _pooling,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "linear": _linear,
    "constant": lambda inputs, weights, attributes: weights[0],
    "transpose": lambda inputs, weights, attributes: mb.transpose(x=inputs[0], perm=attributes["order"]),
    "reshape": lambda inputs, weights, attributes: mb.reshape(x=inputs[0], shape=attributes["shape"]),
    "slice": _slice,
    "expand": _expand,
    "pad": _pad,
    "concat": lambda inputs, weights, attributes: mb.concat(values=list(inputs), axis=attributes["dimension"]),
    "reduce": _reduce,
    "matmul": _binary(mb.matmul),
    "add": _binary(mb.add),
    "subtract": _binary(mb.sub),
    "multiply": _binary(mb.mul),
    "divide": _binary(mb.real_div),
    "minimum": _binary(mb.minimum),
    "maximum": _binary(mb.maximum),
    "silu_multiply": _binary(lambda x, y: mb.mul(x=mb.silu(x=x), y=y)),
    "softmax": _unary(lambda x: mb.softmax(x=x, axis=-1)),
    "log_softmax": _unary(_log_softmax),
    "relu": _unary(lambda x: mb.relu(x=x)),
    "silu": _unary(lambda x: mb.silu(x=x)),
    "gelu": _unary(lambda x: mb.gelu(x=x, mode="EXACT")),
    "gelu_tanh": _unary(lambda x: mb.gelu(x=x, mode="TANH_APPROXIMATION")),
    "tanh": _unary(lambda x: mb.tanh(x=x)),
    "sigmoid": _unary(lambda x: mb.sigmoid(x=x)),
    "clip": _unary(lambda x, a, b: mb.clip(x=x, alpha=scalar(x, a), beta=scalar(x, b))),
    "leaky_relu": _unary(lambda x, a: mb.leaky_relu(x=x, alpha=scalar(x, a))),
    "hard_sigmoid": _unary(_hard_sigmoid),
    "hard_swish": _unary(lambda x: mb.mul(x=x, y=_hard_sigmoid(x, 1 / 6, 0.5))),
    "elu": _unary(lambda x, a: mb.elu(x=x, alpha=scalar(x, a))),
    "softplus": _unary(lambda x: mb.softplus(x=x)),
    "affine": _unary(_affine),
    "power": _unary(lambda x, a: mb.pow(x=x, y=scalar(x, a))),
    "exponential": _unary(lambda x: mb.exp(x=x)),
    "logarithm": _unary(lambda x: mb.log(x=x)),
    "absolute": _unary(lambda x: mb.abs(x=x)),
    "erf": _unary(lambda x: mb.erf(x=x)),
    "soft_cap": _unary(soft_cap),
}


def check(kind: str, attributes: Attributes) -> None:
    """An InputError if a form of an operator is none that is written here."""
    if kind == "pooling":
        windows = attributes["windows"]
        require(math.prod(windows["dilation"]) == 1, "pooling with dilation")
        over = windows["ceil_mode"] and attributes["pooling"] == "average_with_padding"
        require(not over, "pooling that averages over padding, with ceil_mode")
    if kind == "slice":
        require(attributes["step"] > 0, "a slice from the end")
    if kind == "pad":
        require(attributes["mode"] == "constant", f"padding of mode '{attributes['mode']}'")
