"""The operators of language models' graphs in Core ML's MIL, for token ids [1, context]: embeddings, norms, rotary
positions, attention, mixtures of experts. A further dimension [.., context, features] holds what a token is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var

from jlcm.coreml_operators import Attributes, scalar, soft_cap, type_of
from jlcm.coreml_palette import Palette
from jlcm.coreml_weights import Form, look_up
from jlcm.errors import require

HIDDEN = -30000.0
"""Added to the score of a position that is not attended to; float16 holds it."""


class LanguageOperators:
    """Functions of a node's inputs, weights and attributes, as in coreml_operators. One mask serves all layers."""

    def __init__(self, form: Form):
        self.form = form
        self.masks: dict[tuple[int, int, type], Var] = {}

    def by_kind(self) -> dict[str, Callable[[Sequence[Var], Sequence[Var], Attributes], Var]]:
        return {
            "embedding": _embedding,
            "positions": _positions,
            "rms_norm": _rms_norm,
            "rotary": _rotary,
            "attention": self.attention,
            "routing": _routing,
            "routed_linear": lambda inputs, weights, attributes: mb.linear(x=inputs[0], weight=weights[0]),
            "sign": lambda inputs, weights, attributes: mb.sign(x=inputs[0]),
        }

    def attention(self, inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
        """The queries of a group of heads lie one below the other, [key heads, group * context, head], as they share
        keys."""
        context, heads = inputs[0].shape[1], attributes["query_heads"]
        width, key_heads = attributes["head_dim"], attributes["key_heads"]
        query, key, value = (mb.transpose(x=_by_head(x, width), perm=[1, 0, 2]) for x in inputs)
        query = mb.mul(x=query, y=scalar(query, attributes["scale"] or width**-0.5))
        query = mb.reshape(x=query, shape=[key_heads, -1, width])
        scores = mb.matmul(x=query, y=key, transpose_y=True)
        if attributes["soft_cap"] > 0:
            scores = soft_cap(scores, attributes["soft_cap"])
        scores = mb.reshape(x=scores, shape=[key_heads, heads // key_heads, context, context])
        if attributes["causal"]:
            scores = mb.add(x=scores, y=self.mask(context, attributes["window"] or context, type_of(scores)))
        shares = mb.reshape(x=mb.softmax(x=scores, axis=-1), shape=[key_heads, -1, context])
        mixed = mb.reshape(x=mb.matmul(x=shares, y=value), shape=[heads, context, width])
        return mb.reshape(x=mb.transpose(x=mixed, perm=[1, 0, 2]), shape=[1, context, heads * width])

    def mask(self, context: int, window: int, type: np.dtype) -> Var:
        """[context, context], of a bit each. window: positions that one attends to, its own the last."""
        key = (context, min(window, context), type.type)
        if key not in self.masks:
            distance = np.arange(context)[:, None] - np.arange(context)
            hidden = ((distance < 0) | (distance >= window)).astype(np.uint8)
            table = np.array([0, HIDDEN], type).reshape(1, 1, 2, 1)
            self.masks[key] = look_up(Palette(hidden, table, 1, 1), hidden.shape, self.form, f"mask_{key[1]}")
        return self.masks[key]


def _by_head(x: Var, width: int) -> Var:
    """[1, context, heads * width] as [context, heads, width]."""
    return mb.reshape(x=x, shape=[x.shape[1], x.shape[2] // width, width])


def _embedding(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    return mb.gather(x=weights[0], indices=inputs[0], axis=0)


def _positions(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    first = attributes["offset"]
    rows, width = weights[0].shape
    end = first + inputs[0].shape[1]
    require(end <= rows, f"a context of {inputs[0].shape[1]} tokens; the model has {rows - first} positions")
    taken = mb.slice_by_index(x=weights[0], begin=[first, 0], end=[end, width])
    return mb.expand_dims(x=taken, axes=[0])


def _rms_norm(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    """x / sqrt(mean of x^2 + epsilon), times the weight. Divided by the largest first: squares stay in float16."""
    whole, width = inputs[0], weights[0].shape[0]
    x = whole if whole.shape[-1] == width else _by_head(whole, width)
    largest = mb.reduce_max(x=mb.abs(x=x), axes=[-1], keep_dims=True)
    largest = mb.maximum(x=largest, y=scalar(x, 2.0**-14))
    x = mb.real_div(x=x, y=largest)
    share = mb.real_div(x=scalar(x, math.sqrt(attributes["epsilon"])), y=largest)
    mean = mb.reduce_mean(x=mb.mul(x=x, y=x), axes=[-1], keep_dims=True)
    size = mb.sqrt(x=mb.add(x=mean, y=mb.mul(x=share, y=share)))
    weight = weights[0]
    if attributes["offset"] != 0:
        weight = mb.add(x=weight, y=scalar(x, attributes["offset"]))
    normed = mb.mul(x=mb.real_div(x=x, y=size), y=weight)
    return normed if whole.shape[-1] == width else mb.reshape(x=normed, shape=whole.shape)


def _rotary(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    """Feature i and feature i + turned / 2 of each head turn by an angle that grows with the position; features behind
    the turned ones stay."""
    (x,) = inputs
    context, width, turned = x.shape[1], attributes["head_dim"], attributes["turned"]
    is_long = context > attributes.get("original_context", math.inf)
    steps = np.array(attributes["long_frequencies" if is_long else "frequencies"])
    angles = np.arange(context)[:, None, None] * steps
    cosine, sine = ((attributes["magnitude"] * turn(angles)).astype(type_of(x)) for turn in (np.cos, np.sin))
    sizes = [turned // 2, turned // 2] + ([width - turned] if turned < width else [])
    first, second, *rest = mb.split(x=_by_head(x, width), split_sizes=sizes, axis=-1)
    turned_first = mb.sub(x=mb.mul(x=first, y=cosine), y=mb.mul(x=second, y=sine))
    turned_second = mb.add(x=mb.mul(x=second, y=cosine), y=mb.mul(x=first, y=sine))
    return mb.reshape(x=mb.concat(values=[turned_first, turned_second, *rest], axis=-1), shape=x.shape)


def _routing(inputs: Sequence[Var], weights: Sequence[Var], attributes: Attributes) -> Var:
    """The softmax of scores [1, context, experts], all but the largest of each token zero."""
    shares = mb.softmax(x=inputs[0], axis=-1)
    _, indices = mb.topk(x=inputs[0], k=attributes["chosen"], axis=-1, ascending=False)
    marks = mb.one_hot(
        indices=indices,
        one_hot_vector_size=inputs[0].shape[-1],
        on_value=scalar(shares, 1.0),
        off_value=scalar(shares, 0.0),
    )
    kept = mb.mul(x=shares, y=mb.reduce_sum(x=marks, axes=[-2], keep_dims=False))
    if not attributes["normalised"]:
        return kept
    return mb.real_div(x=kept, y=mb.reduce_sum(x=kept, axes=[-1], keep_dims=True))
