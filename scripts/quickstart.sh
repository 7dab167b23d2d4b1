#!/usr/bin/env bash
# From a fresh clone on Debian 12 to a result: packages, Release build, default model, text, then a real Llama
# compressed to 2 bits. What is done is not repeated: run it again at any time.
#   scripts/quickstart.sh [JLCM_RUN_OPTION...]
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

"$root/scripts/setup.sh"
default_build -DJLCM_TESTS=OFF
"$root/scripts/fetch_model.sh"
find_texts

cd "$root"
say "running configs/llama_2bit.yaml"
run_and_name_next configs/llama_2bit.yaml "${evaluate_once[@]}" "$@"
