#!/usr/bin/env bash
# The fast ablation: every estimator learns under every objective, the table has them all, and a second call finds
# everything done.
set -euo pipefail
export JLCM_ASSETS=${JLCM_ASSETS:-$JLCM_SOURCE/../shared/assets}
export JLCM_DATA=$JLCM_ASSETS/data
if [[ ! -f $JLCM_ASSETS/lm/stories260k/config.json ]]; then
    echo "SKIPPED: no directory of assets (JLCM_ASSETS)"
    exit 77
fi
rm -rf out
# Stopped after a few seconds: the second call goes on where it was.
timeout --signal=INT 3 "$JLCM_SOURCE/scripts/estimator_ablation.sh" --fast --out out --seeds "1 2" >first.txt 2>&1 || true
"$JLCM_SOURCE/scripts/estimator_ablation.sh" --fast --out out --seeds "1 2" >second.txt
cat out/table.md
/usr/bin/python3 - <<'PYTHON'
import csv
rows = {}
for line in open("out/table.md"):
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if cells[0] in ("block", "layer", "model"):
        rows[cells[0], cells[1]] = cells[2:]
assert len(rows) == 3 * 14, sorted(rows)
for objective in ("block", "layer", "model"):
    assert rows[objective, "frozen"][3] == "0.000"
    for key, cells in rows.items():
        assert cells[0] == "2" and " ± " in cells[1], (key, cells)
    for local in ("adjacent", "nearest"):
        assert float(rows[objective, local][3]) > 0 and rows[objective, local][4] == "100.0 %", rows[objective, local]
# The paper's claim: without help from where scores start, the default gradient's jumps are long, the proximal one's short.
far = lambda name: 100 - float(rows["block", name][4].split()[0])
assert far("naive_ste-even") > far("inverse-even"), (far("naive_ste-even"), far("inverse-even"))
with open("out/steps.csv") as file:
    steps = list(csv.DictReader(file))
assert {row["objective"] for row in steps} == {"block", "layer", "model"}
assert all(float(row["loss"]) > 0 for row in steps)
PYTHON
before=$(find out/runs -name result.json -printf '%p %T@\n' | sort)
"$JLCM_SOURCE/scripts/estimator_ablation.sh" --fast --out out --seeds "1 2" --only '^(frozen|nearest)$' >third.txt
[[ $before == "$(find out/runs -name result.json -printf '%p %T@\n' | sort)" ]]
