#!/usr/bin/env python3
"""The models of tests/golden/transformers as GGUF: model.gguf in each folder, as llama.cpp's convert_hf_to_gguf.py
holds the family, without a tokenizer. Not needed to run the tests.

    pip install gguf safetensors numpy
    python tests/golden/make_family_gguf.py [FOLDER ...]

Names of tensors are gguf-py's. Matrices stay float16, norms and biases become float32.
"""

import json
import pathlib
import re
import sys

import gguf
import numpy as np
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent / "transformers"
FAMILIES = {"qwen2": "QWEN2", "qwen3": "QWEN3", "gemma2": "GEMMA2", "gemma3": "GEMMA3", "phi3": "PHI3",
            "gpt_neox": "GPTNEOX", "olmo2": "OLMO2", "mixtral": "LLAMA", "qwen3_moe": "QWEN3MOE"}
EXPERT = re.compile(r"(.*\.)experts\.(\d+)\.(w1|w2|w3|gate_proj|down_proj|up_proj)\.weight")


def add_metadata(writer, config, name):
    rope = config.get("rope_parameters", {})
    rope = rope.get("full_attention", rope)
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    if name == "gpt_neox":
        writer.add_rope_dimension_count(int(rope["partial_rotary_factor"] * head_dim))
        writer.add_layer_norm_eps(config["layer_norm_eps"])
        writer.add_parallel_residual(config["use_parallel_residual"])
        return
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope["rope_theta"])
    if name in ("qwen3", "gemma2", "gemma3", "qwen3_moe"):
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if name in ("gemma2", "gemma3", "phi3"):
        writer.add_sliding_window(config["sliding_window"])
    if name == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if name == "phi3":
        writer.add_rope_dimension_count(int(rope["partial_rotary_factor"] * head_dim))
        writer.add_rope_scaling_orig_ctx_len(config["original_max_position_embeddings"])
        ratio = config["max_position_embeddings"] / config["original_max_position_embeddings"]
        writer.add_rope_scaling_attn_factors(
            float(np.sqrt(1 + np.log(ratio) / np.log(config["original_max_position_embeddings"]))))
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if name in ("mixtral", "qwen3_moe"):
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
    if name == "qwen3_moe":
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])


def interleaved(weight, heads):
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def by_part(tensor, heads):
    """Rows [heads, 3, head_dim] as [3, heads, head_dim]."""
    return tensor.reshape(heads, 3, -1, *tensor.shape[1:]).swapaxes(0, 1).reshape(tensor.shape)


def file_tensors(folder, config, name):
    tensors = load_file(str(folder / "model.safetensors"))
    experts = {}
    for key, value in tensors.items():
        found = EXPERT.fullmatch(key)
        if found:
            experts.setdefault((found[1], found[3]), {})[int(found[2])] = value
            continue
        if name == "mixtral" and key.endswith("q_proj.weight"):
            value = interleaved(value, config["num_attention_heads"])
        if name == "mixtral" and key.endswith("k_proj.weight"):
            value = interleaved(value, config["num_key_value_heads"])
        if name == "gpt_neox" and "query_key_value" in key:
            value = by_part(value, config["num_attention_heads"])
        if name.startswith("gemma") and key.endswith("norm.weight"):
            value = value.astype(np.float32) + 1
        yield key, value
    for (prefix, kind), parts in experts.items():
        yield f"{prefix}experts.{kind}.weight", np.stack([parts[i] for i in range(len(parts))])


def main():
    for name, arch in FAMILIES.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        folder = HERE / name
        config = json.loads((folder / "config.json").read_text())
        kind = gguf.MODEL_ARCH[arch]
        names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
        writer = gguf.GGUFWriter(str(folder / "model.gguf"), gguf.MODEL_ARCH_NAMES[kind])
        add_metadata(writer, config, name)
        writer.add_tokenizer_model("no_vocab")
        for key, value in file_tensors(folder, config, name):
            is_matrix = value.ndim > 1
            stored = names.get_name(key, try_suffixes=(".weight", ".bias"))
            if stored is None:
                sys.exit(f"{name}: gguf-py has no name for {key}")
            writer.add_tensor(stored, value.astype(np.float16 if is_matrix else np.float32))
        if name == "phi3":
            for length in ("long", "short"):
                factors = np.array(config["rope_parameters"][f"{length}_factor"], np.float32)
                writer.add_tensor(f"rope_factors_{length}.weight", factors)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


if __name__ == "__main__":
    main()
