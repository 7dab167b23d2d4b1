"""How Hugging Face's files hold the tensors of a model: by an artifact's names, but for projections that they join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jlcm.errors import require
from jlcm.format import Artifact


class Fusion(NamedTuple):
    """Projections that the files hold as one."""

    parts: Sequence[str]
    """In the order of the files."""
    heads: str = ""
    """The key of the configuration with the number of heads, if each head's rows of all parts lie together."""


_ATTENTION = ("query", "key", "value")
FUSIONS: dict[str, dict[str, Fusion]] = {
    "gpt2": {"c_attn": Fusion(_ATTENTION)},
    "phi3": {"qkv_proj": Fusion(_ATTENTION), "gate_up_proj": Fusion(("gate", "up"))},
    "gpt_neox": {"query_key_value": Fusion(_ATTENTION, heads="num_attention_heads")},
}
"""By model type and the name of the layer."""
TURNED = {"gpt2": (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")}
"""Ends of the names of matrices that the files hold as [inputs, outputs]."""


@dataclass
class FileTensor:
    """The model's tensors `parts` one below the other (of each of `heads` heads), [inputs, outputs] if `turned`."""

    parts: list[str] = field(default_factory=list)
    heads: int = 1
    turned: bool = False

    def decode(self, artifact: Artifact) -> np.ndarray:
        """float32, as the files hold it."""
        values = [artifact.decode(part) for part in self.parts]
        joined = values[0]
        if len(values) > 1:
            by_head = [each.reshape(self.heads, -1, *each.shape[1:]) for each in values]
            joined = np.concatenate(by_head, axis=1).reshape(-1, *joined.shape[1:])
        return np.ascontiguousarray(joined.T) if self.turned else joined

    def cut(self, values: np.ndarray, artifact: Artifact) -> dict[str, np.ndarray]:
        """The parts of what the files hold."""
        joined = values.T if self.turned else values
        if len(self.parts) == 1:
            return {self.parts[0]: joined}
        rows = [_rows(artifact, part) for part in self.parts]
        by_head = joined.reshape(self.heads, -1, *joined.shape[1:])
        cuts = np.split(by_head, np.cumsum(rows[:-1]) // self.heads, axis=1)
        return {part: own.reshape(-1, *joined.shape[1:]) for part, own in zip(self.parts, cuts)}


def _rows(artifact: Artifact, name: str) -> int:
    matrix = artifact.matrices.get(name)
    return artifact.tensors[name].shape[0] if matrix is None else matrix.layout.rows


def file_tensors(artifact: Artifact) -> dict[str, FileTensor]:
    """By the name in Hugging Face's files."""
    kind = model_type(artifact)
    fusions = FUSIONS.get(kind, {})
    tensors: dict[str, FileTensor] = {}
    order: dict[str, int] = {}
    for name in [*artifact.matrices, *artifact.tensors]:
        file_name, heads = name, 1
        rest, _, last = name.rpartition(".")
        layer, _, part = rest.rpartition(".")
        fusion = fusions.get(layer.rpartition(".")[2])
        if fusion is not None and part in fusion.parts:
            file_name = f"{layer}.{last}"
            heads = artifact.config[fusion.heads] if fusion.heads else 1
            order[name] = fusion.parts.index(part)
        turned = file_name.endswith(TURNED.get(kind, ()))
        tensors.setdefault(file_name, FileTensor(heads=heads, turned=turned)).parts.append(name)
    for tensor in tensors.values():
        tensor.parts.sort(key=lambda name: order.get(name, 0))
    return tensors


def model_type(artifact: Artifact) -> str:
    """ "llama", "bert", ...; "graph" of an ONNX model."""
    return str(artifact.config.get("model_type", "")) if isinstance(artifact.config, dict) else ""


def language_config(artifact: Artifact) -> dict[str, Any]:
    """The keys of config.json. An InputError for a model that came as ONNX."""
    kind = model_type(artifact)
    require(kind not in ("", "graph"), "the model came as ONNX; Hugging Face's transformers has no class for it")
    return {**artifact.config, "torch_dtype": "float32"}
