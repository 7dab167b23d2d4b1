"""A compressed matrix as Core ML holds palettised weights: indices into tables of values (constexpr_lut_to_dense).

`grouped` keeps the artifact's own form, a table for each group of rows or columns. `single` has one table for the
tensor: all that iOS 16 knows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jlcm.errors import InputError, require
from jlcm.format import Matrix

MOST_VALUES = 256


@dataclass
class Palette:
    indices: np.ndarray
    """uint8, of the tensor's shape; its vector axis is shorter by the size of a codeword."""
    tables: np.ndarray
    """float16 or float32 [blocks of each dimension of `indices` .., 2^bits, size of a codeword]."""
    bits: int
    """Of an index."""
    vector_axis: int


def finite(values: np.ndarray, type: np.dtype) -> np.ndarray:
    """Rounded to a type; an InputError if some become infinite."""
    with np.errstate(over="ignore"):
        rounded = values.astype(type)
    require(np.isfinite(rounded).all(), f"some values are not finite in {type}; with compute float32 they may be")
    return rounded


def grouped(matrix: Matrix, shape: tuple[int, ...], widths: tuple[int, ...], type: np.dtype) -> Palette:
    """Tables as the artifact has them, of the tensor `shape` whose first dimension are the rows. A Core ML table holds
    for equally many rows (columns) as every other: of groups of several sizes it is repeated."""
    layout = matrix.layout
    require(layout.residual == 1, f"{layout.residual} codebooks are added up")
    require(matrix.outliers is None, "it has outliers")
    axis = max((i for i, size in enumerate(shape) if i > 0 and size > 1), default=1)
    fits = shape[axis] % layout.dimension == 0
    require(fits, f"codewords of {layout.dimension} weights lie across dimensions of {shape}")
    cut = tuple(size // layout.dimension if i == axis else size for i, size in enumerate(shape))
    values = matrix.codebooks[:, 0].astype(np.float32)
    groups = layout.groups_of_codes()
    factors = matrix.scales_and_offsets()
    if factors is not None:
        scales, offsets = factors
        values = values * scales[:, None, None] + offsets[:, None, None]
    elif layout.shared_codebook:
        groups = np.zeros_like(groups)
    codes = matrix.codes[0]
    if matrix.row_order is not None:
        in_place = np.argsort(matrix.row_order)
        codes, groups = codes[in_place], groups[in_place]
    groups = groups.reshape(cut)
    corners = groups[tuple(slice(None, None, _block(groups, i)) for i in range(groups.ndim))]
    bits = _width(layout.codewords, widths)
    padded = np.pad(values, ((0, 0), (0, (1 << bits) - layout.codewords), (0, 0)), mode="edge")
    return Palette(codes.reshape(cut), finite(padded, type)[corners], bits, axis)


def single(matrix: Matrix, shape: tuple[int, ...], widths: tuple[int, ...], type: np.dtype) -> Palette:
    """One table of all values that the matrix decodes to."""
    decoded = finite(matrix.decode(), type)
    bit_patterns = decoded.view(f"u{decoded.itemsize}")  # +0 and -0 are two values
    patterns, indices = np.unique(bit_patterns, return_inverse=True)
    require(len(patterns) <= MOST_VALUES, f"{len(patterns)} different values; one table holds {MOST_VALUES}")
    bits = _width(len(patterns), widths)
    table = np.pad(patterns.view(type), (0, (1 << bits) - len(patterns)), mode="edge")
    return Palette(
        indices.reshape(shape).astype(np.uint8), table.reshape(*[1] * len(shape), -1, 1), bits, len(shape) - 1
    )


def palette(
    matrix: Matrix, shape: tuple[int, ...], widths: tuple[int, ...], type: np.dtype, one_table: bool
) -> Palette:
    """`grouped`, and `single` if that is wanted or the only way; an InputError says why there is none."""
    if one_table:
        return single(matrix, shape, widths, type)
    try:
        return grouped(matrix, shape, widths, type)
    except InputError as why:
        try:
            return single(matrix, shape, widths, type)
        except InputError as also:
            raise InputError(f"{why}, and {also}") from None


def _block(groups: np.ndarray, axis: int) -> int:
    """The longest stretch that divides a dimension into parts of one group each."""
    others = tuple(i for i in range(groups.ndim) if i != axis)
    changes = np.flatnonzero((np.diff(groups, axis=axis) != 0).any(axis=others)) + 1
    return math.gcd(groups.shape[axis], *changes.tolist())


def _width(values: int, widths: tuple[int, ...]) -> int:
    return next(bits for bits in widths if values <= 1 << bits)
