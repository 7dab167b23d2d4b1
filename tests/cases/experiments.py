"""The fast variants of experiments/: every run of them, their tables, and what the tables have to show."""

import csv
import io
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, call, need_assets

need_assets()
EXPERIMENTS = SOURCE / "experiments"


def table(name, *only):
    """Runs the sweep's fast variant; the lines of its table by their keys."""
    shutil.rmtree(name, ignore_errors=True)
    only = [argument for each in only for argument in ("--only", each)]
    printed, _ = call("jlcm-sweep", EXPERIMENTS / f"{name}_fast.yaml", "--out", name, *only)
    assert ", 0 failed" in printed, printed
    spec = EXPERIMENTS / f"{name}.table.yaml"
    shown, _ = call("jlcm-table", "--spec", spec, name)
    print(shown)
    exact, _ = call("jlcm-table", "--spec", spec, name, "--format", "csv")
    return list(csv.DictReader(io.StringIO(exact)))


names = "frozen,naive_ste-even,inverse-even,adjacent,nearest,curvature"
lines = table("estimator_ablation", "seed=1,2", f"estimator={names}", "objective=block")
rows = {line["estimator"]: line for line in lines}
assert len(rows) == 6, rows
assert float(rows["frozen"]["jumps a weight"]) == 0 < float(rows["nearest"]["jumps a weight"])
assert rows["nearest"]["by 1"] == rows["adjacent"]["by 1"] == "1"
# The paper's claim: where only the rule tells near from far, the default gradient's jumps are long, the proximal one's short.
assert float(rows["naive_ste-even"]["by 1"]) < 0.5 < float(rows["inverse-even"]["by 1"]), rows
assert float(rows["nearest"]["perplexity"]) < float(rows["frozen"]["perplexity"])
assert float(rows["nearest"]["p, perplexity"]) < 0.01, rows["nearest"]

lines = table("estimator_ablation", "seed=1", "estimator=frozen,nearest", "objective=layer,model")
assert [line["objective"] for line in lines] == ["layer", "layer", "model", "model"], lines

rows = {tuple(line[key] for key in ("bits", "rows", "each holds", "groups")): line for line in table("bits_groups_frontier")}
assert len(rows) == 2 * (1 + 1 + 4 * 2), sorted(rows)
for (bits, kind, _, groups), line in rows.items():
    assert (float(line["bytes of orders"]) > 0) == (kind == "stored"), line
assert float(rows["3", "a group a row", "-", "-"]["perplexity"]) < float(rows["2", "a group a row", "-", "-"]["perplexity"])

rows = {line["method"]: line for line in table("methods_2bit")}
figure = {method: float(line["perplexity"]) for method, line in rows.items()}
assert len(rows) == 9 and figure["jlcm"] < figure["block learning"] < figure["lnq"] < figure["k-means, weighted"], figure

lines = table("calibration_size", "seed=1")
assert [line["sequences"] for line in lines] == ["8", "32", "128"], lines
figures = [float(line["method block learning: perplexity"]) for line in lines]
assert figures[2] < figures[0], figures

# Its spec names the model from the root of the tree.
if not Path("models").exists():
    Path("models").symlink_to(SOURCE / "models")
names = "frozen,naive_ste,inverse,adjacent,nearest"
rows = {line["estimator"]: line for line in table("vision_estimator_ablation", "seed=1", f"estimator={names}")}
assert len(rows) == 5 and float(rows["frozen"]["jumps a weight"]) == 0, rows
assert float(rows["naive_ste"]["by 1"]) < 0.5, rows["naive_ste"]
for name in ("inverse", "adjacent", "nearest"):
    assert float(rows[name]["by 1"]) == 1 and float(rows[name]["top-1 %"]) > 90, rows[name]
