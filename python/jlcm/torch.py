"""Artifacts in PyTorch: as a state dict, and as modules that keep codes in memory.

>>> model, tokenizer = jlcm.transformers.load("artifact.safetensors")      # its linear layers are PackedLinear
>>> ...                                                                    # train: codebooks and scales are parameters
>>> jlcm.torch.save("tuned.safetensors", model, "artifact.safetensors")    # codes as they were, values as trained
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from jlcm import format
from jlcm.errors import require
from jlcm.format import Artifact, Encoded, Layout, Matrix
from jlcm.hugging_face import file_tensors

Source = Artifact | str | os.PathLike[str]


def _artifact(source: Source) -> Artifact:
    return source if isinstance(source, Artifact) else format.read(source)


def state_dict(source: Source) -> dict[str, torch.Tensor]:
    """All tensors of an artifact, decoded to float32, by the names that Hugging Face's files (or the ONNX file) have."""
    artifact = _artifact(source)
    return {name: torch.from_numpy(tensor.decode(artifact)) for name, tensor in file_tensors(artifact).items()}


class PackedMatrix(nn.Module):
    """A compressed matrix: its codes, a byte each, and codebooks, scales and offsets as parameters in float32."""

    codes: torch.Tensor
    row_groups: torch.Tensor
    columns: torch.Tensor
    stored_rows: torch.Tensor | None
    outlier_places: torch.Tensor | None
    outlier_values: torch.Tensor | None

    def __init__(self, matrix: Matrix):
        super().__init__()
        self.layout: Layout = matrix.layout
        self._matrix = matrix
        layout = matrix.layout

        def parameter(values: np.ndarray | None) -> nn.Parameter | None:
            return None if values is None else nn.Parameter(torch.from_numpy(values.astype(np.float32)))

        def buffer(name: str, values: np.ndarray | None) -> None:
            self.register_buffer(
                name, None if values is None else torch.from_numpy(np.ascontiguousarray(values)), persistent=False
            )

        self.codebooks = nn.Parameter(torch.from_numpy(matrix.codebooks.astype(np.float32)))
        self.scales = parameter(matrix.scales)
        self.offsets = parameter(matrix.offsets)
        self.register_buffer("codes", torch.from_numpy(matrix.codes))
        buffer("row_groups", layout.row_group_of_rows() * layout.column_groups)
        buffer("columns", np.arange(layout.codes_per_row) * layout.dimension // layout.group_width)
        buffer("stored_rows", None if matrix.row_order is None else np.argsort(matrix.row_order))
        outliers = matrix.outliers
        places = None
        if outliers is not None:
            places = np.repeat(np.arange(layout.rows), np.diff(outliers.row_start)) * layout.cols + outliers.column
        buffer("outlier_places", places)
        buffer("outlier_values", None if outliers is None else outliers.value.astype(np.float32))

    def decode(self) -> torch.Tensor:
        """[rows, cols], in the model's order of rows; in float32 the values of Matrix.decode() to the bit."""
        layout = self.layout
        groups = self.row_groups[:, None] + self.columns
        first = torch.zeros_like(groups) if layout.shared_codebook else groups * layout.codewords
        tables = (self.codebooks[:, stage].reshape(-1, layout.dimension) for stage in range(layout.residual))
        summands = [functional.embedding(first + codes, table) for codes, table in zip(self.codes, tables)]
        values = sum(summands[1:], start=summands[0])
        if self.scales is not None:
            values = values * self.scales[groups, None]
        if self.scales is not None or self.offsets is not None:
            values = values + (0.0 if self.offsets is None else self.offsets[groups, None])
        values = values.reshape(layout.rows, layout.cols)
        if self.outlier_places is not None and self.outlier_values is not None:
            corrections = self.outlier_values.to(values.dtype)
            values = values.reshape(-1).index_add(0, self.outlier_places, corrections).reshape(layout.rows, layout.cols)
        return values if self.stored_rows is None else values[self.stored_rows]

    def to_matrix(self) -> Matrix:
        """As an artifact holds it: values rounded to float16, codewords in ascending order. An InputError if a value is
        beyond float16."""

        def halves(values: torch.Tensor | None) -> np.ndarray | None:
            if values is None:
                return None
            with np.errstate(over="ignore"):
                rounded = values.detach().cpu().float().numpy().astype(np.float16)
            require(np.isfinite(rounded).all(), "a codeword, scale or offset is not finite, or beyond float16 (65504)")
            return rounded

        matrix = copy.copy(self._matrix)
        matrix.codebooks = halves(self.codebooks)  # type: ignore[assignment]
        matrix.scales, matrix.offsets = halves(self.scales), halves(self.offsets)
        codes = self.codes.cpu().numpy()
        if self.layout.dimension == 1:
            codes = _sort_codewords(matrix, codes)
        matrix.codes = codes
        return matrix


def _sort_codewords(matrix: Matrix, codes: np.ndarray) -> np.ndarray:
    """Sorts each codebook; returns the codes that name the same values."""
    layout = matrix.layout
    order = np.argsort(matrix.codebooks[..., 0], axis=2, kind="stable")
    matrix.codebooks = np.take_along_axis(matrix.codebooks, order[..., None], axis=2)
    label = np.argsort(order, axis=2).astype(np.uint8)  # former code to present code
    books = np.zeros_like(layout.groups_of_codes()) if layout.shared_codebook else layout.groups_of_codes()
    return np.stack([label[books, stage, codes[stage]] for stage in range(layout.residual)])


class PackedLinear(nn.Module):
    """A linear layer whose weight is a compressed matrix, or several one below the other (of each of `heads` heads);
    forward decodes it by look-up."""

    def __init__(self, matrices: Iterable[Matrix], *, heads: int = 1, bias: bool = False):
        super().__init__()
        self.heads = heads
        self.parts = nn.ModuleList(PackedMatrix(matrix) for matrix in matrices)
        layouts = [part.layout for part in self.matrices()]
        require(len({layout.cols for layout in layouts}) == 1, "the matrices of one layer have different columns")
        self.in_features = layouts[0].cols
        self.out_features = sum(layout.rows for layout in layouts)
        self.bias = nn.Parameter(torch.zeros(self.out_features)) if bias else None

    def matrices(self) -> list[PackedMatrix]:
        return [part for part in self.parts if isinstance(part, PackedMatrix)]

    @property
    def weight(self) -> torch.Tensor:
        """[out_features, in_features], decoded anew by each call."""
        by_head = [part.decode().reshape(self.heads, -1, self.in_features) for part in self.matrices()]
        return torch.cat(by_head, dim=1).reshape(self.out_features, self.in_features)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return functional.linear(inputs, self.weight, self.bias)

    def extra_repr(self) -> str:
        bits = ", ".join(str(part.layout.bits) for part in self.matrices())
        return f"in_features={self.in_features}, out_features={self.out_features}, bits={bits}, bias={self.bias is not None}"


def pack(module: nn.Module, source: Source) -> list[str]:
    """Puts a PackedLinear in place of each linear layer (or GPT-2's Conv1D) whose weight the artifact has compressed.
    Biases are kept. Returns the names of the layers."""
    artifact = _artifact(source)
    packed = []
    for name, tensor in file_tensors(artifact).items():
        layer, _, kind = name.rpartition(".")
        if kind != "weight" or not all(part in artifact.matrices for part in tensor.parts):
            continue
        try:
            old = module.get_submodule(layer)
        except AttributeError:
            continue
        if not isinstance(old, nn.Linear) and type(old).__name__ != "Conv1D":
            continue
        matrices = [artifact.matrices[part] for part in tensor.parts]
        new = PackedLinear(matrices, heads=tensor.heads, bias=old.bias is not None)
        new.bias = old.bias  # type: ignore[assignment]
        parent, _, child = layer.rpartition(".")
        setattr(module.get_submodule(parent), child, new)
        packed.append(layer)
    return packed


def save(path: str | os.PathLike[str], module: nn.Module, source: Source) -> None:
    """Writes the artifact that `module` came from with the module's values: codes as they are, codebooks, scales and
    offsets in float16, all other parameters in float32 unless they are unchanged."""
    artifact = copy.copy(_artifact(source))
    artifact.matrices, artifact.tensors = dict(artifact.matrices), dict(artifact.tensors)
    for name, tensor in file_tensors(artifact).items():
        layer, _, kind = name.rpartition(".")
        own = _submodule(module, layer)
        if isinstance(own, PackedLinear) and kind == "weight":
            for part, matrix in zip(tensor.parts, own.matrices()):
                artifact.matrices[part] = matrix.to_matrix()
            continue
        values = getattr(own, kind, None)
        if isinstance(values, torch.Tensor):
            dense = values.detach().cpu().float().numpy()
            _update(artifact, tensor.cut(dense, artifact))
    format.write(path, artifact)


def _submodule(module: nn.Module, name: str) -> nn.Module | None:
    try:
        return module.get_submodule(name)
    except AttributeError:
        return None


def _update(artifact: Artifact, values: dict[str, np.ndarray]) -> None:
    """Unchanged tensors stay encoded as they are."""
    for part, own in values.items():
        if np.array_equal(artifact.decode(part), own):
            continue
        is_kept = part not in artifact.matrices
        require(is_kept, f"{part} has changed, but it is no PackedLinear: its new values cannot be written as codes")
        artifact.tensors[part] = Encoded.of_values(np.ascontiguousarray(own, dtype=np.float32))
