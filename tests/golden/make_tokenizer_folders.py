#!/usr/bin/env python3
"""Makes tokenizer_folders.json: what transformers' AutoTokenizer makes of small folders, whose files say different things.

    pip install transformers==4.53.3 tokenizers==0.21.4 sentencepiece==0.2.0
    python3 tests/golden/make_tokenizer_folders.py

A file's content stands under "shared" if its name begins with "@"; tokenizer.model is hexadecimal.
"""

import io
import json
import pathlib
import tempfile

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, LlamaTokenizerFast
from transformers.utils import logging

HERE = pathlib.Path(__file__).parent
CORPUS = ["the cat and the hat; they will see 12 things at the end of the day, Tom and the cat"] * 4
TEXTS = ["", "the cat sat", " <|a|> the cat<|b|>\n<|a|>Tom <|b|>  end", "<s>the</s><unk> cat <s>  then [MASK] the_cat the",
         "<|a|><|a<|b|>the end<|endoftext|> The CAT  <tool> <tool>x İ é", "[CLS]the[SEP] [UNK] cat, [PAD]<pad>"]


def flags(**given):
    return {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False} | given


def listed(id, content, **given):
    return {"id": id, "content": content} | flags(**given)


def pieces(**settings):
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=file, model_type="bpe", vocab_size=300, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, hard_vocab_limit=False, minloglevel=2,
        **settings)
    return file.getvalue()


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=290, special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    return json.loads(tokenizer.to_str())


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
        vocab_size=80, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    return json.loads(tokenizer.to_str())


def from_pieces(model, **settings):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "tokenizer.model"
        path.write_bytes(model)
        return json.loads(LlamaTokenizerFast(vocab_file=str(path), **settings).backend_tokenizer.to_str())


def changed(definition, added=(), **parts):
    return definition | {"added_tokens": definition["added_tokens"] + list(added)} | parts


def folders(plain, user, bpe, wordpiece):
    llama, gpt2, generic = ({"tokenizer_class": name} for name in
                            ("LlamaTokenizer", "GPT2Tokenizer", "PreTrainedTokenizerFast"))
    bert = {"tokenizer_class": "BertTokenizer"}
    legacy = from_pieces(plain, legacy=True)
    size, bytes_size = len(legacy["model"]["vocab"]), len(bpe["model"]["vocab"])
    chat = {str(size): flags(content="<|a|>", special=True), str(size + 1): flags(content="<|b|>", special=True)}
    byte_chat = {str(bytes_size + i): token for i, token in enumerate(chat.values())}
    merges = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in bpe["model"]["merges"])
    qwen2 = {"tokenizer_class": "Qwen2Tokenizer"}
    model, vocabulary = {"tokenizer.model": "@plain"}, {"vocab.json": bpe["model"]["vocab"], "merges.txt": merges}
    words = "".join(token + "\n" for token, _ in sorted(wordpiece["model"]["vocab"].items(), key=lambda one: one[1]))
    return {
        "pieces, tokens in tokenizer.json": ("llama", model | {"tokenizer_config.json": llama, "tokenizer.json": changed(
            legacy, [listed(size, "<|a|>", special=True), listed(size + 1, "<|b|>")])}),
        "pieces, added_tokens_decoder": ("llama", model | {"tokenizer_config.json": llama | {"added_tokens_decoder": chat}}),
        "pieces, added_tokens.json": ("llama", model | {
            "tokenizer_config.json": llama, "added_tokens.json": {"<|a|>": size, "<|b|>": size + 1}}),
        "pieces, not legacy": ("llama", model | {
            "tokenizer_config.json": llama | {"legacy": False, "added_tokens_decoder": chat}}),
        "pieces, no prefix": ("llama", model | {
            "tokenizer_config.json": llama | {"add_prefix_space": False, "added_tokens_decoder": chat}}),
        "pieces instead of tokenizer.json": ("llama", model | {
            "tokenizer.json": changed(legacy), "tokenizer_config.json": llama | {"add_prefix_space": True, "legacy": False}}),
        "user-defined pieces": ("llama", {"tokenizer.model": "@user", "tokenizer_config.json": llama}),
        "special_tokens_map.json": ("llama", model | {
            "tokenizer_config.json": llama, "special_tokens_map.json": {
                "bos_token": {"content": "<|a|>", "lstrip": True, "rstrip": True}, "pad_token": "<pad>",
                "additional_special_tokens": ["<|b|>", {"content": "<tool>", "rstrip": True}]}}),
        "bytes, added_tokens_decoder": ("llama", {
            "tokenizer.json": bpe, "tokenizer_config.json": generic | {"added_tokens_decoder": byte_chat}}),
        "bytes, added_tokens.json and map": ("gpt2", {
            "tokenizer.json": bpe, "added_tokens.json": {"<|b|>": bytes_size + 1, "<|a|>": bytes_size},
            "special_tokens_map.json": {"eos_token": "<|b|>"}, "tokenizer_config.json": gpt2}),
        "bytes, decoder before added_tokens.json": ("gpt2", {
            "tokenizer.json": bpe, "added_tokens.json": {"<|b|>": bytes_size},
            "tokenizer_config.json": gpt2 | {"added_tokens_decoder": {str(bytes_size): flags(content="<|a|>")}}}),
        "bytes in a llama folder": ("llama", {"tokenizer.json": bpe}),
        "bytes, prefix space of tokenizer.json": ("gpt2", {
            "tokenizer.json": changed(bpe, pre_tokenizer=bpe["pre_tokenizer"] | {"add_prefix_space": True})}),
        "bytes, prefix space of the settings": ("gpt2", {
            "tokenizer.json": bpe, "tokenizer_config.json": gpt2 | {"add_prefix_space": True}}),
        "bytes, ids that contradict": ("llama", {"tokenizer_config.json": generic, "tokenizer.json": changed(
            bpe, [listed(7, "<|a|>"), listed(7, "<|b|>"), listed(900, "the"), listed(11, "")])}),
        "bytes, properties": ("llama", {"tokenizer_config.json": generic, "tokenizer.json": changed(
            bpe, [listed(bytes_size, "the", single_word=True), listed(bytes_size + 1, "<|a|>", lstrip=True, rstrip=True),
                  listed(bytes_size + 2, "<|a", rstrip=True), listed(bytes_size + 3, "cat", normalized=True, lstrip=True)],
            normalizer={"type": "Lowercase"})}),
        "bytes, special tokens with and without properties": ("llama", {
            "tokenizer.json": bpe, "tokenizer_config.json": generic | {
                "bos_token": {"__type": "AddedToken", "content": "<|a|>", "lstrip": True, "rstrip": False,
                              "normalized": True, "single_word": False},
                "eos_token": "<|b|>", "pad_token": None, "additional_special_tokens": ["<tool>", "<tool>"]}}),
        "vocab.json": ("gpt2", vocabulary),
        "vocab.json, settings": ("llama", vocabulary | {"tokenizer_config.json": gpt2 | {
            "add_prefix_space": True, "eos_token": "<|b|>", "added_tokens_decoder": byte_chat}}),
        "vocab.json of Qwen2": ("qwen2", vocabulary | {"added_tokens.json": {"<|a|>": bytes_size}}),
        "vocab.json of Qwen2, settings": ("qwen2", vocabulary | {"tokenizer_config.json": qwen2 | {
            "pad_token": "<|b|>", "added_tokens_decoder": byte_chat}}),
        "words": ("bert", {"tokenizer.json": wordpiece}),
        "words, settings": ("bert", {"tokenizer.json": wordpiece, "tokenizer_config.json": bert | {
            "do_lower_case": False, "strip_accents": False}}),
        "vocab.txt": ("bert", {"vocab.txt": words}),
        "vocab.txt, settings": ("bert", {"vocab.txt": words, "tokenizer_config.json": bert | {
            "do_lower_case": False, "mask_token": "<|a|>"}}),
    }


def main():
    logging.set_verbosity_error()
    shared = {"plain": pieces(), "user": pieces(user_defined_symbols=["<|a|>", "<|b|>"])}
    rows = []
    for name, (model_type, files) in folders(shared["plain"], shared["user"], byte_level(), word_piece()).items():
        with tempfile.TemporaryDirectory() as directory:
            config = {"model_type": model_type}
            path = pathlib.Path(directory)
            (path / "config.json").write_text(json.dumps(config))
            for file, content in files.items():
                if isinstance(content, str) and content.startswith("@"):
                    (path / file).write_bytes(shared[content[1:]])
                else:
                    text = content if isinstance(content, str) else json.dumps(content)
                    (path / file).write_text(text, encoding="utf-8")
            tokenizer = AutoTokenizer.from_pretrained(directory)
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
        written = {file: content if isinstance(content, str) else json.dumps(content) for file, content in files.items()}
        rows.append({"name": name, "config": config, "files": written, "ids": ids})
    body = ",\n".join(json.dumps(row) for row in rows)
    models_hex = json.dumps({name: model.hex() for name, model in shared.items()})
    (HERE / "tokenizer_folders.json").write_text(
        f'{{"texts": {json.dumps(TEXTS)},\n"shared": {models_hex},\n"folders": [\n{body}\n]}}\n')


if __name__ == "__main__":
    main()
