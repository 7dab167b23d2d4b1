"""What jlcm-export keeps of tokenizers: the exported files, read by other readers, give the ids of the source's own tokenizer.

GGUF is read by the `gguf` package and tokenized by llama.cpp's rules (llama-vocab.cpp: SPM and UGM, parts between added
tokens), which stand here in Python; folders are read by `tokenizers` and SentencePiece."""

import hashlib
import io
import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SKIPPED, call, need_assets, run_directory

need_assets()
try:
    import numpy as np
    import sentencepiece
    from gguf import GGUFReader
    from safetensors.numpy import save_file
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
except ImportError as missing:
    print(f"SKIPPED: {missing.name} is not here")
    sys.exit(SKIPPED)

from programs import ASSETS

SPACE = "\u2581"
STORY = (ASSETS / "data/text/tinystories-heldout.txt").read_text(encoding="utf8").replace("<|endoftext|>", "\n")[:30000]
TEXT = "<user>Tell  me 12345 things<end>\nOnce upon a time, \u6f22 caf\u00e9<user>there was\t\ta cat <think>hm</think> \ufb01n\n" * 3
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def model_folder(name, vocabulary):
    """A llama of random weights and that many tokens, without a tokenizer."""
    folder = Path(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    random = np.random.default_rng(3)
    shapes = {"model.embed_tokens": (vocabulary, 16), "model.norm": (16,), "lm_head": (vocabulary, 16)}
    for part, shape in {"input_layernorm": (16,), "self_attn.q_proj": (16, 16), "self_attn.k_proj": (8, 16),
                        "self_attn.v_proj": (8, 16), "self_attn.o_proj": (16, 16), "post_attention_layernorm": (16,),
                        "mlp.gate_proj": (24, 16), "mlp.up_proj": (24, 16), "mlp.down_proj": (16, 24)}.items():
        shapes[f"model.layers.0.{part}"] = shape
    weights = {f"{key}.weight": random.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = {"model_type": "llama", "vocab_size": vocabulary, "hidden_size": 16, "intermediate_size": 24,
              "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
              "architectures": ["LlamaForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "text.txt").write_text(TEXT, newline="")
    return folder


def exported(folder, gguf=0, *options, source=None):
    """Compresses the model in the folder (or `source`), exports to both formats, checks the exit code for GGUF; returns the artifact's and what was said of GGUF."""
    spec = folder / "spec.yaml"
    text = folder / "text.txt"
    spec.write_text(f"version: 1\nmodel: {{source: {source or folder}}}\n"
                    f"calibration: {{dataset: {text}, sequences: 2, length: 16}}\n"
                    "compress: {bits: 4, solver: nearest_codeword, codebook_init: {type: kmeans, weights: none}}\n")
    shutil.rmtree(folder / "runs", ignore_errors=True)
    call("jlcm-run", spec, "--out", folder / "runs", "--set", "compute=float32")
    artifact = run_directory(folder / "runs") / "artifact.safetensors"
    call("jlcm-export", artifact, folder / "hf", "--format", "hf", "--type", "f32")
    _, said = call("jlcm-export", artifact, folder / "model.gguf", "--format", "gguf", "--type", "f32", *options, code=gguf)
    return said


def digest(ids):
    return hashlib.sha256(np.array(ids, dtype="<i4").tobytes()).hexdigest()


def check_ids(path, folder, expected):
    """jlcm's ids of the text under the model `path` are these."""
    call("jlcm-eval", path, "--dataset", folder / "text.txt", "--context", 8, "--windows", 1, "--json", folder / "eval.json")
    protocol = json.loads((folder / "eval.json").read_text())["protocol"]
    assert protocol["tokens_sha256"] == digest(expected), f"{path}: other ids than the source's"


def check_same_files(folder):
    for path in folder.iterdir():
        if path.name in ("config.json", "model.safetensors", "text.txt", "spec.yaml", "model.gguf", "eval.json") or path.is_dir():
            continue
        assert (folder / "hf" / path.name).read_bytes() == path.read_bytes(), f"{path.name} is not what it was"


class LlamaCpp:
    """A GGUF file's tokenizer of the models "llama" and "t5" by llama.cpp's rules, added tokens in the text recognised."""

    def __init__(self, path):
        self.fields = GGUFReader(path).fields
        value = lambda key, default=None: self.fields[f"tokenizer.ggml.{key}"].contents() if f"tokenizer.ggml.{key}" in self.fields else default
        self.model = value("model")
        self.tokens = value("tokens")
        self.types = value("token_type")
        self.scores = value("scores")
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        assert len(self.ids) == len(self.tokens), "llama.cpp wants every token once"
        self.prefix = value("add_space_prefix", self.model == "llama")
        self.merge_spaces = value("remove_extra_whitespaces", False)
        self.unknown = value("unknown_token_id", 0 if self.model == "llama" else 2)

    def encode(self, text, added=(UNKNOWN, CONTROL, USER_DEFINED)):
        parts = [text]
        for token, kind in sorted(zip(self.tokens, self.types), key=lambda pair: -len(pair[0])):
            if kind in added:
                parts = [piece for part in parts for piece in self.cut(part, token)]
        ids = []
        for part in parts:
            ids += [part] if isinstance(part, int) else self.spm(part) if self.model == "llama" else self.ugm(part)
        return ids

    def cut(self, part, token):
        if isinstance(part, int):
            return [part]
        pieces = []
        for text in part.split(token):
            pieces += [self.ids[token], text]
        return [piece for piece in pieces[1:] if piece != ""]

    def spm(self, text):
        symbols = list(((" " if self.prefix else "") + text).replace(" ", SPACE))
        while True:
            best = max(((self.scores[self.ids[a + b]], -i) for i, (a, b) in enumerate(zip(symbols, symbols[1:]))
                        if a + b in self.ids), default=None)
            if best is None:
                break
            symbols[-best[1] : 2 - best[1]] = [symbols[-best[1]] + symbols[1 - best[1]]]
        ids = []
        for symbol in symbols:
            found = [self.ids[symbol]] if symbol in self.ids else [self.ids[f"<0x{byte:02X}>"] for byte in symbol.encode()]
            ids += found
        return ids

    def ugm(self, text):
        normal = ""
        in_word = prepended = False
        for c in text:
            if c == " ":
                in_word = False
                normal += "" if self.merge_spaces else SPACE
                continue
            if not in_word and (self.prefix and not prepended or self.merge_spaces):
                normal += SPACE
                prepended = True
            in_word = True
            normal += c
        lowest = min(score for score, kind in zip(self.scores, self.types) if kind == NORMAL) - 10
        best = [(0.0, 0, 0)] + [(-1e300, 0, 0)] * len(normal)
        longest = max(map(len, self.tokens))
        usable = {token: i for token, i in self.ids.items() if self.types[i] in (NORMAL, USER_DEFINED, UNUSED)}
        for start in range(len(normal)):
            for end in range(start + 1, min(len(normal), start + longest) + 1):
                token = usable.get(normal[start:end])
                if token is not None and best[start][0] + self.scores[token] > best[end][0]:
                    best[end] = (best[start][0] + self.scores[token], start, token)
            if normal[start] not in usable and best[start][0] + lowest > best[start + 1][0]:
                best[start + 1] = (best[start][0] + lowest, start, self.unknown)
        ids = []
        at = len(normal)
        while at > 0:
            _, start, token = best[at]
            if not (token == self.unknown and ids and ids[-1] == self.unknown):
                ids.append(token)
            at = start
        return ids[::-1]


def train_sentencepiece(name, **options):
    """A folder with a SentencePiece model of these options, and its processor."""
    file = io.BytesIO()
    settings = {"model_type": "bpe", "normalization_rule_name": "identity", "remove_extra_whitespaces": False,
                "byte_fallback": True, "vocab_size": 420, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter((TEXT + STORY).splitlines()), model_writer=file,
                                             num_threads=1, minloglevel=2, **settings)
    processor = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    folder = model_folder(name, processor.get_piece_size() + 3)
    (folder / "tokenizer.model").write_bytes(file.getvalue())
    return folder, processor


# SentencePiece models alone.
for name, options in {
    "bpe": {},
    "bpe_user_defined": {"user_defined_symbols": ["<user>", "<end>"]},
    "bpe_no_prefix": {"add_dummy_prefix": False, "user_defined_symbols": ["<user>", "<end>"]},
    "unigram": {"model_type": "unigram", "byte_fallback": False},
    "unigram_spaces": {"model_type": "unigram", "byte_fallback": False, "remove_extra_whitespaces": True},
    "unigram_nfkc": {"model_type": "unigram", "byte_fallback": False, "normalization_rule_name": "nmt_nfkc"},
}.items():
    folder, processor = train_sentencepiece(name, **options)
    exported(folder)
    check_same_files(folder)
    expected = processor.encode(TEXT)
    check_ids(folder / "model.gguf", folder, expected)
    theirs = LlamaCpp(folder / "model.gguf")
    kinds = [UNKNOWN if processor.is_unknown(i) else CONTROL if processor.is_control(i) else BYTE if processor.is_byte(i)
             else USER_DEFINED if processor.id_to_piece(i) in options.get("user_defined_symbols", []) else NORMAL
             for i in range(processor.get_piece_size())]
    assert theirs.types == kinds + [UNUSED] * 3, name
    assert theirs.tokens[: len(kinds)] == [processor.id_to_piece(i) for i in range(len(kinds))], name
    assert np.array_equal(np.float32(theirs.scores[: len(kinds)]),
                          np.float32([processor.get_score(i) for i in range(len(kinds))])), name
    assert theirs.model == ("t5" if "model_type" in options else "llama"), name
    if name == "unigram_nfkc":  # its characters' table is llama.cpp's to apply
        assert len(theirs.fields["tokenizer.ggml.precompiled_charsmap"].contents()) > 1000
    elif name != "bpe_user_defined":  # llama.cpp puts a space behind each of them
        assert theirs.encode(TEXT, (USER_DEFINED,)) == expected, name

# What GGUF cannot say is refused by name, and written where that is accepted.
for name, options, word in [
    ("bpe_spaces", {"remove_extra_whitespaces": True}, "remove_extra_whitespaces"),
    ("bpe_nfkc", {"normalization_rule_name": "nmt_nfkc"}, "nmt_nfkc"),
    ("bpe_suffix", {"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix"),
    ("bpe_no_bytes", {"byte_fallback": False}, "byte fallback"),
    ("unigram_bytes", {"model_type": "unigram"}, "byte_fallback"),
]:
    folder, processor = train_sentencepiece(name, **options)
    said = exported(folder, 2)
    assert word in said and "--lossy-tokenizer" in said and not (folder / "model.gguf").exists(), said
    check_same_files(folder)
said = exported(folder, 0, "--lossy-tokenizer")
assert "byte_fallback" in said, said

# A byte-level BPE with added tokens, special tokens, templates.
byte_level = Tokenizer(models.BPE())
byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
byte_level.decoder = decoders.ByteLevel()
byte_level.train_from_iterator([TEXT + STORY], trainers.BpeTrainer(
    vocab_size=400, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
byte_level.add_special_tokens([AddedToken("<user>", normalized=False), AddedToken("<end>", normalized=False)])
byte_level.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
folder = model_folder("byte_level", byte_level.get_vocab_size() + 2)
byte_level.save(str(folder / "tokenizer.json"))
(folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": {"content": "<end>"},\n'
                                              ' "model_max_length": 1000000000000000019884624838656}')
(folder / "special_tokens_map.json").write_text('{"pad_token":   "<|end|>"}')
(folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
(folder / "additional_chat_templates").mkdir()
(folder / "additional_chat_templates/tools.jinja").write_text("{{ tools }}")
exported(folder)
check_same_files(folder)
expected = byte_level.encode(TEXT, add_special_tokens=False).ids
assert Tokenizer.from_file(str(folder / "hf/tokenizer.json")).encode(TEXT, add_special_tokens=False).ids == expected
assert (folder / "hf/additional_chat_templates/tools.jinja").read_text() == "{{ tools }}"
check_ids(folder / "model.gguf", folder, expected)
fields = GGUFReader(folder / "model.gguf").fields
types = fields["tokenizer.ggml.token_type"].contents()
for token, kind in {"<user>": CONTROL, "<end>": CONTROL, "<think>": USER_DEFINED, "</think>": USER_DEFINED}.items():
    assert types[byte_level.token_to_id(token)] == kind, token
assert types[-2:] == [UNUSED] * 2
assert fields["tokenizer.ggml.eos_token_id"].contents() == byte_level.token_to_id("<end>")
assert fields["tokenizer.ggml.padding_token_id"].contents() == byte_level.token_to_id("<|end|>")
assert fields["tokenizer.chat_template"].contents().startswith("{% for")
assert fields["tokenizer.chat_template.tools"].contents() == "{{ tools }}"
assert fields["tokenizer.chat_templates"].contents() in (["tools"], "tools")

byte_level.add_special_tokens([AddedToken("[MASK]", lstrip=True, normalized=False)])
byte_level.save(str(folder / "tokenizer.json"))
(folder / "model.gguf").unlink()
said = exported(folder, 2)
assert "[MASK]" in said and "lstrip" in said, said

# Llama's tokenizer.json: a BPE of characters with byte fallback, legacy spaces, and tokens of its own.
folder, processor = train_sentencepiece("llama", vocab_size=400)
pieces = {processor.id_to_piece(i): i for i in range(processor.get_piece_size())}
scores = {piece: processor.get_score(i) for piece, i in pieces.items()}
merges = sorted(((piece[:i], piece[i:]) for piece in pieces for i in range(1, len(piece))
                 if piece[:i] in pieces and piece[i:] in pieces), key=lambda pair: -scores[pair[0] + pair[1]])
llama = Tokenizer(models.BPE(vocab=pieces, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
llama.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
llama.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
llama.add_special_tokens([AddedToken(token, normalized=False) for token in ("<unk>", "<s>", "</s>", "<user>", "<end>")])
llama.add_tokens([AddedToken("<think>", normalized=False)])
expected = llama.encode(TEXT, add_special_tokens=False).ids
(folder / "tokenizer.model").unlink()
llama.save(str(folder / "tokenizer.json"))
(folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer", "legacy": true, "eos_token": "<end>"}')
exported(folder)
check_same_files(folder)
theirs = LlamaCpp(folder / "model.gguf")
assert theirs.encode(TEXT) == expected
assert [theirs.types[llama.token_to_id(token)] for token in ("<unk>", "<s>", "<user>", "<think>", "<0x0A>", SPACE)] == \
    [UNKNOWN, CONTROL, CONTROL, USER_DEFINED, BYTE, NORMAL]
check_ids(folder / "model.gguf", folder, expected)
check_ids(folder, folder, expected)

# From GGUF to a folder.
try:
    from transformers import AutoTokenizer
except ImportError:
    AutoTokenizer = None
for name, tokenizer in {"llama": llama, "byte_level": byte_level}.items():
    folder = Path(name)
    if name == "byte_level":
        exported(folder, 0, "--lossy-tokenizer")
    again = Path(f"{name}_again")
    shutil.rmtree(again, ignore_errors=True)
    again.mkdir()
    for file in ("model.gguf", "text.txt"):
        shutil.copy(folder / file, again)
    expected = LlamaCpp(again / "model.gguf").encode(TEXT) if name == "llama" else tokenizer.encode(
        TEXT, add_special_tokens=False).ids
    exported(again, 0, source=again / "model.gguf")
    assert GGUFReader(again / "model.gguf").fields["tokenizer.ggml.token_type"].contents() == GGUFReader(
        folder / "model.gguf").fields["tokenizer.ggml.token_type"].contents()
    if name == "byte_level":
        written = Tokenizer.from_file(str(again / "hf/tokenizer.json"))
        assert written.encode(TEXT, add_special_tokens=False).ids == expected
        check_ids(again / "hf", again, expected)
    if AutoTokenizer is not None:
        theirs = AutoTokenizer.from_pretrained(again / "hf")
        assert theirs(TEXT, add_special_tokens=False)["input_ids"] == expected, name
        assert theirs.eos_token == "<end>", theirs.eos_token
print("exports keep their tokenizers")
