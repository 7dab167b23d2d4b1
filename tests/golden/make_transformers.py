#!/usr/bin/env python3
"""Tiny transformers of random weights with what Hugging Face's `transformers` computes of them: the folders of
tests/golden/transformers. Not needed to run the tests.

    pip install torch transformers==5.23.0 tokenizers safetensors sentencepiece gguf
    python tests/golden/make_transformers.py [FOLDER ...]

Each folder is as save_pretrained writes it, weights in float16, and has expected.safetensors: ids [2, 12], and
logits (of an encoder: the last hidden state) in float64 from the float16 weights, stored as float32; of Phi-3 also
long_ids and long_expected, a text beyond its original context. tokens.json of BERT has the texts of make_tokens.py (hexadecimal bytes) and the ids and decoded text that the folder's tokenizer gives.
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from make_tokens import INVALID, TEXTS
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).parent / "transformers"
WIDTH, LAYERS, HEADS, INNER, POSITIONS = 24, 2, 4, 40, 48


def byte_level():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|endoftext|>": 0, **{letter: i + 1 for i, letter in enumerate(letters)}}
    merges = []
    for left, right in (("t", "h"), ("th", "e"), ("Ġ", "t"), ("i", "n"), ("e", "r"), ("a", "n")):
        merges.append((left, right))
        vocabulary[left + right] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def word_piece():
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'-()"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "of", "and", "in", "##ing", "##ed", "##er"]
    words += list(letters) + ["##" + letter for letter in letters]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return tokenizer


def decoder_sizes(vocabulary):
    return {"vocab_size": vocabulary, "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "max_position_embeddings": POSITIONS}


def makers(vocabulary, words):
    t = transformers
    sizes = decoder_sizes(vocabulary)
    gated = {"intermediate_size": INNER, "num_key_value_heads": 2}
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    return {
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(
            vocab_size=vocabulary, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=INNER,
            n_positions=POSITIONS, bos_token_id=0, eos_token_id=0)),
        "opt": lambda: t.OPTForCausalLM(t.OPTConfig(
            **sizes, ffn_dim=INNER, word_embed_proj_dim=WIDTH, bos_token_id=0, eos_token_id=0)),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**sizes, **gated, tie_word_embeddings=False)),
        "llama_biased": lambda: t.LlamaForCausalLM(t.LlamaConfig(
            **sizes, **gated, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
        "bert": lambda: t.BertModel(t.BertConfig(
            **{**sizes, "vocab_size": words}, intermediate_size=INNER, hidden_act="gelu")),
        "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**sizes, **gated, head_dim=8, sliding_window=5)),
        "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(
            **sizes, **gated, head_dim=8, use_sliding_window=True, sliding_window=4, max_window_layers=1,
            rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "beta_fast": 4.0,
                             "beta_slow": 0.25, "original_max_position_embeddings": POSITIONS // 4})),
        "phi3": lambda: t.Phi3ForCausalLM(t.Phi3Config(
            **sizes, **gated, sliding_window=7, original_max_position_embeddings=16, **special,
            rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.67,
                             "original_max_position_embeddings": 16, "short_factor": [1.0, 1.5],
                             "long_factor": [1.25, 3.0]})),
        "gemma2": lambda: t.Gemma2ForCausalLM(t.Gemma2Config(
            **sizes, **gated, head_dim=8, query_pre_attn_scalar=12, sliding_window=5, attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0)),
        "gemma3": lambda: t.Gemma3ForCausalLM(t.Gemma3TextConfig(
            **sizes, **gated, head_dim=8, query_pre_attn_scalar=12, sliding_window=5,
            layer_types=["sliding_attention", "full_attention"], rope_parameters={
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                "full_attention": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}})),
        "gpt_neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(
            **sizes, intermediate_size=INNER, rope_parameters={
                "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.67})),
        "olmo2": lambda: t.Olmo2ForCausalLM(t.Olmo2Config(**sizes, **gated, **special)),
        "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(
            **sizes, **{**gated, "intermediate_size": 16}, num_local_experts=4, num_experts_per_tok=2)),
        "qwen3_moe": lambda: t.Qwen3MoeForCausalLM(t.Qwen3MoeConfig(
            **sizes, **gated, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
            norm_topk_prob=False, **special)),
    }


def randomise(model):
    """Weights large enough that every part of the computation shows."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = any(part in name.lower() for part in ("norm", "ln_")) and name.endswith("weight")
            middle = 0.0 if model.config.model_type.startswith("gemma") else 1.0
            parameter.copy_((middle + 0.2 * noise if is_norm else 0.25 * noise).half().float())


def tokens_of(tokenizer):
    texts = [text.encode() for text in TEXTS.values()] + list(INVALID.values())
    encoded = [tokenizer.encode(text.decode(errors="replace"), add_special_tokens=False).ids for text in texts]
    return [{"text": text.hex(), "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}
            for text, ids in zip(texts, encoded)]


def main():
    tokenizers = {False: byte_level(), True: word_piece()}
    vocabulary, words = (tokenizers[key].get_vocab_size() for key in (False, True))
    for name, make in makers(vocabulary, words).items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        folder = HERE / name
        model = make().eval()
        randomise(model)
        model.half().save_pretrained(folder)
        tokenizer = tokenizers[name == "bert"]
        tokenizer.save(str(folder / "tokenizer.json"))
        if name == "bert":
            lines = ",\n".join(json.dumps(entry) for entry in tokens_of(tokenizer))
            (folder / "tokens.json").write_text(f"[{lines}]\n")
        (folder / "generation_config.json").unlink(missing_ok=True)

        generator = torch.Generator().manual_seed(7)
        ids = torch.randint(0, tokenizer.get_vocab_size(), (2, 12), generator=generator)
        # Read again: .half() has rounded buffers, too.
        model = type(model).from_pretrained(folder, dtype=torch.float64, attn_implementation="eager",
                                            experts_implementation="eager")
        with torch.no_grad():
            output = model(input_ids=ids)
        value = output.last_hidden_state if name == "bert" else output.logits
        expected = {"ids": ids.int().contiguous(), "expected": value.float().contiguous()}
        if name == "phi3":
            long_ids = torch.randint(0, tokenizer.get_vocab_size(), (1, 20), generator=generator)
            with torch.no_grad():
                expected["long_expected"] = model(input_ids=long_ids).logits.float().contiguous()
            expected["long_ids"] = long_ids.int().contiguous()
        save_file(expected, str(folder / "expected.safetensors"))
        print(name, json.loads((folder / "config.json").read_text())["model_type"], tuple(value.shape),
              float(value.abs().max()))


if __name__ == "__main__":
    main()
