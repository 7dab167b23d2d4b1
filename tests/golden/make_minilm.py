#!/usr/bin/env python3
"""Makes minilm.json: what Hugging Face's tokenizers and transformers make of hard texts with all-MiniLM-L6-v2.

    pip install torch transformers==5.23.0 tokenizers sentencepiece gguf
    python tests/golden/make_minilm.py --model ~/.cache/jlcm/models/all-minilm-l6-v2

Of each text of make_tokens.py (hexadecimal bytes): the ids without special tokens, and the first values of its
embedding: the mean over the tokens [CLS] ... [SEP], of length one.
"""

import argparse
import json
import pathlib

import torch
import transformers
from make_tokens import TEXTS
from tokenizers import Tokenizer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    model = transformers.BertModel.from_pretrained(arguments.model, dtype=torch.float64).eval()
    entries = []
    for text in TEXTS.values():
        ids = tokenizer.encode(text).ids
        entry = {"text": text.encode().hex(), "ids": tokenizer.encode(text, add_special_tokens=False).ids}
        if len(ids) <= 512:
            with torch.no_grad():
                mean = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
            entry["embedding"] = [round(float(value), 6) for value in (mean / mean.norm())[:8]]
        entries.append(entry)
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (pathlib.Path(__file__).parent / "minilm.json").write_text(f"[{lines}]\n")


if __name__ == "__main__":
    main()
