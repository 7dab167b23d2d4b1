#!/usr/bin/env python3
"""Makes tokens.json and tokens_small.json: what Hugging Face `tokenizers` and SentencePiece make of hard texts.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 gguf==0.19.0
    python3 tests/golden/make_tokens.py --gguf smollm2-135m-instruct.gguf --stories DIR_OF_STORIES260K

tokens.json holds the texts (hexadecimal bytes) and the ids that the real tokenizers give; the vocabularies stay where
they are. tokens_small.json holds a toy vocabulary, made here, with the parts of tokenizer.json that those two don't use.
"""

import argparse
import io
import json
import pathlib
import re

import gguf
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent

TEXTS = {
    "empty": "",
    "one space": " ",
    "only spaces": " " * 17,
    "plain": "The quick brown fox jumps over the lazy dog.",
    "leading space": " The quick  brown   fox",
    "trailing space": "the end ",
    "tabs": "\tif x:\n\t\treturn\t\t1\t",
    "newlines": "one\n\ntwo\n\n\nthree\n",
    "carriage returns": "one\r\ntwo\r\n\r\nthree\rfour\r\n",
    "mixed white space": " \t \n \r\n  \u00a0 \u2003\u3000 x \u0085 y \u180e z \u200b w",
    "digits": "1 12 123 1234 12345678901234567890 3.14159 1,000,000 0x1F",
    "other numbers": "٣٤٥ ४५६ Ⅷ ½ ² ①",
    "contractions": "I'm you're he'll we've they'd it's don't 'tis I'M DON'T o'clock ''s",
    "punctuation": "Hello, world!? (yes) [no] {maybe} <tag/> -- ... &amp; #hash @user $5 50% a_b a-b",
    "emoji": "😀 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️",
    "combining marks": "e\u0301 n\u0303 o\u0308 Z\u0351\u036b\u0343a\u0328lgo\u0300 \u0301",
    "composed": "é ñ ö naïve Ångström ﬁ ﬂ ſ ß İ ı",
    "chinese": "中文字符测试，没有空格。",
    "japanese": "日本語のテスト、カタカナとひらがな。 𠮷野家",
    "korean": "한국어 시험 문장입니다.",
    "arabic": "مرحبا بالعالم، كيف حالك؟",
    "hebrew": "שלום עולם",
    "devanagari": "नमस्ते दुनिया क्षत्रिय",
    "thai": "สวัสดีชาวโลก",
    "cyrillic and greek": "Привет, мир! Γειά σου Κόσμε",
    "code": "for (int i = 0; i < n; ++i) {\n    a[i] += b[i]->c;  // done\n}\n",
    "links": "https://example.org/a/b?c=d&e=%20f#g mail@example.org",
    "long word": "abcdefghijklmnopqrstuvwxyz" * 40,
    "one letter many times": "a" * 700,
    "dots": "." * 300 + "!?" * 50,
    "special tokens": "<|im_start|>user\nHi<|im_end|> <|endoftext|><s>x</s><unk> <0x0A>",
    "null and controls": "a\x00b\x01c\x1b[0m\x7f",
    "byte order mark": "\ufefftext \ufffd \ufffe",
    "private and astral": "\ue000 \U000f0000 \U0010ffff 𝒜𝓁𝓅𝒽𝒶",
    "wikitext": " \n = Robert Boulter = \n \n He had a guest @-@ starring role in 2000 . \n",
}

INVALID = {
    "stray continuation": b"a\x80b\xbf\xbfc",
    "overlong": b"\xc0\xaf \xe0\x80\xaf \xf0\x80\x80\xaf",
    "surrogate": b"x\xed\xa0\x80y\xed\xbf\xbf",
    "too large": b"\xf4\x90\x80\x80 \xf8\x88\x80\x80\x80 \xff\xfe",
    "cut off inside": b"caf\xc3 \xe4\xb8 \xf0\x9f\x98 end",
    "cut off at the end 2": b"end \xc3",
    "cut off at the end 3": b"end \xe4\xb8",
    "cut off at the end 4": b"end \xf0\x9f\x98",
}


def smollm2(path):
    """The tokenizer.json of SmolLM2, put together from the GGUF file's vocabulary and merges."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    types = fields["tokenizer.ggml.token_type"].contents()
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([token for token, kind in zip(tokens, types) if kind == 3])
    return tokenizer


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def encode_pieces(pieces, text, user_defined=()):
    """SentencePiece's ids of the parts between its control pieces and the unknown one, which stand for themselves
    (LlamaTokenizer of transformers); llama.cpp with parse_special cuts at user-defined pieces, too."""
    ids = range(pieces.get_piece_size())
    cut = [pieces.id_to_piece(i) for i in ids if pieces.is_control(i) or pieces.is_unknown(i)] + list(user_defined)
    result = []
    for part in re.split("(" + "|".join(map(re.escape, cut)) + ")", text):
        result += [pieces.piece_to_id(part)] if part in cut else pieces.encode(part)
    return result


def variant(name, tokenizer, texts):
    """A toy tokenizer's definition without its model, and its ids and decoded texts."""
    definition = json.loads(tokenizer.to_str())
    del definition["model"]
    ids = [encode(tokenizer, text) for text in texts]
    decoded = [tokenizer.decode(one, skip_special_tokens=False) for one in ids]
    return {"name": name, "definition": definition, "ids": ids, "decoded": decoded}


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def small(texts):
    """A toy byte-level vocabulary and a toy one of characters, each in several settings."""
    corpus = ["the cat and the hat; they'll see 1234 things, won't they? the end of the day 中文 café"] * 4
    families = []

    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False)
    byte_level.train_from_iterator(corpus, trainer)
    variants = [variant("byte level", byte_level, texts)]
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    variants.append(variant("prefix space", byte_level, texts))
    byte_level.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    variants.append(variant("llama 3 pattern", byte_level, texts))
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        for invert in [False, True]:
            byte_level.pre_tokenizer = pre_tokenizers.Sequence([
                pre_tokenizers.Split("t", behavior, invert), pre_tokenizers.Digits(individual_digits=False),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
            variants.append(variant(f"split {behavior}{' inverted' if invert else ''}", byte_level, texts))
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.add_tokens([AddedToken("<left>", lstrip=True), AddedToken("<both>", lstrip=True, rstrip=True),
                           AddedToken("<right>", rstrip=True), AddedToken("<le", normalized=False)])
    variants.append(variant("added tokens", byte_level, texts))
    families.append({"model": json.loads(byte_level.to_str())["model"], "variants": variants})
    whole_words = dict(families[0]["model"], ignore_merges=True)
    del whole_words["type"]
    whole_words["vocab"] = dict(whole_words["vocab"], thingstoo=len(whole_words["vocab"]))
    whole = Tokenizer(models.BPE(whole_words["vocab"], [tuple(m) for m in whole_words["merges"]], ignore_merges=True))
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole.decoder = decoders.ByteLevel()
    families.append({"model": json.loads(whole.to_str())["model"],
                     "variants": [variant("whole words", whole, texts)]})

    for unknown in [{"byte_fallback": True}, {"fuse_unk": True}, {"fuse_unk": False}]:
        plain = Tokenizer(models.BPE(unk_token="<unk>"))
        plain.pre_tokenizer = pre_tokenizers.Metaspace()
        special = ["<unk>"] + ([f"<0x{byte:02X}>" for byte in range(256)] if "byte_fallback" in unknown else [])
        plain.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=len(special) + 60, special_tokens=special,
                                                              show_progress=False))
        model = json.loads(plain.to_str())["model"]
        plain = Tokenizer(models.BPE(model["vocab"], [tuple(m) for m in model["merges"]], unk_token="<unk>", **unknown))
        plain.add_special_tokens(["<unk>"])
        variants = []
        for scheme in ["always", "first", "never"]:
            for split in [False, True]:
                plain.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
                plain.decoder = decoders.Sequence([decoders.ByteFallback(),
                                                   decoders.Metaspace(prepend_scheme=scheme, split=split)])
                variants.append(variant(f"metaspace {scheme}{' split' if split else ''} {unknown}", plain, texts))
        plain.pre_tokenizer = None
        plain.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        plain.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
        plain.add_tokens([AddedToken("cat", normalized=True)])
        variants.append(variant(f"llama {unknown}", plain, texts))
        families.append({"model": json.loads(plain.to_str())["model"], "variants": variants})
    return families



def small_pieces(texts):
    """A toy SentencePiece model as GGUF metadata would hold it, and its ids and decoded texts."""
    corpus = ["the cat and the hat; they will see 1234 things, the end of the day 中文 café"] * 4
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=file, model_type="bpe", vocab_size=340, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, user_defined_symbols=["<user>"],
        hard_vocab_limit=False, minloglevel=2)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    ids = range(pieces.get_piece_size())

    def kind(i):
        if pieces.is_unknown(i):
            return 2
        if pieces.is_control(i):
            return 3
        if pieces.id_to_piece(i) == "<user>":
            return 4
        return 6 if pieces.is_byte(i) else 1

    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [pieces.id_to_piece(i) for i in ids],
        "tokenizer.ggml.scores": [pieces.get_score(i) for i in ids],
        "tokenizer.ggml.token_type": [kind(i) for i in ids],
        "tokenizer.ggml.bos_token_id": pieces.bos_id(),
        "tokenizer.ggml.eos_token_id": pieces.eos_id(),
        "tokenizer.ggml.unknown_token_id": pieces.unk_id(),
    }
    encoded = [encode_pieces(pieces, text, ["<user>"]) for text in texts]
    return {"metadata": metadata, "ids": encoded, "decoded": [pieces.decode(one) for one in encoded]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", required=True, help="the default model")
    parser.add_argument("--stories", required=True, type=pathlib.Path, help="the directory of stories260k")
    arguments = parser.parse_args()

    cases = {name: text.encode("utf-8") for name, text in TEXTS.items()} | INVALID
    byte_pair = smollm2(arguments.gguf)
    stories = Tokenizer.from_file(str(arguments.stories / "tokenizer.json"))
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(arguments.stories / "tokenizer.model"))
    rows = []
    for name, data in cases.items():
        text = data.decode("utf-8", errors="replace")
        rows.append({"name": name, "bytes": data.hex(), "smollm2": encode(byte_pair, text),
                     "stories260k_json": encode(stories, text), "stories260k_model": encode_pieces(pieces, text)})
    lines = ",\n".join(json.dumps(row) for row in rows)
    (HERE / "tokens.json").write_text(f"[\n{lines}\n]\n")

    texts = ["", "the cat", " the  cat sat ", "they'll  WON'T\r\n\r\n  1234567 things", "中文 é🙂🙂 the day\t\n x",
             "a <left>b <both> c<right>  d<left <both>  <left> e", "  \n \n", "things thingstoo cat<unk> cat ▁ the",
             "<unk> the<unk>the", "tttt 1t2 tt", "<0x41> t", "the <user>cat<user> <s> end</s>"]
    families = small(texts)
    body = ",\n".join(
        '{"model": ' + json.dumps(family["model"]) + ',\n "variants": [\n  '
        + ",\n  ".join(json.dumps(one) for one in family["variants"]) + "]}" for family in families)
    (HERE / "tokens_small.json").write_text('{"texts": ' + json.dumps(texts) + ',\n"families": [\n' + body
                                            + '],\n"pieces": ' + json.dumps(small_pieces(texts)) + "}\n")


if __name__ == "__main__":
    main()
