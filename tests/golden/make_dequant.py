#!/usr/bin/env python3
"""Writes dequant.safetensors beside this script: random blocks of every encoding that jlcm reads, and the float32
values that the reference implementation of ggml's Python package decodes them to.

Needs: pip install gguf numpy safetensors (written with gguf 0.19.0)
"""
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants
from safetensors.numpy import save_file

# Where the float16 scales of a block lie: random bytes there would be NaN or huge.
SCALES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}

rng = np.random.default_rng(2026)
tensors = {}

for kind, offsets in SCALES.items():
    values, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (4 if values == 256 else 8, size), dtype=np.uint8)
    for offset in offsets:
        scales = (rng.standard_normal(len(blocks)) * 0.02).astype(np.float16)
        scales[0] = 0
        scales[1] = np.float16(6e-8)  # a denormal
        blocks[:, offset:offset + 2] = scales.view(np.uint8).reshape(-1, 2)
    tensors[f"{kind.name}.blocks"] = blocks.reshape(-1)
    tensors[f"{kind.name}.values"] = quants.dequantize(blocks.reshape(-1), kind).astype(np.float32).reshape(-1)

# Every sign and exponent of the 16-bit floats, infinities included.
for kind, step in ((T.F16, 97), (T.BF16, 61)):
    bits = np.arange(0, 65536, step, dtype=np.uint16)
    bits = np.concatenate([bits, np.array([0x7C00, 0xFC00] if kind == T.F16 else [0x7F80, 0xFF80], dtype=np.uint16)])
    blocks = bits.view(np.uint8)
    values = quants.dequantize(blocks, kind).astype(np.float32)
    finite = ~np.isnan(values)
    tensors[f"{kind.name}.blocks"] = bits[finite].view(np.uint8)
    tensors[f"{kind.name}.values"] = values[finite]

# Encoding: normal values, a zero block, one large value, ties between two codes.
source = rng.standard_normal((6, 32)).astype(np.float32) * 0.05
source[1] = 0
source[2, 5] = 40
source[3] = (np.arange(32) - 16 + 0.5) / 127 * 2
source[3, 0] = 2
source[4] *= 1e-6
tensors["encode.values"] = source.reshape(-1)
tensors["encode.Q8_0"] = quants.quantize(source, T.Q8_0).reshape(-1)
tensors["encode.F16"] = source.reshape(-1).astype(np.float16).view(np.uint8)
tensors["encode.BF16"] = quants.quantize(source.reshape(-1), T.BF16).reshape(-1)

save_file(tensors, pathlib.Path(__file__).with_name("dequant.safetensors"))
