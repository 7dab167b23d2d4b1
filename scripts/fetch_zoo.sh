#!/usr/bin/env bash
# Puts two small ONNX networks that people use into the cache, out of PyPI packages of which no code is run: magika
# (Apache-2.0; kinds of files from their bytes) and silero-vad (MIT; voice activity by an LSTM, several inputs and outputs).
# tests/cases/zoo.py compresses them; scripts/zoo.sh looks at any folder of such files.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

mkdir -p "$cache/zoo"
fetch_model "$cache/zoo/magika.onnx" "the network of magika" magika==1.0.3 "3 MB" magika/models/standard_v3_3/model.onnx "" \
    fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c
fetch_model "$cache/zoo/silero_vad_op18_ifless.onnx" "the network of silero-vad" silero-vad==6.2.3 "6 MB" \
    silero_vad/data/silero_vad_op18_ifless.onnx "" 7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28
