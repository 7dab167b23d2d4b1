#!/usr/bin/env python3
"""Writes the default model as a Hugging Face folder that computes the same and has other weights.

  scripts/transform_checkpoint.py MODEL.gguf TOKENIZER_DIR OUT KIND

KIND
  folded      the scales of all norms multiplied into the columns of what reads them
  equalised   each norm's scales moved so that the columns of what reads it have the same root mean square
  activation  each norm's scale to the power 1/2 moved out of the columns: large activations, small weights
  rotated     folded, then the residual stream turned by a random Hadamard matrix, value heads by one of their own

For trying out what such freedom brings to a solver: the head becomes a matrix of its own, so the folder's size says
nothing. TOKENIZER_DIR holds tokenizer*.json as jlcm-export writes them. Needs gguf, numpy and safetensors of PyPI.
"""

import argparse
import json
import shutil
from pathlib import Path

import gguf
import numpy
from safetensors.numpy import save_file

SEED = 1


def hadamard(size):
    """Orthogonal, all entries of one size; sizes of powers of two times 1, 12 or 144."""
    if size == 1:
        return numpy.ones((1, 1))
    if size % 12 != 0:
        return numpy.kron(hadamard(size // 2), [[1, 1], [1, -1]]) / numpy.sqrt(2)
    squares = {i * i % 11 for i in range(1, 11)}
    paley = numpy.ones((12, 12))  # Paley's construction over the field of 11
    paley[1:, 0] = -1
    for i in range(11):
        for j in range(11):
            paley[i + 1, j + 1] = 1 if i == j or (j - i) % 11 in squares else -1
    return numpy.kron(paley / numpy.sqrt(12), hadamard(size // 12))


def to_halves(rows, heads):
    """GGUF has the rows of a head's rotary pairs side by side, Hugging Face in halves."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def moved(kind, scale, readers):
    """What the columns of a norm's readers are multiplied with, and the norm's scale divided by."""
    if kind == "equalised":
        size = numpy.sqrt(numpy.mean(numpy.concatenate(readers) ** 2, axis=0))
        return numpy.exp(numpy.mean(numpy.log(size))) / size
    if kind == "activation":
        size = numpy.abs(scale) / numpy.exp(numpy.mean(numpy.log(numpy.abs(scale) + 1e-9)))
        return numpy.maximum(size, 1e-3) ** -0.5
    return scale


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("kind", choices=["folded", "equalised", "activation", "rotated"])
    given = parser.parse_args()
    out, kind = given.out, given.kind
    reader = gguf.GGUFReader(given.model)
    weights = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(numpy.float64) for t in reader.tensors}
    field = lambda name: reader.fields[f"llama.{name}"].contents()
    width, heads = field("embedding_length"), field("attention.head_count")
    key_heads, head = field("attention.head_count_kv"), width // heads
    turn, turn_head = numpy.eye(width), numpy.eye(head)
    if kind == "rotated":
        signs = numpy.random.default_rng(SEED).choice([-1.0, 1.0], width)
        turn, turn_head = signs[:, None] * hadamard(width), hadamard(head)

    final_scale = weights["output_norm.weight"]
    tensors = {
        "model.embed_tokens.weight": weights["token_embd.weight"] @ turn,
        "lm_head.weight": weights["token_embd.weight"] * final_scale @ turn,
        "model.norm.weight": numpy.ones(width),
    }
    for block in range(field("block_count")):
        of = lambda name: weights[f"blk.{block}.{name}.weight"]
        query, key = to_halves(of("attn_q"), heads), to_halves(of("attn_k"), key_heads)
        value = numpy.einsum("hij,ik->hkj", of("attn_v").reshape(key_heads, head, width), turn_head)
        output = numpy.einsum("rhi,ik->rhk", of("attn_output").reshape(width, heads, head), turn_head)
        readers = {
            "input_layernorm": {"self_attn.q_proj": query, "self_attn.k_proj": key,
                                "self_attn.v_proj": value.reshape(key_heads * head, width)},
            "post_attention_layernorm": {"mlp.gate_proj": of("ffn_gate"), "mlp.up_proj": of("ffn_up")},
        }  # fmt: skip
        prefix = f"model.layers.{block}."
        for (norm, matrices), stored in zip(readers.items(), ("attn_norm", "ffn_norm"), strict=True):
            columns = moved(kind, of(stored), list(matrices.values()))
            tensors[f"{prefix}{norm}.weight"] = of(stored) / columns
            for name, matrix in matrices.items():
                tensors[f"{prefix}{name}.weight"] = matrix * columns @ turn
        tensors[f"{prefix}self_attn.o_proj.weight"] = turn.T @ output.reshape(width, width)
        tensors[f"{prefix}mlp.down_proj.weight"] = turn.T @ of("ffn_down")

    out.mkdir(parents=True, exist_ok=True)
    save_file({name: numpy.ascontiguousarray(t, numpy.float32) for name, t in tensors.items()}, out / "model.safetensors")
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": width,
        "intermediate_size": field("feed_forward_length"), "num_hidden_layers": field("block_count"),
        "num_attention_heads": heads, "num_key_value_heads": key_heads,
        "max_position_embeddings": field("context_length"), "tie_word_embeddings": False,
        "rms_norm_eps": float(field("attention.layer_norm_rms_epsilon")), "rope_theta": float(field("rope.freq_base")),
        "vocab_size": len(weights["token_embd.weight"]), "torch_dtype": "float32",
    }  # fmt: skip
    (out / "config.json").write_text(json.dumps(config))
    for file in given.tokenizer.glob("tokenizer*.json"):
        shutil.copy(file, out)


main()
