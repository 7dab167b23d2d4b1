#!/usr/bin/env bash
# Every ONNX network below a folder: does it load, does it compute what ONNX Runtime does, what is left of it at some bits?
#   scripts/zoo.sh FOLDER [OUT]     FOLDER: *.onnx files, at any depth; OUT: results/zoo/zoo unless given
# Networks want sizes for what their files leave open: scripts/zoo_inputs.json has them by file name, and a guess serves elsewhere.
# Environment: JLCM_PYTHON, a Python with onnx, onnxruntime and numpy; JLCM_BUILD, the build directory (build);
# ZOO_BITS, the bits to compress to ("4"; empty: none). Writes OUT.json, one record a network, and OUT.md, the table.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:?usage: scripts/zoo.sh FOLDER [OUT]}
out=${2:-$here/results/zoo/zoo}
exec "${JLCM_PYTHON:-python3}" "$here/scripts/zoo.py" "$folder" "$out" --bin "${JLCM_BUILD:-$here/build}/bin" --bits "${ZOO_BITS-4}"
