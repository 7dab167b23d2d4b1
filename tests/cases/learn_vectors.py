"""Vectors and residual stages of a small model, learned and distilled, have a lower error than the solver leaves them with."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call, need_assets, result

need_assets()
SHORT = ["compress.learn.steps=20", "compress.distill.steps=10", "evaluate.0.windows=10", "compress.solver=aqlm"]
MATRICES = {
    "two weights": (4, "{type: vectors, dimension: 2}"),
    "four weights": (8, "{type: vectors, dimension: 4}"),
    "two stages": (4, "{type: vectors, dimension: 4, stages: 2}"),
}
for name, (bits, grouping) in MATRICES.items():
    shutil.rmtree("out", ignore_errors=True)
    settings = [*SHORT, f"compress.bits={bits}", f"compress.grouping={grouping}"]
    call("jlcm-run", STORIES, *[word for each in settings for word in ("--set", each)], "--out", "out")
    models = result("out")["evaluations"][0]["models"]
    learned, solved = models["compressed"], models["solver_only"]
    assert learned["kl"] < 0.85 * solved["kl"], f"{name}: KL {learned['kl']} learned, {solved['kl']} solved"
    assert learned["value"] < solved["value"], f"{name}: perplexity"
print(f"{len(MATRICES)} kinds of codewords learn")
