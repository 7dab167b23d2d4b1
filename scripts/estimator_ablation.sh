#!/usr/bin/env bash
# Runs every gradient estimator under every objective with several seeds, and makes one table of it all.
#   scripts/estimator_ablation.sh [--fast | --spec SPEC] [--out DIR] [--seeds "1 2 3"]
#                                 [--objectives "block layer model"] [--only REGEX]
# --fast takes a tiny model (minutes in all), --only the estimators whose name matches. What is finished is not
# repeated and a run that was stopped goes on: call it again with the same DIR. JLCM_BIN: the programs' directory.
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

spec=$root/scripts/estimator_ablation.yaml
out=$root/build/estimator_ablation
seeds="1 2 3"
objectives="block layer model"
only=.
while (($#)); do
    case $1 in
    --fast) spec=$root/scripts/estimator_ablation_fast.yaml && shift ;;
    --spec) spec=$2 && shift 2 ;;
    --out) out=$2 && shift 2 ;;
    --seeds) seeds=$2 && shift 2 ;;
    --objectives) objectives=$2 && shift 2 ;;
    --only) only=$2 && shift 2 ;;
    *) die "unknown argument $1" "The usage is in the first lines of $0." ;;
    esac
done
bin=${JLCM_BIN:-$root/build/bin}
[[ -x $bin/jlcm-run ]] || die "no jlcm-run in $bin" "Build it (scripts/quickstart.sh), or set JLCM_BIN."
find_texts

estimators=(
    "frozen={type: frozen}"
    "naive_ste={type: naive_ste}"
    "naive_ste-even={type: naive_ste, start: even, rate: 0.05}"
    "naive_ste-adam={type: naive_ste, second_moment: score}"
    "softmax={type: softmax}"
    "softmax-even={type: softmax, start: even, rate: 0.05}"
    "inverse={type: proximal, form: inverse}"
    "inverse-even={type: proximal, form: inverse, start: even, rate: 0.05}"
    "inverse-adam={type: proximal, form: inverse, second_moment: score}"
    "inverse-sgd={type: proximal, form: inverse, second_moment: none}"
    "exponential={type: proximal, form: exponential}"
    "adjacent={type: proximal, form: adjacent}"
    "nearest={type: nearest, margin: 0.07}"
    "curvature={type: curvature}"
)

# settings OBJECTIVE ESTIMATOR: the spec's changes, one a line. The layer objective starts at k-means, since LNQ
# already ends where no weight alone lowers it.
settings() {
    case $1 in
    block) printf '%s\n' "compress.learn.estimator=$2" ;;
    layer)
        printf '%s\n' "compress.learn.estimator=$2" compress.learn.objective=layer \
            compress.solver=nearest_codeword
        ;;
    model)
        printf '%s\n' compress.learn=null \
            "compress.distill={steps: 30, batch: 2, warmup: 3, rate: 5e-3, estimator: $2}"
        ;;
    *) die "unknown objective $1" "There are block, layer and model." ;;
    esac
}

for objective in $objectives; do
    for entry in "${estimators[@]}"; do
        name=${entry%%=*}
        [[ $name =~ $only ]] || continue
        changes=()
        while read -r change; do changes+=(--set "$change"); done < <(settings "$objective" "${entry#*=}")
        for seed in $seeds; do
            say "$objective, $name, seed $seed"
            "$bin/jlcm-run" "$spec" --set "seed=$seed" "${changes[@]}" --out "$out/runs/$objective/$name/$seed" \
                >/dev/null 2>"$out.log" || { cat "$out.log" >&2; die "the run failed (above)" "Call it again."; }
        done
    done
done
rm -f "$out.log"
"$python" "$root/scripts/estimator_ablation_table.py" "$out"
