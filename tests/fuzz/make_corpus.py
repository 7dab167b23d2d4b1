#!/usr/bin/env python3
"""Small valid files, one or a few for each fuzzed reader: corpus/READER/NAME; and large_*, which ask for much memory in few
bytes. What fuzzing found (found_*) stays.

    python make_corpus.py            # packages of scripts/requirements-test.txt
"""

import gzip
import io
import json
import struct
import zlib
from pathlib import Path

import gguf
import numpy as np
import onnx
import sentencepiece
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import save

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
random = np.random.default_rng(1)


def put(reader, name, content):
    path = CORPUS / reader / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def floats(*shape):
    return random.normal(size=shape).astype(np.float32)


def chat_templates():
    # Of tests/golden: each family once, and the language.
    names = set()
    for case in json.loads((HERE.parent / "golden/chat_templates.json").read_text()):
        kind = case["name"].split(":")[0].replace(".", "_").replace(" ", "_")
        name = f"{kind}_{sum(each.startswith(kind) for each in names)}" if kind in ("language", "white_space") else kind
        if kind == "refused" or name in names:
            continue
        names.add(name)
        put("chat_template", name, json.dumps(case["variables"], ensure_ascii=False) + "\n@@\n" + case["template"])
    put("chat_template", "large_text", "{{ 'x' * 9223372036854775807 }}{{ [l] * 4000000000 }}")
    put("chat_template", "large_doubling", "{% set q = namespace(x='xxxxxxxx') %}{% for a in range(60) %}{% set q.x = q.x + q.x %}{% endfor %}")
    put("chat_template", "large_loops", "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}")
    put("chat_template", "deep_values", "{% set q = namespace(x=[]) %}{% for a in range(99999) %}{% set q.x = [q.x] %}{% endfor %}")
    put("chat_template", "cycles", "{% set q = namespace() %}{% set q.q = q %}{% for a in [q] %}{% set q.l = [loop] %}{% macro m() %}{{ a }}{% endmacro %}{% set q.m = m %}{% endfor %}{{ q.m() }}")


def text_formats():
    put("json", "values", '{"a": [1, -2.5e-3, true, null, "\\u00f6\\n"], "b": {"c": {}}, "d": 18446744073709551615}')
    put("json", "nested", "[" * 8 + "0" + "]" * 8)
    put("yaml", "spec", """# a comment
name: run
rate: 0.25
number: 16
limit: null
words: [one, "two, three", 'it''s']
numbers: 3
section: {flag: true, count: 7}
sections:
  - flag: true
  - {count: 2}
more:
  flag: false
anything: {a: [1, {b: ~}], c: "two\\nlines"}
""")
    put("yaml", "aliases", "anything: &x [1, 2, 3]\nname: folded\nnumbers: *x\nwords: [a, *x]\n")
    put("yaml", "blocks", "name: >-\n  folded\n  text\nanything:\n  literal: |\n    two\n    lines\n  tagged: !!str 1\n")
    put("preprocess", "short_side", json.dumps({
        "input_size": [3, 4, 4], "resize": {"mode": "short_side", "size": 5}, "crop": {"mode": "center", "size": 4},
        "interpolation": "bilinear, antialiased", "channel_order": "BGR", "range": [0, 1],
        "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}))
    put("preprocess", "exact", json.dumps({
        "input_size": [1, 3, 5], "resize": {"mode": "exact", "size": [3, 5]}, "crop": None,
        "interpolation": "bicubic", "channel_order": "L", "range": [0, 255], "mean": [0], "std": [1]}))
    put("labels", "plain", "filename,class_index\na.png,0\nsub/b.jpg,17\n")
    put("labels", "spreadsheet", "\ufeffnote, class_index ,\"filename\"\r\n\"two\r\nlines, \"\"quoted\"\"\",3,a.png\r\n\r\n")
    put("task", "choices", "".join(json.dumps(item) + "\n" for item in (
        {"context": "a b", "choices": ["c", "d e"], "gold": 1, "delimiter": " ", "metric": "acc_norm", "version": "1.0"},
        {"context": "", "choices": ["c", "d"], "gold": "c", "metric": "acc_norm", "version": "1.0"})))
    put("task", "partial", json.dumps({"scoring": "partial", "contexts": ["a", "b"], "continuation": "c", "gold": 0}))
    put("task", "letters", json.dumps({"question": "Which?", "choices": ["a", "b"], "gold": "B"}))
    put("task", "greedy", json.dumps([{"context": "a", "continuation": " b", "metric": "perplexity"}]))
    put("task", "lambada", json.dumps({"text": "one two"}))
    put("task", "copa", json.dumps(
        {"premise": "It fell.", "choice1": "A.", "choice2": "B.", "question": "cause", "label": 1}))
    put("task", "social_iqa", json.dumps(
        {"context": "A", "question": "B?", "answerA": "a", "answerB": "b", "answerC": "c", "label": "2"}))
    put("task", "commonsense_qa", json.dumps(
        {"question": "A?", "question_concept": "a", "choices": {"label": ["A", "B"], "text": ["a", "b"]},
         "answerKey": "A"}))
    put("task", "mmlu", json.dumps({"question": "A?", "subject": "s_t", "choices": ["a", "b"], "answer": 0}))


def weights():
    tensors = {"a": floats(2, 3), "b": floats(4).astype(np.float16), "c": np.arange(5, dtype=np.uint8)}
    put("safetensors", "three", save(tensors, {"format": "pt"}))
    put("safetensors", "empty", save({"none": np.zeros((0, 3), np.int32)}))


def configurations():
    """A config.json of each family, and values that are near its limits."""
    common = {"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
              "intermediate_size": 40, "max_position_embeddings": 64}
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 8192}
    put("config", "llama", json.dumps({"model_type": "llama", **common, "num_key_value_heads": 2, "head_dim": 8,
                                       "rope_scaling": scaling, "attention_bias": True, "hidden_act": "silu"}))
    put("config", "qwen2", json.dumps({"model_type": "qwen2", **common, "use_sliding_window": False,
                                       "layer_types": ["full_attention"] * 2, "tie_word_embeddings": True,
                                       "rope_parameters": {"rope_theta": 1e6, "rope_type": "linear", "factor": 2.0}}))
    put("config", "gpt2", json.dumps({"model_type": "gpt2", "vocab_size": 50, "n_embd": 24, "n_layer": 2, "n_head": 4,
                                      "n_inner": None, "n_positions": 64, "scale_attn_weights": True}))
    put("config", "opt", json.dumps({"model_type": "opt", **common, "ffn_dim": 40, "word_embed_proj_dim": 24,
                                     "do_layer_norm_before": True}))
    put("config", "bert", json.dumps({"model_type": "bert", **common, "type_vocab_size": 2, "layer_norm_eps": 1e-12}))
    most = 1 << 30
    put("config", "large_sizes", json.dumps({"model_type": "llama", **common, "hidden_size": most, "vocab_size": most,
                                             "num_attention_heads": 1 << 29, "intermediate_size": most}))
    put("config", "refused", json.dumps({"model_type": "llama", "hidden_size": "24", "quantization_config": {},
                                         "rope_scaling": {"type": "yarn"}, "sliding_window": 8, "hidden_act": 3}))


VOCABULARY = ["<unk>", "<s>", "</s>", "<0x41>", "\u2581", "h", "e", "l", "o", "\u2581h", "ll", "llo"]


def llama_gguf():
    path = CORPUS / "gguf/llama"
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(16)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(16)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(VOCABULARY)
    writer.add_token_scores([-float(i) for i in range(len(VOCABULARY))])
    writer.add_token_types([2, 3, 3] + [1] * 9)
    writer.add_bos_token_id(1)
    quantised = gguf.quants.quantize(floats(len(VOCABULARY), 32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("token_embd.weight", quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output_norm.weight", floats(32))
    for name, shape in {"attn_norm": (32,), "attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32),
                        "attn_output": (32, 32), "ffn_norm": (32,), "ffn_gate": (32, 32), "ffn_up": (32, 32),
                        "ffn_down": (32, 32)}.items():
        values = floats(*shape)
        if len(shape) == 1:
            writer.add_tensor(f"blk.0.{name}.weight", values)
            continue
        kind = gguf.GGMLQuantizationType.Q4_0
        writer.add_tensor(f"blk.0.{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def encodings_gguf():
    """A tensor of each encoding that the package makes."""
    path = CORPUS / "gguf/encodings"
    writer = gguf.GGUFWriter(path, "none")
    writer.add_array("numbers", [1, 2, 3])
    writer.add_array("words", ["a", "b"])
    writer.add_bool("flag", True)
    writer.add_float64("real", 1.5)
    kinds = gguf.GGMLQuantizationType
    for kind in (kinds.F16, kinds.BF16, kinds.Q4_0, kinds.Q4_1, kinds.Q5_0, kinds.Q5_1, kinds.Q8_0):
        writer.add_tensor(kind.name, gguf.quants.quantize(floats(1, 32), kind), raw_dtype=kind)
    for kind in (kinds.Q2_K, kinds.Q3_K, kinds.Q4_K, kinds.Q5_K, kinds.Q6_K):
        size = gguf.GGML_QUANT_SIZES[kind][1]
        writer.add_tensor(kind.name, random.integers(0, 255, (1, size), np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def save_onnx(name, shape, nodes, constants, opset=17):
    result = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    put("onnx", name, model.SerializeToString())


def onnx_models():
    node = helper.make_node
    i = lambda *values: np.array(values, np.int64)
    save_onnx("convolution", (2, 6, 6), [
        node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "g"], ["y"], transB=1)],
        {"w": floats(4, 2, 3, 3), "b": floats(4), "s": floats(4), "m": floats(4), "v": abs(floats(4)), "g": floats(3, 36)})
    save_onnx("attention", (4, 8), [
        node("LayerNormalization", ["x", "s", "b"], ["l"], axis=-1),
        node("MatMul", ["l", "w"], ["q"]),
        node("Transpose", ["q"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["q", "t"], ["a"]),
        node("Mul", ["a", "scale"], ["m"]),
        node("Softmax", ["m"], ["p"], axis=-1),
        node("MatMul", ["p", "q"], ["o"]),
        node("Add", ["o", "x"], ["r"]),
        node("ReduceMean", ["r"], ["y"], axes=[1], keepdims=0)],
        {"s": floats(8), "b": floats(8), "w": floats(8, 8), "scale": np.float32(0.5)})
    save_onnx("shapes", (2, 4, 4), [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["n"]),
        node("Unsqueeze", ["n", "zero1"], ["n1"]),
        node("Concat", ["n1", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["flat"]),
        node("Slice", ["flat", "begin", "end", "axes"], ["part"]),
        node("ConstantOfShape", ["two"], ["ones"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])),
        node("Range", ["zero", "limit", "one"], ["range"]),
        node("Cast", ["range"], ["floats"], to=TensorProto.FLOAT),
        node("Expand", ["floats", "two"], ["wide"]),
        node("Add", ["part", "wide"], ["a"]),
        node("Clip", ["a", "low", "high"], ["y"])],
        {"zero": np.int64(0), "zero1": i(0), "rest": i(-1), "begin": i(0), "end": i(16), "axes": i(1), "two": i(1, 16),
         "limit": np.int64(16), "one": np.int64(1), "low": np.float32(-1), "high": np.float32(1)})
    save_onnx("resize", (1, 3, 3), [
        node("Resize", ["x", "", "scales"], ["r"], mode="linear"),
        node("Pad", ["r", "pads"], ["p"]),
        node("ConvTranspose", ["p", "w"], ["t"], strides=[2, 2]),
        node("Split", ["t"], ["u", "v"], axis=1),
        node("Sub", ["u", "v"], ["d"]),
        node("GlobalAveragePool", ["d"], ["g"]),
        node("Squeeze", ["g", "axes"], ["y"])],
        {"scales": np.array([1, 1, 2, 2], np.float32), "pads": i(0, 0, 1, 1, 0, 0, 1, 1), "w": floats(1, 2, 2, 2),
         "axes": i(2, 3)})


    save_onnx("large_constant", (1, 2), [
        node("ConstantOfShape", ["shape"], ["ones"]), node("ReduceSum", ["ones"], ["sum"]), node("Add", ["x", "sum"], ["y"])],
        {"shape": i(1 << 14, 1 << 14)})


def artifact():
    """A file as core/codebook/artifact.hpp describes it; all codes are 0."""
    layouts = {"plain": {"rows": 2, "cols": 4, "bits": 2, "row_groups": 2},
               "rich": {"rows": 4, "cols": 8, "bits": 3, "row_groups": 2, "dimension": 2, "residual": 2,
                        "column_group": 4, "shared_codebook": True}}
    half = lambda *shape: np.sort(floats(*shape), axis=-2 if len(shape) == 4 else -1).astype(np.float16)
    tensors = {
        "plain.mapping": np.zeros(64, np.uint8),
        "plain.codebooks": half(2, 1, 4, 1),
        "rich.mapping": np.zeros(64, np.uint8),
        "rich.codebooks": half(1, 2, 8, 2),
        "rich.scales": abs(half(4)),
        "rich.offsets": half(4),
        "rich.runs": np.array([[0, 1], [2, 0]], np.int32),
        "rich.row_order": np.array([[1, 0], [0, 0], [3, 0], [2, 0]], np.uint8),
        "rich.outlier_row_start": np.array([0, 1, 1, 2, 2], np.int32),
        "rich.outlier_column": np.array([3, 0], np.int32),
        "rich.outlier_value": half(2),
        "norm": floats(4),
        "embedding": np.zeros(128, np.uint8),
        "tokenizer": np.frombuffer(b"{}", np.uint8),
    }
    metadata = {"format": "jlcm", "version": "1", "layouts": json.dumps(layouts),
                "encodings": json.dumps({"embedding": {"encoding": "Q8_0", "shape": [2, 32]}}),
                "config": "{}", "extra": "{}", "provenance": "{}", "tokenizer_format": "gguf"}
    for reader in ("artifact", "packed"):
        put(reader, "two_matrices", save(tensors, metadata))
    most = (1 << 31) - 1
    metadata["layouts"] = json.dumps({"a": {"rows": most, "cols": 1, "bits": 1, "row_groups": most}})
    put("artifact", "large_layout", save({"a.runs": np.array([[0, 0]], np.int32)}, metadata))


def packed_artifact():
    """Rows that kernels on codes take, of every width, in groups and in another order, and one of each block format."""
    draws = np.random.default_rng(2)
    layouts, tensors, encodings = {}, {}, {}
    for bits in (1, 2, 3, 4):
        cols, rows, name = 512, 3, f"bits{bits}"
        layouts[name] = {"rows": rows, "cols": cols, "bits": bits, "row_groups": 1, "column_group": 512 if bits == 1 else 256}
        groups = 1 if bits == 1 else 2
        tensors[name + ".mapping"] = draws.integers(0, 256, -(-rows * cols * bits // 512) * 64).astype(np.uint8)
        tensors[name + ".codebooks"] = np.sort(draws.normal(size=(groups, 1, 1 << bits, 1)), axis=2).astype(np.float16)
        tensors[name + ".row_order"] = np.array([[2, 0], [0, 0], [1, 0]], np.uint8)
    for encoding, bytes_of_block, values in (("Q8_0", 34, 32), ("Q4_0", 18, 32), ("Q4_1", 20, 32), ("Q4_K", 144, 256),
                                             ("Q5_K", 176, 256), ("Q6_K", 210, 256)):
        data = draws.integers(0, 128, 2 * bytes_of_block)
        tensors[encoding] = np.pad(data, (0, -len(data) % 64)).astype(np.uint8)
        encodings[encoding] = {"encoding": encoding, "shape": [2, values]}
    tensors["tokenizer"] = np.frombuffer(b"{}", np.uint8)
    metadata = {"format": "jlcm", "version": "1", "layouts": json.dumps(layouts), "encodings": json.dumps(encodings),
                "config": "{}", "extra": "{}", "provenance": "{}", "tokenizer_format": "gguf"}
    put("packed", "kernels", save(tensors, metadata))


def tiny_model():
    """An artifact that generates: a Llama of one block, linear weights of 2 bits."""
    draws = np.random.default_rng(3)
    width, heads, inner = 32, 2, 32
    names = {"self_attn.q_proj": (width, width), "self_attn.k_proj": (width // heads, width),
             "self_attn.v_proj": (width // heads, width), "self_attn.o_proj": (width, width),
             "mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width), "mlp.down_proj": (width, inner)}
    layouts, tensors = {}, {}
    for short, (rows, cols) in names.items():
        name = f"model.layers.0.{short}.weight"
        layouts[name] = {"rows": rows, "cols": cols, "bits": 2, "row_groups": 1}
        tensors[name + ".mapping"] = draws.integers(0, 256, rows * cols // 4).astype(np.uint8)
        tensors[name + ".codebooks"] = np.sort(draws.normal(size=(1, 1, 4, 1)), axis=2).astype(np.float16)
    for name in ("model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm", "model.norm"):
        tensors[name + ".weight"] = np.ones(width, np.float32)
    tensors["model.embed_tokens.weight"] = draws.normal(size=(len(VOCABULARY), width)).astype(np.float16)
    tensors["tokenizer"] = np.frombuffer(json.dumps({
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": VOCABULARY,
        "tokenizer.ggml.scores": [-float(i) for i in range(len(VOCABULARY))],
        "tokenizer.ggml.token_type": [2, 3, 3] + [1] * (len(VOCABULARY) - 3),
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2}).encode(), np.uint8)
    config = {"model_type": "llama", "vocab_size": len(VOCABULARY), "hidden_size": width, "num_hidden_layers": 1,
              "num_attention_heads": heads, "num_key_value_heads": 1, "intermediate_size": inner,
              "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True}
    metadata = {"format": "jlcm", "version": "1", "layouts": json.dumps(layouts), "encodings": "{}",
                "config": json.dumps(config), "extra": "{}", "provenance": "{}", "tokenizer_format": "gguf"}
    put("generation", "llama", save(tensors, metadata))


def put_folder(name, files):
    parts = []
    for file, content in files.items():
        data = content if isinstance(content, (bytes, str)) else json.dumps(content, ensure_ascii=False)
        parts.append(f"@@ {file}\n".encode() + (data.encode() if isinstance(data, str) else data))
    put("tokenizer_folder", name, b"\n".join(parts))


def tokenizers():
    byte_level = {
        "version": "1.0", "added_tokens": [{"id": 4, "content": "<s>", "lstrip": True, "rstrip": False,
                                            "normalized": False, "single_word": False, "special": True}],
        "normalizer": {"type": "NFC"}, "post_processor": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|\\s+(?!\\S)"}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}]},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "unk_token": None, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {"h": 0, "e": 1, "l": 2, "he": 3, "<s>": 4, "\u0120": 5}, "merges": ["h e"]}}
    put("tokenizer_json", "byte_level", json.dumps(byte_level, ensure_ascii=False))
    del byte_level["normalizer"]
    byte_level["model"]["vocab"]["z"] = (1 << 31) - 1
    put("tokenizer_json", "large_id", json.dumps(byte_level, ensure_ascii=False))
    del byte_level["model"]["vocab"]["z"]
    put("tokenizer_json", "no_normalizer", json.dumps(byte_level, ensure_ascii=False))
    put("tokenizer_json", "metaspace", json.dumps({
        "added_tokens": [{"id": 0, "content": "<unk>", "special": True}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
                  "vocab": {token: i for i, token in enumerate(VOCABULARY)}, "merges": [["l", "l"], ["ll", "o"]]}}))
    put("tokenizer_gguf", "sentencepiece", json.dumps({
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": VOCABULARY,
        "tokenizer.ggml.scores": [-float(i) for i in range(len(VOCABULARY))],
        "tokenizer.ggml.token_type": [2, 3, 3] + [1] * 9,
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.add_space_prefix": True}))
    put("tokenizer_gguf", "byte_level", json.dumps({
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": ["h", "e", "he", "<s>"],
        "tokenizer.ggml.merges": ["h e"], "tokenizer.ggml.token_type": [1, 1, 1, 3]}))
    put_folder("bytes", {
        "tokenizer.json": byte_level, "config.json": {"model_type": "gpt2"},
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<e>", "added_tokens_decoder": {
            "6": {"content": "<x>", "lstrip": True, "rstrip": False, "normalized": True, "single_word": True, "special": False}}}})
    put_folder("older_files", {
        "tokenizer.json": byte_level, "added_tokens.json": {"<x>": 6, "<y>": 7}, "special_tokens_map.json": {
            "bos_token": {"content": "<x>", "lstrip": True}, "additional_special_tokens": ["<z>"]}})
    put_folder("vocabulary", {
        "config.json": {"model_type": "qwen2"}, "vocab.json": byte_level["model"]["vocab"],
        "merges.txt": "#version: 0.2\nh e\n", "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer"}})
    put_folder("words", {"config.json": {"model_type": "bert"}, "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n##lo\n"})
    for kind in ("bpe", "unigram"):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["hello world", "a hollow wheel", "how well"] * 4), model_writer=model,
            vocab_size=24, model_type=kind, normalization_rule_name="identity", hard_vocab_limit=False, minloglevel=2)
        put("tokenizer_sentencepiece", kind, model.getvalue())
        put_folder(f"pieces_{kind}", {"config.json": {"model_type": "llama"}, "tokenizer.model": model.getvalue(),
                                      "tokenizer_config.json": {"legacy": False, "add_eos_token": True}})


def images():
    colours = Image.fromarray(random.integers(0, 255, (9, 10, 3), np.uint8))

    def encoded(image, **options):
        stream = io.BytesIO()
        image.save(stream, **options)
        return stream.getvalue()

    put("image", "baseline.jpg", encoded(colours, format="JPEG", quality=50))
    put("image", "progressive.jpg", encoded(colours.convert("L"), format="JPEG", quality=30, progressive=True))
    put("image", "colours.png", encoded(colours, format="PNG"))
    put("image", "palette.png", encoded(colours.quantize(4), format="PNG"))
    put("image", "transparent.png", encoded(colours.convert("RGBA"), format="PNG"))
    put("image", "bits.png", encoded(colours.convert("1"), format="PNG"))
    small = encoded(colours, format="JPEG")
    frame = small.index(b"\xff\xc0")
    put("image", "large.jpg", small[: frame + 5] + struct.pack(">HH", 16000, 16000) + small[frame + 9 :])
    header = b"IHDR" + struct.pack(">IIBBBBB", 16000, 16000, 8, 2, 0, 0, 0)
    small = encoded(colours, format="PNG")
    put("image", "large.png", small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:])
    idx = struct.pack(">4BIII", 0, 0, 8, 3, 2, 3, 4) + bytes(range(24))
    put("image_sets", "idx", b"i" + idx)
    put("image_sets", "gzip", b"z" + gzip.compress(idx, mtime=0))
    put("image_sets", "cifar10", b"c" + bytes([7]) + random.integers(0, 255, 3072, np.uint8).tobytes())


if __name__ == "__main__":
    for path in CORPUS.rglob("*"):
        if path.is_file() and not path.name.startswith("found_"):
            path.unlink()
    chat_templates()
    text_formats()
    weights()
    configurations()
    llama_gguf()
    encodings_gguf()
    onnx_models()
    artifact()
    tokenizers()
    images()
    packed_artifact()
    tiny_model()
