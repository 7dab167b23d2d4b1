"""How weights lie in files that are not compressed: plain floats, or ggml's blocks of quantised values along a row.

Written from the definitions of the blocks, without the C++ decoders; both give the same float32 to the bit. The float32
operations of a block and their order are part of its definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jlcm.errors import require

Array = np.ndarray
PLAIN: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


def _half(blocks: Array, at: int) -> Array:
    """The float16 at byte `at` of every block, as a column of float32."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(blocks: Array) -> Array:
    """The low halves of the bytes, then the high ones."""
    return np.concatenate([blocks & 15, blocks >> 4], axis=1)


def _fifth_bits(blocks: Array, at: int) -> Array:
    """Bit i of the 32-bit word at byte `at`, at its place in value i."""
    return np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little") << 4


def _q4_0(b: Array) -> Array:
    return (_nibbles(b[:, 2:]).astype(np.float32) - 8) * _half(b, 0)


def _q4_1(b: Array) -> Array:
    return _nibbles(b[:, 4:]).astype(np.float32) * _half(b, 0) + _half(b, 2)


def _q5_0(b: Array) -> Array:
    return ((_nibbles(b[:, 6:]) | _fifth_bits(b, 2)).astype(np.float32) - 16) * _half(b, 0)


def _q5_1(b: Array) -> Array:
    return (_nibbles(b[:, 8:]) | _fifth_bits(b, 4)).astype(np.float32) * _half(b, 0) + _half(b, 2)


def _q8_0(b: Array) -> Array:
    return b[:, 2:].view(np.int8).astype(np.float32) * _half(b, 0)


def _pairs(b: Array) -> Array:
    """64 bytes of four 2-bit values each, as 16 groups of 16: [blocks, 16, 16]."""
    halves = b.reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    return halves.reshape(-1, 16, 16)


def _q2_k(b: Array) -> Array:
    scales = b[:, :16]
    scale = _half(b, 80) * (scales & 15).astype(np.float32)
    minimum = _half(b, 82) * (scales >> 4).astype(np.float32)
    return scale[:, :, None] * _pairs(b[:, 16:80]).astype(np.float32) - minimum[:, :, None]


def _q3_k(b: Array) -> Array:
    packed = b[:, 96:108]
    low = np.concatenate([packed[:, :8] & 15, packed[:, :8] >> 4], axis=1)
    high = np.concatenate([packed[:, 8:] >> shift & 3 for shift in (0, 2, 4, 6)], axis=1)
    scale = _half(b, 108) * ((low | high << 4).astype(np.float32) - 32)
    mask = b[:, None, :32] >> np.arange(8, dtype=np.uint8)[:, None] & 1  # bit i of all bytes: values 32 i to 32 i + 31
    values = _pairs(b[:, 32:96]).astype(np.float32) - 4 * (1 - mask.reshape(-1, 16, 16).astype(np.float32))
    return scale[:, :, None] * values


def _scales_and_minima(b: Array) -> tuple[Array, Array]:
    """The 6-bit scales and minima of eight sub-blocks, in 12 bytes from byte 4, times those of the block."""
    first, second, third = b[:, 4:8], b[:, 8:12], b[:, 12:16]
    scales = np.concatenate([first & 63, third & 15 | first >> 6 << 4], axis=1)
    minima = np.concatenate([second & 63, third >> 4 | second >> 6 << 4], axis=1)
    return (_half(b, 0) * scales.astype(np.float32))[:, :, None], (_half(b, 2) * minima.astype(np.float32))[:, :, None]


def _half_bytes(b: Array) -> Array:
    """128 bytes of two values each, as eight sub-blocks of 32: [blocks, 8, 32]."""
    return (b.reshape(-1, 4, 1, 32) >> np.array([0, 4], np.uint8)[:, None] & 15).reshape(-1, 8, 32)


def _q4_k(b: Array) -> Array:
    scale, minimum = _scales_and_minima(b)
    return scale * _half_bytes(b[:, 16:144]).astype(np.float32) - minimum


def _q5_k(b: Array) -> Array:
    scale, minimum = _scales_and_minima(b)
    high = b[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & 1
    return scale * (_half_bytes(b[:, 48:176]) | high << 4).astype(np.float32) - minimum


def _q6_k(b: Array) -> Array:
    low = (b[:, :128].reshape(-1, 2, 1, 64) >> np.array([0, 4], np.uint8)[:, None] & 15).reshape(-1, 16, 16)
    high = _pairs(b[:, 128:192])
    scale = _half(b, 208) * b[:, 192:208].view(np.int8).astype(np.float32)
    return scale[:, :, None] * ((low | high << 4).astype(np.float32) - 32)


# Name: values and bytes of a block, and what makes float32 of blocks [count, bytes].
BLOCKS: dict[str, tuple[int, int, Callable[[Array], Array]]] = {
    "Q4_0": (32, 18, _q4_0),
    "Q4_1": (32, 20, _q4_1),
    "Q5_0": (32, 22, _q5_0),
    "Q5_1": (32, 24, _q5_1),
    "Q8_0": (32, 34, _q8_0),
    "Q2_K": (256, 84, _q2_k),
    "Q3_K": (256, 110, _q3_k),
    "Q4_K": (256, 144, _q4_k),
    "Q5_K": (256, 176, _q5_k),
    "Q6_K": (256, 210, _q6_k),
}


def encoded_bytes(encoding: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor of this shape."""
    count = math.prod(shape)
    if encoding in PLAIN:
        return count * PLAIN[encoding].itemsize
    require(encoding in BLOCKS, f"unknown encoding '{encoding}': expected one of {', '.join([*PLAIN, *BLOCKS])}")
    values, size, _ = BLOCKS[encoding]
    row = shape[-1] if shape else 1
    require(row % values == 0, f"shape {list(shape)}: {encoding} needs rows of a multiple of {values} values")
    return count // values * size


def decode(encoding: str, shape: tuple[int, ...], data: Array) -> Array:
    """The values of `data`, which are uint8, as float32."""
    if encoding == "BF16":
        return (data.view("<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if encoding in PLAIN:
        return data.view(PLAIN[encoding]).astype(np.float32).reshape(shape)
    _, size, decode_blocks = BLOCKS[encoding]
    return decode_blocks(data.reshape(-1, size)).reshape(shape)
