#!/usr/bin/env bash
# Whether llama.cpp, on what jlcm-export writes, finds the perplexity that jlcm finds on the artifact.
# Usage: scripts/check_export.sh ARTIFACT [WINDOWS]    (context 512, second half; WikiText-2 test from JLCM_DATA)
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

artifact=${1:?usage: scripts/check_export.sh ARTIFACT [WINDOWS]}
windows=${2:-20}
bin=${JLCM_BUILD:-$root/build}/bin
oracle=$cache/llama.cpp/build/bin/llama-oracle
[[ -x $oracle ]] || "$root/scripts/build_llama_cpp.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

text=
IFS=: read -ra places <<<"${JLCM_DATA:-$root/../shared/assets/data}"
for place in "${places[@]}"; do
    for file in "$place"/wikitext-2-raw-test.txt "$place"/text/wikitext-2-raw-test.txt; do
        [[ -f $file ]] && text=$file
    done
done
[[ -n $text ]] || { echo "check_export: wikitext-2-raw-test.txt is not under JLCM_DATA" >&2; exit 2; }

"$bin/jlcm-export" "$artifact" "$work/model.gguf" --format gguf --type f32
"$oracle" tokenize "$work/model.gguf" "$text" "$work/ids"
"$oracle" perplexity "$work/model.gguf" "$work/ids" 512 "$windows" second_half >"$work/nll"
"$bin/jlcm-eval" "$artifact" --task perplexity --dataset wikitext-2-raw-test --context 512 --windows "$windows" \
    --positions second_half --compute float32 --json "$work/eval.json" >/dev/null
python3 - "$work/nll" "$work/eval.json" <<'PY'
import json, math, sys
rows = [line.split() for line in open(sys.argv[1]) if line.strip() and line[0].isdigit()]
theirs = math.exp(sum(float(row[-1]) for row in rows) / len(rows))
record = json.load(open(sys.argv[2]))
record = record["evaluations"][0] if "evaluations" in record else record[0] if isinstance(record, list) else record
ours = record["compressed"] if record.get("compressed") is not None else record["original"]
print(f"llama.cpp on the export {theirs:.4f}, jlcm on the artifact {ours:.4f}, difference {theirs - ours:+.4f}")
sys.exit(0 if abs(theirs - ours) <= 0.01 else 1)
PY
