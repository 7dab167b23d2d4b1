"""Artifacts as Hugging Face models: `jlcm.transformers.load(path)`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, cast

import torch
import transformers

import jlcm.torch
from jlcm.errors import require
from jlcm.format import Artifact
from jlcm.hugging_face import file_tensors, language_config
from jlcm.model import Model

ENCODERS = {"bert"}


def load(path: str | os.PathLike[str], *, packed: bool = True) -> tuple[Any, Any]:
    """The model (AutoModelForCausalLM, or AutoModel for an encoder) in float32, ready to run, and its tokenizer.

    packed: its linear layers keep codes and decode them in forward (jlcm.torch.PackedLinear); else they are plain layers
    of the decoded weights.
    """
    opened = Model(path)
    artifact = _artifact(opened)
    config = transformers.AutoConfig.for_model(**language_config(artifact))
    is_encoder = config.model_type in ENCODERS
    if is_encoder:
        model = transformers.AutoModel.from_config(config, add_pooling_layer=False)
    else:
        model = transformers.AutoModelForCausalLM.from_config(config)
    layers = jlcm.torch.pack(model, artifact) if packed else []
    replaced = {f"{layer}.weight" for layer in layers}
    tensors = file_tensors(artifact)
    dense = {
        name: torch.from_numpy(tensor.decode(artifact)) for name, tensor in tensors.items() if name not in replaced
    }
    missing, unexpected = model.load_state_dict(dense, strict=False)
    own = {name for name, _ in model.named_parameters(remove_duplicate=True)}
    lacking = [name for name in missing if name in own and ".parts." not in name]
    require(not lacking and not unexpected, f"{path}: tensors do not fit: missing {lacking}, unexpected {unexpected}")
    return model.eval(), tokenizer(opened)


def tokenizer(model: Model) -> Any:
    """What AutoTokenizer makes of an artifact's files about text."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in model.text_files().items():
            file = Path(folder, name)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        transformers.AutoConfig.for_model(**language_config(_artifact(model))).save_pretrained(folder)
        return transformers.AutoTokenizer.from_pretrained(folder)


def _artifact(model: Model) -> Artifact:
    require(model.artifact is not None, f"{model.path} is no artifact, but {model.description}")
    return cast(Artifact, model.artifact)
