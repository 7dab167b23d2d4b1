"""How Hugging Face's files hold the tensors of a model: the names are an artifact's own, but for GPT-2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jlcm.errors import require
from jlcm.format import Artifact

_TURNED = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")


@dataclass
class FileTensor:
    """The model's tensors `parts` one below the other, [inputs, outputs] if `turned`."""

    parts: list[str] = field(default_factory=list)
    turned: bool = False

    def decode(self, artifact: Artifact) -> np.ndarray:
        """float32, as the files hold it."""
        values = [artifact.decode(part) for part in self.parts]
        joined = values[0] if len(values) == 1 else np.concatenate(values)
        return np.ascontiguousarray(joined.T) if self.turned else joined


def file_tensors(artifact: Artifact) -> dict[str, FileTensor]:
    """By the name in Hugging Face's files."""
    is_gpt2 = model_type(artifact) == "gpt2"
    tensors: dict[str, FileTensor] = {}
    for name in [*artifact.matrices, *artifact.tensors]:
        file_name = name
        if is_gpt2 and ".c_attn." in name:
            stem, _, part = name.partition(".c_attn.")
            file_name = f"{stem}.c_attn.{part.split('.')[-1]}"
        tensors.setdefault(file_name, FileTensor(turned=is_gpt2 and file_name.endswith(_TURNED))).parts.append(name)
    order = ("query", "key", "value")
    for tensor in tensors.values():
        if len(tensor.parts) > 1:
            tensor.parts.sort(key=lambda name: order.index(name.split(".")[-2]))
    return tensors


def model_type(artifact: Artifact) -> str:
    """ "llama", "bert", ...; "graph" of an ONNX model."""
    return str(artifact.config.get("model_type", "")) if isinstance(artifact.config, dict) else ""


def language_config(artifact: Artifact) -> dict[str, Any]:
    """The keys of config.json. An InputError for a model that came as ONNX."""
    kind = model_type(artifact)
    require(kind not in ("", "graph"), "the model came as ONNX; Hugging Face's transformers has no class for it")
    return {**artifact.config, "torch_dtype": "float32"}
