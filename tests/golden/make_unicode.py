#!/usr/bin/env python3
"""Makes unicode.json: what the normalisers of Hugging Face `tokenizers` make of every code point by itself.

    pip install tokenizers==0.21.4
    python3 tests/golden/make_unicode.py

For each step and each of the 17 planes: the first 16 digits of the SHA-256 of the lines "HEXADECIMAL UTF-8\\n", a
line for each code point but U+0000 and the surrogates.
"""

import hashlib
import json
import pathlib

from tokenizers import normalizers

HERE = pathlib.Path(__file__).parent


def bert(**settings):
    switched_off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**(switched_off | settings))


STEPS = {
    "lower case": normalizers.Lowercase(),
    "strip accents": normalizers.StripAccents(),
    "strip accents of BERT": bert(strip_accents=True),  # with the decomposition before it
    "clean text": bert(clean_text=True),
    "ideographs": bert(handle_chinese_chars=True),
    "NFC": normalizers.NFC(),
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
    "NFKD": normalizers.NFKD(),
    "strip": normalizers.Strip(),
}


def digest(step, plane):
    lines = hashlib.sha256()
    for point in range(plane << 16, (plane + 1) << 16):
        if point and not 0xD800 <= point < 0xE000:
            lines.update(step.normalize_str(chr(point)).encode().hex().encode() + b"\n")
    return lines.hexdigest()[:16]


def main():
    rows = {name: [digest(step, plane) for plane in range(17)] for name, step in STEPS.items()}
    body = ",\n".join(f"{json.dumps(name)}: {json.dumps(planes)}" for name, planes in rows.items())
    (HERE / "unicode.json").write_text(f"{{\n{body}\n}}\n")


if __name__ == "__main__":
    main()
