#!/usr/bin/env python3
"""Writes a Hugging Face folder of Llama's architecture with random heavy-tailed weights, a shard a block.

    bench/make_llama_checkpoint.py DIR [--blocks 32] [--hidden 4096] [--ffn 11008] [--heads 32] [--kv-heads 32]
                                   [--vocabulary 32000]

The defaults are Llama 2 7B's shapes, in float16: 13.5 GB. For measuring time and memory where the real model is not at
hand: it says nothing about quality. The tokenizer knows bytes only. Needs numpy.
"""

import argparse
import json
import math
from pathlib import Path

import numpy

DEGREES_OF_FREEDOM = 5  # Student's t: tails about as heavy as those of trained weights
POOL = 1 << 25  # random values; matrices are stretches of it from random places


def byte_characters():
    """The character that a byte-level vocabulary writes for each byte."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in kept]
    characters = {byte: chr(byte) for byte in kept}
    characters.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return [characters[byte] for byte in range(256)]


def tokenizer():
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocabulary = {character: i for i, character in enumerate(byte_characters())}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "vocab": vocabulary, "merges": []},
    }  # fmt: skip


class Random:
    def __init__(self, seed):
        self.generator = numpy.random.default_rng(seed)
        spread = math.sqrt(DEGREES_OF_FREEDOM / (DEGREES_OF_FREEDOM - 2))
        self.pool = (self.generator.standard_t(DEGREES_OF_FREEDOM, POOL) / spread).astype(numpy.float32)

    def matrix(self, rows, columns, deviation):
        values = numpy.empty(rows * columns, numpy.float16)
        scaled = (self.pool * deviation).astype(numpy.float16)
        for begin in range(0, values.size, POOL // 2):
            count = min(POOL // 2, values.size - begin)
            start = self.generator.integers(0, POOL - count + 1)
            values[begin : begin + count] = scaled[start : start + count]
        return values.reshape(rows, columns)


def write_shard(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F16", "shape": tensor.shape, "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor in tensors.values():
            file.write(tensor.tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--blocks", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--ffn", type=int, default=11008)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv-heads", type=int, default=32)
    parser.add_argument("--vocabulary", type=int, default=32000)
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    random = Random(0)
    hidden, ffn = given.hidden, given.ffn
    head = hidden // given.heads
    ones = numpy.ones(hidden, numpy.float16)
    deviation = 1 / math.sqrt(hidden)
    residual = 1 / math.sqrt(2 * given.blocks)  # of what a block adds, so that the stream keeps its size
    shards = {}

    def write(name, tensors):
        write_shard(given.directory / name, tensors)
        shards.update(dict.fromkeys(tensors, name))

    for block in range(given.blocks):
        prefix = f"model.layers.{block}."
        write(f"block_{block:02}.safetensors", {
            prefix + "self_attn.q_proj.weight": random.matrix(hidden, hidden, deviation),
            prefix + "self_attn.k_proj.weight": random.matrix(given.kv_heads * head, hidden, deviation),
            prefix + "self_attn.v_proj.weight": random.matrix(given.kv_heads * head, hidden, deviation),
            prefix + "self_attn.o_proj.weight": random.matrix(hidden, hidden, deviation * residual),
            prefix + "mlp.gate_proj.weight": random.matrix(ffn, hidden, deviation),
            prefix + "mlp.up_proj.weight": random.matrix(ffn, hidden, deviation),
            prefix + "mlp.down_proj.weight": random.matrix(hidden, ffn, residual / math.sqrt(ffn)),
            prefix + "input_layernorm.weight": ones,
            prefix + "post_attention_layernorm.weight": ones,
        })  # fmt: skip
    write("outside.safetensors", {
        "model.embed_tokens.weight": random.matrix(given.vocabulary, hidden, 1.0),
        "lm_head.weight": random.matrix(given.vocabulary, hidden, deviation),
        "model.norm.weight": ones,
    })  # fmt: skip
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": hidden,
        "intermediate_size": ffn, "num_hidden_layers": given.blocks, "num_attention_heads": given.heads,
        "num_key_value_heads": given.kv_heads, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": given.vocabulary, "torch_dtype": "float16",
    }  # fmt: skip
    index = {"metadata": {}, "weight_map": shards}
    for name, content in {"config": config, "tokenizer": tokenizer(), "model.safetensors.index": index}.items():
        (given.directory / f"{name}.json").write_text(json.dumps(content))


main()
