"""The artifact: a reader and a writer in plain Python, the executable form of the format's specification.

An artifact is a safetensors file, format version 1. A compressed matrix NAME is made of

    NAME.mapping    U8   packed codes (jlcm.packing) of the residual stages, one after the other, then zeros up to a
                         multiple of 64 bytes
    NAME.codebooks  F16  [codebooks, residual, K, dimension]
    NAME.scales     F16  [groups], if there are any, as the rest
    NAME.offsets    F16  [groups]
    NAME.runs       I32  [runs, 2]: first stored row and row group
    NAME.row_order  U8   [rows, 2], 16-bit little-endian; I32 [rows] above 65536 rows
    NAME.outlier_row_start I32 [rows + 1], NAME.outlier_column I32 [n], NAME.outlier_value F16 [n]

and of its layout, in the metadata. In its *stored* order, row i of which is the model's row row_order[i], it decodes to

    w[i, j] = scale[g] * sum over r of codebook[g or 0, r, code[r, i, j / d], j mod d] + offset[g] + outlier[i, j]

with g the group of (i, j), in float32, operation by operation. Other tensors keep the encoding they came in
(jlcm.encodings). The tokenizer is the U8 tensor `tokenizer`, a file about text `file:NAME`, or the tokenizer itself if
the metadata's `tokenizer_file` names it. Metadata: format "jlcm", version, layouts, encodings, config,
tokenizer_format, extra, provenance, and maybe tokenizer_file.

    >>> artifact = jlcm.format.read("artifact.safetensors")
    >>> artifact.matrices["model.layers.0.mlp.down_proj.weight"].decode()
    >>> jlcm.format.write("copy.safetensors", artifact)      # the same bytes

Nothing here calls the C++ library, and numpy is all that it needs.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from jlcm import encodings, packing, safetensors_file
from jlcm.errors import InputError, require
from jlcm.safetensors_file import RawTensor

FORMAT, VERSION = "jlcm", "1"
ALIGNMENT = 64
SHORT_ROW_LIMIT = 65536
FILE_PREFIX = "file:"
LARGEST_SIDE = 1 << 31


@dataclass
class Layout:
    """How a matrix is cut into groups, and what each group holds."""

    rows: int
    cols: int
    bits: int
    """Of one code: K = 2^bits codewords a codebook; 1 to 8."""
    row_groups: int = 1
    dimension: int = 1
    """Weights of one codeword; divides cols and column_group."""
    residual: int = 1
    """Codebooks that are added up; 1 to 16."""
    column_group: int = 0
    """Columns of a group; 0: whole rows. The last group may be narrower."""
    shared_codebook: bool = False
    """One codebook for the matrix; the groups differ by scale and offset only."""
    runs: np.ndarray | None = None
    """int32 [runs, 2]: first stored row and row group; None: one group a row, or one for all rows."""

    @property
    def codewords(self) -> int:
        return 1 << self.bits

    @property
    def codes_per_row(self) -> int:
        return self.cols // self.dimension

    @property
    def group_width(self) -> int:
        """Columns of a column group."""
        return self.column_group or self.cols

    @property
    def column_groups(self) -> int:
        return -(-self.cols // self.group_width)

    @property
    def groups(self) -> int:
        """Row groups times column groups."""
        return self.row_groups * self.column_groups

    @property
    def codebooks(self) -> int:
        return 1 if self.shared_codebook else self.groups

    def row_group_of_rows(self) -> np.ndarray:
        """The row group of every stored row, int64 [rows]."""
        if self.runs is None:
            return np.arange(self.rows) if self.row_groups != 1 else np.zeros(self.rows, np.int64)
        starts = self.runs[:, 0].astype(np.int64)
        return np.repeat(self.runs[:, 1].astype(np.int64), np.diff(starts, append=self.rows))

    def groups_of_codes(self) -> np.ndarray:
        """The group of every code, int64 [rows, codes_per_row], stored rows."""
        columns = np.arange(self.codes_per_row) * self.dimension // self.group_width
        return self.row_group_of_rows()[:, None] * self.column_groups + columns

    def to_json(self) -> dict[str, Any]:
        """Without the runs, which are a tensor, and without fields that have their default."""
        always = {"rows", "cols", "bits", "row_groups"}
        values = {each.name: (getattr(self, each.name), each.default) for each in fields(self) if each.name != "runs"}
        return {name: value for name, (value, default) in values.items() if name in always or value != default}

    def validate(self) -> None:
        """Raises an InputError where a field is out of range or the runs are not well formed."""
        for each in fields(self):
            value = getattr(self, each.name)
            whole = isinstance(value, (int, np.integer)) and 0 <= value < LARGEST_SIDE
            require(each.name == "runs" or whole, f"layout: {each.name} is {value}")
        require(self.rows >= 1 and self.cols >= 1, f"a matrix of {self.rows} x {self.cols}")
        require(1 <= self.bits <= 8, f"{self.bits} bits a code; 1 to 8 are possible")
        d = self.dimension
        require(d >= 1 and self.cols % d == 0, f"codeword dimension {d} does not divide {self.cols} columns")
        require(1 <= self.residual <= 16, f"{self.residual} residual codebooks; 1 to 16 are possible")
        fits = self.column_group <= self.cols and self.column_group % d == 0
        require(fits, f"column groups of {self.column_group} for {self.cols} columns and dimension {d}")
        groups = self.row_groups
        require(1 <= groups <= self.rows, f"{groups} row groups for {self.rows} rows")
        if self.runs is None:
            require(groups in (1, self.rows), f"{groups} row groups of {self.rows} rows without runs")
            return
        start, group = self.runs[:, 0], self.runs[:, 1]
        ascending = len(start) > 0 and start[0] == 0 and (np.diff(start) > 0).all() and start[-1] < self.rows
        require(ascending, "the starts of the runs do not ascend from 0 below the number of rows")
        require(
            np.array_equal(np.unique(group), np.arange(groups)),
            f"the runs name other row groups than 0 to {groups - 1}",
        )


@dataclass
class Outliers:
    """Sparse corrections, added to the reconstruction: compressed rows, in stored order."""

    row_start: np.ndarray
    """int32 [rows + 1]: positions in `column`."""
    column: np.ndarray
    """int32, ascending within a row."""
    value: np.ndarray
    """float16."""


@dataclass
class Matrix:
    """A weight matrix as codebooks, scales and a mapping. Arrays of a file that was read are views of its mapped bytes."""

    layout: Layout
    packed: np.ndarray
    """uint8: the packed codes of the residual stages, one after the other."""
    codebooks: np.ndarray
    """float16 [codebooks, residual, K, dimension]; ascending if the dimension is 1."""
    scales: np.ndarray | None = None
    offsets: np.ndarray | None = None
    row_order: np.ndarray | None = None
    """Stored row i is the model's row row_order[i]; None: rows in place."""
    outliers: Outliers | None = None

    @staticmethod
    def of_codes(layout: Layout, codes: np.ndarray, codebooks: np.ndarray, **more: Any) -> Matrix:
        """Of codes uint8 [residual, rows, codes_per_row] in stored order; `more`: the other fields."""
        return Matrix(layout, _packed(layout, codes), codebooks, **more)

    @property
    def codes(self) -> np.ndarray:
        """uint8 [residual, rows, codes_per_row], stored order, below K. Unpacked anew by each call."""
        layout = self.layout
        stages = self.packed.reshape(layout.residual, -1)
        unpacked = [packing.unpack(stage, layout.rows, layout.codes_per_row, layout.bits) for stage in stages]
        return np.stack(unpacked)

    @codes.setter
    def codes(self, codes: np.ndarray) -> None:
        self.packed = _packed(self.layout, codes)

    def scales_and_offsets(self) -> tuple[np.ndarray, np.ndarray] | None:
        """float32 [groups] each; None if the matrix has neither. With one of them the other is applied too, as 1 or 0:
        x + 0 makes +0 of -0."""
        if self.scales is None and self.offsets is None:
            return None
        groups = self.layout.groups
        scales = np.ones(groups, np.float32) if self.scales is None else self.scales.astype(np.float32)
        offsets = np.zeros(groups, np.float32) if self.offsets is None else self.offsets.astype(np.float32)
        return scales, offsets

    def decode(self) -> np.ndarray:
        """float32 [rows, cols], in the model's order of rows."""
        layout = self.layout
        groups = layout.groups_of_codes()
        books = np.zeros_like(groups) if layout.shared_codebook else groups
        first, *others = (
            self.codebooks[books, stage, codes].astype(np.float32) for stage, codes in enumerate(self.codes)
        )
        values = sum(others, start=first)
        factors = self.scales_and_offsets()
        if factors is not None:
            scales, offsets = factors
            values = values * scales[groups, None] + offsets[groups, None]
        values = values.reshape(layout.rows, layout.cols)
        if self.outliers is not None:
            rows = np.repeat(np.arange(layout.rows), np.diff(self.outliers.row_start))
            values[rows, self.outliers.column] += self.outliers.value.astype(np.float32)
        if self.row_order is None:
            return values
        result = np.empty_like(values)
        result[self.row_order] = values
        return result

    def validate(self) -> None:
        """Raises an InputError unless every shape, range and order holds."""
        layout = self.layout
        layout.validate()
        bytes_ = layout.residual * packing.packed_bytes(layout.rows, layout.codes_per_row, layout.bits)
        _check("the mapping", self.packed, np.uint8, (bytes_,))
        _check("codebooks", self.codebooks, np.float16, _codebooks_shape(layout))
        if layout.dimension == 1:
            require((np.diff(self.codebooks[..., 0]) >= 0).all(), "codewords do not ascend")
        for name in ("scales", "offsets"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name), np.float16, (layout.groups,))
        if self.row_order is not None:
            is_order = np.array_equal(np.sort(self.row_order), np.arange(layout.rows))
            require(is_order, "the row order is no permutation")
        if self.outliers is not None:
            self._validate_outliers(self.outliers)

    def _validate_outliers(self, outliers: Outliers) -> None:
        start, column = outliers.row_start, outliers.column
        _check("outlier_row_start", start, np.int32, (self.layout.rows + 1,))
        _check("outlier_column", column, np.int32, (len(column),))
        _check("outlier_value", outliers.value, np.float16, (len(column),))
        require(start[0] == 0 and start[-1] == len(column) > 0, "outliers: row starts and columns do not fit together")
        require((np.diff(start) >= 0).all(), "outliers: row starts must ascend")
        place = np.repeat(np.arange(self.layout.rows), np.diff(start)) * self.layout.cols + column
        within = (column >= 0).all() and (column < self.layout.cols).all()
        require(within and (np.diff(place) > 0).all(), f"outliers: columns must ascend below {self.layout.cols}")


@dataclass
class Encoded:
    """A tensor that is not compressed, in the encoding that it came in: "F32", "F16", "BF16", "Q8_0", ..."""

    encoding: str
    shape: tuple[int, ...]
    data: np.ndarray
    """uint8: its bytes."""

    @staticmethod
    def of_values(values: np.ndarray) -> Encoded:
        """Of float32 or float16 values."""
        names = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16"}
        require(values.dtype in names, f"{values.dtype} values: expected float32 or float16")
        return Encoded(names[values.dtype], values.shape, np.ascontiguousarray(values).view(np.uint8).reshape(-1))

    def decode(self) -> np.ndarray:
        """float32."""
        return encodings.decode(self.encoding, self.shape, self.data)


@dataclass
class Footprint:
    """Bytes by what they are for."""

    mapping: int = 0
    codebooks: int = 0
    scales: int = 0
    runs: int = 0
    permutation: int = 0
    outliers: int = 0
    padding: int = 0
    uncompressed: int = 0
    tokenizer: int = 0
    metadata: int = 0

    @property
    def compressed(self) -> int:
        """What the compressed weights cost: everything but uncompressed tensors, tokenizer and metadata."""
        return self.total - self.uncompressed - self.tokenizer - self.metadata

    @property
    def total(self) -> int:
        return sum(getattr(self, each.name) for each in fields(self))

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass
class ArtifactFootprint:
    """The bytes of an artifact: of its tensors, and of the whole file, whose size is `bytes.total`."""

    tensors: dict[str, Footprint]
    bytes: Footprint
    weights: int
    compressed_weights: int

    @property
    def linear_bits_per_weight(self) -> float:
        """Bits of the compressed weights, each."""
        return 8 * self.bytes.compressed / self.compressed_weights if self.compressed_weights else 0.0

    @property
    def file_bits_per_weight(self) -> float:
        """Bits of the file per weight of the model."""
        return 8 * self.bytes.total / self.weights if self.weights else 0.0


@dataclass
class Artifact:
    """A compressed model: matrices, other tensors by name, and what makes it complete by itself."""

    matrices: dict[str, Matrix] = field(default_factory=dict)
    tensors: dict[str, Encoded] = field(default_factory=dict)
    config: Any = None
    extra: dict[str, Any] = field(default_factory=dict)
    provenance: Any = None
    """How it was made: spec, hashes, versions, seed."""
    tokenizer_format: str = ""
    tokenizer: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)
    """The files about text of the folder that the model came from, by name."""
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    """The JSON texts of config, extra and provenance as they were read: what is not changed is written as it was."""

    def decode(self, name: str) -> np.ndarray:
        """The matrix or tensor of that name as float32."""
        found = self.matrices.get(name) or self.tensors.get(name)
        require(found is not None, f"the artifact has no tensor '{name}'")
        return found.decode()  # type: ignore[union-attr]

    def footprint(self) -> ArtifactFootprint:
        """Where every byte goes of the file that `write` makes."""
        metadata, parts = _contents(self)
        tensors = {name: _matrix_footprint(matrix) for name, matrix in self.matrices.items()}
        tensors |= {name: Footprint(uncompressed=_stored_bytes(tensor)) for name, tensor in self.tensors.items()}
        texts = sum(
            part.data.size for name, part in parts.items() if name == "tokenizer" or name.startswith(FILE_PREFIX)
        )
        whole = sum(
            tensors.values(), Footprint(tokenizer=texts, metadata=len(safetensors_file.header_of(metadata, parts)))
        )
        compressed = sum(matrix.layout.rows * matrix.layout.cols for matrix in self.matrices.values())
        weights = compressed + sum(math.prod(tensor.shape) for tensor in self.tensors.values())
        return ArtifactFootprint(dict(sorted(tensors.items())), whole, weights, compressed)


def read(path: str | os.PathLike[str]) -> Artifact:
    """Reads an artifact, whose bytes stay where they are: in the mapped file. An InputError says what is wrong with it."""
    metadata, parts = safetensors_file.read(path)
    try:
        return _artifact(metadata, parts)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write(path: str | os.PathLike[str], artifact: Artifact) -> None:
    """Writes an artifact; the same artifact gives the same bytes, those that the C++ writer makes of it."""
    for name, matrix in artifact.matrices.items():
        try:
            matrix.validate()
        except InputError as error:
            raise InputError(f"compressed matrix '{name}': {error}") from error
    safetensors_file.write(path, *_contents(artifact))


def _codebooks_shape(layout: Layout) -> tuple[int, ...]:
    return layout.codebooks, layout.residual, layout.codewords, layout.dimension


def _check(what: str, values: np.ndarray, dtype: Any, shape: tuple[int, ...]) -> None:
    fits = values.dtype == dtype and values.shape == shape
    require(fits, f"{what} must be {np.dtype(dtype)} {list(shape)}, found {values.dtype} {list(values.shape)}")
    require(values.dtype.kind != "f" or np.isfinite(values).all(), f"{what} hold a value that is not finite")


def _packed(layout: Layout, codes: np.ndarray) -> np.ndarray:
    shape = (layout.residual, layout.rows, layout.codes_per_row)
    _check("codes", codes, np.uint8, shape)
    require(codes.max() < layout.codewords, f"the codes name codeword {codes.max()} of {layout.codewords}")
    return np.concatenate([packing.pack(stage, layout.bits) for stage in codes])


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _padded_bytes(data: np.ndarray) -> np.ndarray:
    padding = _padded(data.size) - data.size
    return np.pad(data, (0, padding)) if padding else data


# ---- writing ------------------------------------------------------------------------------------------------------

_MAPPING, _PADDED, _FOUR_BYTES, _TWO_BYTES, _ONE_BYTE = range(5)  # the order of the file, so that all is aligned


def _raw(dtype: str, values: np.ndarray, stored: str) -> RawTensor:
    return RawTensor(dtype, values.shape, np.ascontiguousarray(values, dtype=stored).view(np.uint8).reshape(-1))


def _matrix_parts(matrix: Matrix) -> list[tuple[str, int, RawTensor]]:
    """Suffix, place in the file's order, and tensor."""

    def halves(values: np.ndarray) -> tuple[int, RawTensor]:
        return _TWO_BYTES, _raw("F16", values, "<f2")

    def integers(values: np.ndarray) -> tuple[int, RawTensor]:
        return _FOUR_BYTES, _raw("I32", values, "<i4")

    mapping = _padded_bytes(matrix.packed)
    parts = [(".mapping", _MAPPING, RawTensor("U8", mapping.shape, mapping)), (".codebooks", *halves(matrix.codebooks))]
    for name in ("scales", "offsets"):
        if getattr(matrix, name) is not None:
            parts.append((f".{name}", *halves(getattr(matrix, name))))
    if matrix.layout.runs is not None:
        parts.append((".runs", *integers(matrix.layout.runs)))
    if matrix.row_order is not None:
        if matrix.layout.rows <= SHORT_ROW_LIMIT:
            order = np.ascontiguousarray(matrix.row_order, dtype="<u2").view(np.uint8).reshape(-1, 2)
            parts.append((".row_order", _ONE_BYTE, RawTensor("U8", order.shape, order.reshape(-1))))
        else:
            parts.append((".row_order", *integers(matrix.row_order)))
    if matrix.outliers is not None:
        parts.append((".outlier_row_start", *integers(matrix.outliers.row_start)))
        parts.append((".outlier_column", *integers(matrix.outliers.column)))
        parts.append((".outlier_value", *halves(matrix.outliers.value)))
    return parts


def _stored_bytes(tensor: Encoded) -> int:
    return tensor.data.size if tensor.encoding in encodings.PLAIN else _padded(tensor.data.size)


def _contents(artifact: Artifact) -> tuple[dict[str, str], dict[str, RawTensor]]:
    """Metadata, and tensors in the file's order."""
    parts: list[tuple[str, int, RawTensor]] = []
    described = {}
    for name, matrix in sorted(artifact.matrices.items()):
        parts += [(name + suffix, order, tensor) for suffix, order, tensor in _matrix_parts(matrix)]
    for name, stored in sorted(artifact.tensors.items()):
        if stored.encoding in encodings.PLAIN:
            order = _FOUR_BYTES if stored.encoding == "F32" else _TWO_BYTES
            parts.append((name, order, RawTensor(stored.encoding, stored.shape, stored.data)))
        else:
            described[name] = {"encoding": stored.encoding, "shape": list(stored.shape)}
            data = _padded_bytes(stored.data)
            parts.append((name, _PADDED, RawTensor("U8", data.shape, data)))
    files = dict(sorted(artifact.files.items()))
    texts = {"tokenizer": artifact.tokenizer} if artifact.tokenizer_format else {}
    same = [name for name, content in files.items() if content and content == artifact.tokenizer][:1]
    texts |= {FILE_PREFIX + name: content for name, content in files.items() if name not in same}
    for name, content in texts.items():
        data = np.frombuffer(content, np.uint8)
        parts.append((name, _ONE_BYTE, RawTensor("U8", data.shape, data)))
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "layouts": safetensors_file.dump({name: each.layout.to_json() for name, each in artifact.matrices.items()}),
        "encodings": safetensors_file.dump(described),
        **{key: _json_text(artifact, key) for key in ("config", "extra", "provenance")},
        "tokenizer_format": artifact.tokenizer_format,
        **({"tokenizer_file": same[0]} if same else {}),
    }
    ordered = sorted(parts, key=lambda part: part[1])
    require(len({name for name, _, _ in ordered}) == len(ordered), "two tensors have the same name")
    return metadata, {name: tensor for name, _, tensor in ordered}


def _json_text(artifact: Artifact, key: str) -> str:
    value = getattr(artifact, key)
    text = artifact.texts.get(key)
    return text if text is not None and json.loads(text) == value else safetensors_file.dump(value)


# ---- reading ------------------------------------------------------------------------------------------------------


class _Parts:
    """The tensors of a file, each of which has to be taken once."""

    def __init__(self, parts: dict[str, RawTensor]):
        self._left = dict(parts)

    def names(self) -> list[str]:
        return list(self._left)

    def find(self, name: str, dtype: str) -> RawTensor | None:
        tensor = self._left.pop(name, None)
        fits = tensor is None or tensor.dtype == dtype
        require(fits, f"the tensor '{name}' is {tensor.dtype if tensor else ''}; expected {dtype}")
        return tensor

    def take(self, name: str, dtype: str) -> RawTensor:
        tensor = self.find(name, dtype)
        require(tensor is not None, f"the tensor '{name}' is missing")
        return tensor  # type: ignore[return-value]

    def values(self, name: str, dtype: str) -> np.ndarray | None:
        """An array over the mapped bytes."""
        tensor = self.find(name, dtype)
        return None if tensor is None else tensor.data.view(_NUMPY[dtype]).reshape(tensor.shape)

    def padded(self, name: str, size: int) -> np.ndarray:
        """`size` bytes, behind which zeros lie up to a multiple of 64."""
        data = self.take(name, "U8").data
        require(data.size == _padded(size), f"the tensor '{name}' has {data.size} bytes; expected {_padded(size)}")
        require(not data[size:].any(), f"the padding of '{name}' is not zero")
        return data[:size]


_NUMPY: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "I32": np.dtype("<i4"), "U8": np.dtype(np.uint8)}


def _entry(metadata: dict[str, str], key: str) -> str:
    require(key in metadata, f"the metadata lacks '{key}'")
    return metadata[key]


def _json(metadata: dict[str, str], key: str) -> Any:
    try:
        return json.loads(_entry(metadata, key))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"metadata '{key}': {error}") from error


def _object(metadata: dict[str, str], key: str) -> dict[str, Any]:
    value = _json(metadata, key)
    require(isinstance(value, dict), f"metadata '{key}' is not an object")
    return value


def _matrix(name: str, description: Any, parts: _Parts) -> Matrix:
    known = {each.name for each in fields(Layout)} - {"runs"}
    fits = isinstance(description, dict) and {"rows", "cols", "bits", "row_groups"} <= description.keys() <= known
    require(fits, "the layout lacks a key, or has an unknown one")
    layout = Layout(**description, runs=parts.values(name + ".runs", "I32"))
    layout.validate()
    size = layout.residual * packing.packed_bytes(layout.rows, layout.codes_per_row, layout.bits)
    packed = parts.padded(name + ".mapping", size)
    codebooks = parts.values(name + ".codebooks", "F16")
    require(codebooks is not None, "its codebooks are missing")
    matrix = Matrix(layout, packed, codebooks)  # type: ignore[arg-type]
    matrix.scales = parts.values(name + ".scales", "F16")
    matrix.offsets = parts.values(name + ".offsets", "F16")
    is_short = layout.rows <= SHORT_ROW_LIMIT
    order = parts.values(name + ".row_order", "U8" if is_short else "I32")
    matrix.row_order = order.view("<u2").reshape(-1) if order is not None and is_short else order
    outliers = [
        parts.values(name + suffix, dtype)
        for suffix, dtype in ((".outlier_row_start", "I32"), (".outlier_column", "I32"), (".outlier_value", "F16"))
    ]
    if any(each is not None for each in outliers):
        require(all(each is not None for each in outliers), "outliers: a part is missing")
        matrix.outliers = Outliers(*outliers)  # type: ignore[arg-type]
    matrix.validate()
    return matrix


def _encoded(name: str, description: Any, parts: _Parts) -> Encoded:
    fits = isinstance(description, dict) and description.keys() == {"encoding", "shape"}
    fits = (
        fits and description["encoding"] in list(encodings.BLOCKS) and safetensors_file.is_shape(description["shape"])
    )
    require(fits, f"the encoding of '{name}' is not described")
    encoding, shape = description["encoding"], tuple(description["shape"])
    return Encoded(encoding, shape, parts.padded(name, encodings.encoded_bytes(encoding, shape)))


def _artifact(metadata: dict[str, str], tensors: dict[str, RawTensor]) -> Artifact:
    is_ours = metadata.get("format") == FORMAT
    require(is_ours, f"a safetensors file, but no compressed model (metadata 'format' is not '{FORMAT}')")
    version = _entry(metadata, "version")
    require(version == VERSION, f"format version {version}; this program reads version {VERSION}")
    parts = _Parts(tensors)
    artifact = Artifact(
        config=_json(metadata, "config"),
        extra=_object(metadata, "extra"),
        provenance=_json(metadata, "provenance"),
        tokenizer_format=_entry(metadata, "tokenizer_format"),
        texts={key: metadata[key] for key in ("config", "extra", "provenance")},
    )
    for name, description in _object(metadata, "layouts").items():
        try:
            artifact.matrices[name] = _matrix(name, description, parts)
        except InputError as error:
            raise InputError(f"compressed matrix '{name}': {error}") from error
    for name, description in _object(metadata, "encodings").items():
        require(name not in artifact.matrices, f"'{name}' is there twice")
        artifact.tensors[name] = _encoded(name, description, parts)
    if artifact.tokenizer_format:
        artifact.tokenizer = parts.take("tokenizer", "U8").data.tobytes()
    for name in parts.names():
        if name.startswith(FILE_PREFIX):
            artifact.files[name.removeprefix(FILE_PREFIX)] = parts.take(name, "U8").data.tobytes()
    if "tokenizer_file" in metadata:
        artifact.files[metadata["tokenizer_file"]] = artifact.tokenizer
    for name in parts.names():
        dtype = tensors[name].dtype
        require(dtype in encodings.PLAIN and name not in artifact.matrices, f"the tensor '{name}' belongs to nothing")
        artifact.tensors[name] = Encoded(dtype, tensors[name].shape, tensors[name].data)
    return artifact


def _matrix_footprint(matrix: Matrix) -> Footprint:
    layout = matrix.layout
    mapping = -(-layout.rows * layout.codes_per_row * layout.bits * layout.residual // 8)
    factors = sum(each is not None for each in (matrix.scales, matrix.offsets))
    order = 0 if matrix.row_order is None else layout.rows * (2 if layout.rows <= SHORT_ROW_LIMIT else 4)
    outliers = 0 if matrix.outliers is None else 4 * (layout.rows + 1) + 6 * len(matrix.outliers.column)
    return Footprint(
        mapping=mapping,
        padding=_padded(matrix.packed.size) - mapping,
        codebooks=2 * math.prod(_codebooks_shape(layout)),
        scales=2 * layout.groups * factors,
        runs=0 if layout.runs is None else 8 * len(layout.runs),
        permutation=order,
        outliers=outliers,
    )
