#!/usr/bin/env bash
# The fast ablation, fewer rows of it: estimators learn under every objective, the table has them all, a call that was
# stopped goes on where it was, and a finished one is not repeated.
set -euo pipefail
export JLCM_ASSETS=${JLCM_ASSETS:-$JLCM_SOURCE/../shared/assets}
export JLCM_DATA=$JLCM_ASSETS/data
if [[ ! -f $JLCM_ASSETS/lm/stories260k/config.json ]]; then
    echo "SKIPPED: no directory of assets (JLCM_ASSETS)"
    exit 77
fi
rm -rf out
ablation() { "$JLCM_SOURCE/scripts/estimator_ablation.sh" --fast --out out "$@"; }
block='^(frozen|naive_ste-even|inverse-even|adjacent|nearest|softmax|curvature)$'
timeout --signal=INT 3 "$JLCM_SOURCE/scripts/estimator_ablation.sh" --fast --out out --seeds "1 2" --objectives block \
    --only "$block" >first.txt 2>&1 || true
ablation --seeds "1 2" --objectives block --only "$block" >second.txt
ablation --seeds 1 --objectives "layer model" --only '^(frozen|inverse|nearest|curvature)$' >third.txt
cat out/table.md
/usr/bin/python3 - <<'PYTHON'
import csv
rows = {}
for line in open("out/table.md"):
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if cells[0] in ("block", "layer", "model"):
        rows[cells[0], cells[1]] = cells[2:]
assert len(rows) == 7 + 2 * 4, sorted(rows)
for (objective, _), cells in rows.items():
    assert cells[0] == ("2" if objective == "block" else "1") and (" ± " in cells[1]) == (objective == "block"), cells
for objective in ("block", "layer", "model"):
    assert rows[objective, "frozen"][3] == "0.000"
    assert float(rows[objective, "nearest"][3]) > 0 and rows[objective, "nearest"][4] == "100.0 %"
assert rows["block", "adjacent"][4] == "100.0 %"
# The paper's claim: where only the rule tells near from far, the default gradient's jumps are long, the proximal one's short.
by_one = {name: float(rows["block", name][4].split()[0]) for name in ("naive_ste-even", "inverse-even")}
assert by_one["naive_ste-even"] < 50 < by_one["inverse-even"], by_one
with open("out/steps.csv") as file:
    steps = list(csv.DictReader(file))
assert {row["objective"] for row in steps} == {"block", "layer", "model"}
assert all(float(row["loss"]) > 0 for row in steps)
PYTHON
finished() { find out/runs -name result.json -printf '%p %T@\n' | sort; }
before=$(finished)
ablation --seeds "1 2" --objectives block --only '^nearest$' >fourth.txt
[[ $before == "$(finished)" ]]
