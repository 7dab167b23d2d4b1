"""Language models of Llama's kind in Core ML's MIL: token ids of a fixed context in, logits of every position out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Function, Program, Var, types

from jlcm.coreml_operators import scalar
from jlcm.coreml_palette import Palette
from jlcm.coreml_weights import TARGETS, Shape, Weights, look_up
from jlcm.errors import require

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
KEYS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "head_dim", "max_position_embeddings", "rms_norm_eps", "rope_theta", "tie_word_embeddings", "hidden_act",
)  # fmt: skip
DEFAULT_CONTEXT = 512
HIDDEN = -30000.0
"""Added to the score of a position that is not attended to; float16 holds it."""


class Decoder:
    """A translation. Tensors have the names of Hugging Face's files; biases, and norms of queries and keys, are applied
    if the artifact has them."""

    def __init__(self, weights: Weights, config: dict[str, Any], context: int):
        """context: token ids that the program takes; 0: 512, or all that the model is made for if these are fewer."""
        kind = config.get("model_type")
        known = f"{', '.join(FAMILIES)} and those that came as ONNX"
        require(kind in FAMILIES, f"models of the type '{kind}' have no Core ML package; {known} have one")
        missing = [key for key in KEYS if key not in config]
        require(not missing, f"the artifact's configuration has no {', '.join(missing)}; make the artifact again")
        longest = config["max_position_embeddings"]
        require(0 <= context <= longest, f"a context of {context}; the model is made for 1 to {longest} tokens")
        self.weights = weights
        self.config = config
        self.context = context or min(DEFAULT_CONTEXT, longest)
        self.heads = config["num_attention_heads"]
        self.key_heads = config["num_key_value_heads"]
        self.head_dim = config["head_dim"]
        self.head = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
        self.shapes = self.tensors()
        self.masks: dict[int, Var] = {}
        self.turns: tuple[Var, Var] | None = None

    def tensors(self) -> dict[str, Shape]:
        """All that the program reads, by name."""
        config = self.config
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        queries, keys = self.heads * self.head_dim, self.key_heads * self.head_dim
        in_layer = {
            "input_layernorm.weight": (hidden,),
            "post_attention_layernorm.weight": (hidden,),
            "self_attn.q_proj.weight": (queries, hidden),
            "self_attn.k_proj.weight": (keys, hidden),
            "self_attn.v_proj.weight": (keys, hidden),
            "self_attn.o_proj.weight": (hidden, queries),
            "mlp.gate_proj.weight": (inner, hidden),
            "mlp.up_proj.weight": (inner, hidden),
            "mlp.down_proj.weight": (hidden, inner),
        }
        optional = {"self_attn.q_norm.weight": (self.head_dim,), "self_attn.k_norm.weight": (self.head_dim,)}
        for name, shape in in_layer.items():
            if len(shape) == 2:
                optional[name.replace(".weight", ".bias")] = (shape[0],)
        held = self.weights.artifact.tensors
        found: dict[str, Shape] = {"model.norm.weight": (hidden,)}
        found["model.embed_tokens.weight"] = found[self.head] = (config["vocab_size"], hidden)
        for layer in range(config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            found.update({prefix + name: shape for name, shape in in_layer.items()})
            found.update({prefix + name: shape for name, shape in optional.items() if prefix + name in held})
        return found

    def read(self) -> None:
        """Takes the weights; an InputError names all that Core ML has no form for, or that does not fit."""
        artifact, problems = self.weights.artifact, self.weights.problems
        held = {name: tuple(each.shape) for name, each in artifact.tensors.items()}
        held.update({name: (each.layout.rows, each.layout.cols) for name, each in artifact.matrices.items()})
        for name in {**self.shapes, **held}:
            expected, own = self.shapes.get(name), held.get(name)
            if expected == own:
                self.weights.read(name, held[name])
            elif expected is None:
                problems[f"{name}: no operator that is translated reads it"] = ""
            else:
                problems[f"{name}: its shape is {own or 'missing'}; the configuration says {expected}"] = ""
        if self.config["hidden_act"] != "silu":
            problems[f"the activation '{self.config['hidden_act']}'"] = ""
        scaling = self.config.get("rope_scaling")
        if scaling and scaling.get("rope_type") not in ("linear", "llama3", "yarn"):
            problems[f"rotary scaling '{scaling.get('rope_type', scaling.get('type'))}'"] = ""
        self.weights.require_all()

    def program(self) -> Program:
        self.read()
        placeholders = {"ids": mb.placeholder(shape=(1, self.context), dtype=types.int32)}
        program = Program()
        with Function(placeholders, opset_version=TARGETS[self.weights.form]) as function:
            x = mb.gather(x=self.weight("model.embed_tokens.weight"), indices=function.inputs["ids"], axis=0)
            for layer in range(self.config["num_hidden_layers"]):
                prefix = f"model.layers.{layer}."
                normed = self.norm(x, prefix + "input_layernorm.weight")
                x = mb.add(x=x, y=self.attention(normed, prefix + "self_attn.", self.window(layer)))
                normed = self.norm(x, prefix + "post_attention_layernorm.weight")
                x = mb.add(x=x, y=self.gated(normed, prefix + "mlp."))
            logits = mb.linear(x=self.norm(x, "model.norm.weight"), weight=self.weight(self.head))
            function.set_outputs([mb.cast(x=logits, dtype="fp32", name="logits")])
        program.add_function("main", function)
        return program

    def weight(self, name: str) -> Var:
        return self.weights[name, self.shapes[name]]

    def linear(self, x: Var, name: str) -> Var:
        bias = name + ".bias"
        more = {"bias": self.weight(bias)} if bias in self.shapes else {}
        return mb.linear(x=x, weight=self.weight(name + ".weight"), **more)

    def norm(self, x: Var, name: str) -> Var:
        """x / sqrt(mean of x^2 + epsilon), times the weight. Divided by the largest first: squares stay in float16."""
        largest = mb.reduce_max(x=mb.abs(x=x), axes=[-1], keep_dims=True)
        largest = mb.maximum(x=largest, y=scalar(x, 2.0**-14))
        x = mb.real_div(x=x, y=largest)
        share = mb.real_div(x=scalar(x, math.sqrt(self.config["rms_norm_eps"])), y=largest)
        mean = mb.reduce_mean(x=mb.mul(x=x, y=x), axes=[-1], keep_dims=True)
        size = mb.sqrt(x=mb.add(x=mean, y=mb.mul(x=share, y=share)))
        return mb.mul(x=mb.real_div(x=x, y=size), y=self.weight(name))

    def gated(self, x: Var, prefix: str) -> Var:
        gate = mb.silu(x=self.linear(x, prefix + "gate_proj"))
        return self.linear(mb.mul(x=gate, y=self.linear(x, prefix + "up_proj")), prefix + "down_proj")

    def attention(self, x: Var, prefix: str, window: int) -> Var:
        """The queries of a group of heads lie one below the other, [key heads, group * context, head], as they share
        keys."""
        context, width, key_heads = self.context, self.head_dim, self.key_heads
        group = self.heads // key_heads
        query = self.turned(self.by_head(x, prefix + "q", self.heads))
        query = mb.mul(x=query, y=scalar(query, width**-0.5))
        query = mb.reshape(x=query, shape=[key_heads, group * context, width])
        key = self.turned(self.by_head(x, prefix + "k", key_heads))
        value = self.by_head(x, prefix + "v", key_heads)
        scores = mb.matmul(x=query, y=key, transpose_y=True)
        scores = mb.reshape(x=scores, shape=[key_heads, group, context, context])
        shares = mb.softmax(x=mb.add(x=scores, y=self.mask(window)), axis=-1)
        shares = mb.reshape(x=shares, shape=[key_heads, group * context, context])
        mixed = mb.reshape(x=mb.matmul(x=shares, y=value), shape=[self.heads, context, width])
        mixed = mb.reshape(x=mb.transpose(x=mixed, perm=[1, 0, 2]), shape=[1, context, self.heads * width])
        return self.linear(mixed, prefix + "o_proj")

    def by_head(self, x: Var, prefix: str, heads: int) -> Var:
        """Queries, keys or values [heads, context, head], normed if there is a norm of them."""
        x = mb.reshape(x=self.linear(x, prefix + "_proj"), shape=[self.context, heads, self.head_dim])
        norm = prefix + "_norm.weight"
        if norm in self.shapes:
            x = self.norm(x, norm)
        return mb.transpose(x=x, perm=[1, 0, 2])

    def turned(self, x: Var) -> Var:
        """Rotary embedding: feature i and feature i + head / 2 turn by an angle that grows with the position."""
        if self.turns is None:
            angles = np.arange(self.context)[:, None] * frequencies(self.head_dim, self.config)
            magnitude = (self.config.get("rope_scaling") or {}).get("attention_factor", 1.0)
            cosine, sine = ((magnitude * turn(angles)).astype(self.weights.type) for turn in (np.cos, np.sin))
            self.turns = mb.const(val=cosine, name="cosine"), mb.const(val=sine, name="sine")
        cosine, sine = self.turns
        first, second = mb.split(x=x, num_splits=2, axis=-1)
        turned_first = mb.sub(x=mb.mul(x=first, y=cosine), y=mb.mul(x=second, y=sine))
        turned_second = mb.add(x=mb.mul(x=second, y=cosine), y=mb.mul(x=first, y=sine))
        return mb.concat(values=[turned_first, turned_second], axis=-1)

    def window(self, layer: int) -> int:
        """Positions that a layer attends to: the last ones, its own included."""
        window, kinds = self.config.get("sliding_window"), self.config.get("layer_types")
        is_local = window is not None and (kinds is None or kinds[layer] == "sliding_attention")
        return min(window, self.context) if is_local else self.context

    def mask(self, window: int) -> Var:
        """[context, context], of a bit each."""
        if window not in self.masks:
            distance = np.arange(self.context)[:, None] - np.arange(self.context)
            hidden = ((distance < 0) | (distance >= window)).astype(np.uint8)
            table = np.array([0, HIDDEN], self.weights.type).reshape(1, 1, 2, 1)
            palette = Palette(hidden, table, 1, 1)
            self.masks[window] = look_up(palette, hidden.shape, self.weights.form, f"mask_{window}")
        return self.masks[window]


def frequencies(features: int, config: dict[str, Any]) -> np.ndarray:
    """Of each pair of features: what it turns by from one position to the next."""
    plain = float(config["rope_theta"]) ** (-np.arange(0, features, 2) / features)
    scaling = config.get("rope_scaling")
    if not scaling:
        return plain
    stretched = plain / scaling["factor"]
    if scaling["rope_type"] == "linear":
        return stretched
    original = scaling["original_max_position_embeddings"]
    if scaling["rope_type"] == "yarn":
        kept = 1 - _yarn_ramp(features, config["rope_theta"], original, scaling)
    else:
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        kept = np.clip((original * plain / (2 * np.pi) - low) / (high - low), 0, 1)
    return kept * plain + (1 - kept) * stretched


def _yarn_ramp(features: int, base: float, original: int, scaling: dict[str, Any]) -> np.ndarray:
    """0 to 1, from the pair that turns `beta_fast` times in the original context to that which turns `beta_slow` times
    (Peng et al., "YaRN", 2023)."""
    first, last = (
        features * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))
        for turns in (scaling["beta_fast"], scaling["beta_slow"])
    )
    if scaling.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, features - 1)
    return np.clip((np.arange(features // 2) - first) / (last - first or 0.001), 0, 1)
