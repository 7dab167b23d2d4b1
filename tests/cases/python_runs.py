"""Runs and sweeps that Python starts, and their records as a frame."""

import contextlib
import io
import json
import math
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import STORIES, environment, need_assets

need_packages("numpy", "pandas", "yaml")
need_assets()
os.environ |= environment()
import jlcm

QUICK = {"calibration.sequences": 8, "compress.learn": None, "compress.distill": None, "evaluate.0.windows": 2}
for each in ("runs", "swept"):
    shutil.rmtree(each, ignore_errors=True)

said = io.StringIO()
with contextlib.redirect_stdout(said):
    run = jlcm.run(STORIES, set={**QUICK, "compress.bits": 3})
assert run.path.parent == Path("runs") and "memory planned" in said.getvalue() and "perplexity" in said.getvalue()
model = run.model()
assert model["model.layers.0.mlp.up_proj.weight"].bits == 3 and run.metrics()[0]["stage"] == "solve"
settings = {"dataset": "tinystories-heldout", "context": 256, "windows": 2}
measured = jlcm.evaluate(run.artifact, set=settings, original="stories260k")
assert measured["compressed"] == run.result["evaluations"][0]["compressed"] and measured["kl"] > 0, measured
with contextlib.redirect_stdout(said := io.StringIO()):
    assert jlcm.run(STORIES, set={**QUICK, "compress.bits": 3}, progress=False, threads=1).path == run.path
assert not said.getvalue()

for settings, parts in (({"compress.bits": 99}, ("bits", "99")), ({"compress.bit": 2}, ("bit", "bits"))):
    try:
        jlcm.run(STORIES, set=settings, progress=False)
    except jlcm.InputError as error:
        assert all(part in str(error) for part in parts) and "jlcm-run:" not in str(error), error
    else:
        raise AssertionError(settings)

sweep = {
    "name": "bits",
    "base": str(STORIES),
    "set": QUICK,
    "grid": {"compress.bits": [2, 4], "compress.grouping": ["per_row", "per_tensor"]},
}
runs = jlcm.sweep(sweep, out="swept", progress=False)
assert [each.labels for each in runs][0] == {"bits": "2", "grouping": "per_row"} and len(runs) == 4
assert len(jlcm.sweep(sweep, only={"bits": 2}, out="swept", progress=False)) == 4
assert not list(Path().glob("spec-*.yaml"))

frame = jlcm.results("swept", settings=["compress.bits", "compress.solver", "evaluate.0.windows"])
assert len(frame) == 4 * 2 and set(frame.model) == {"original", "compressed"}, frame
assert set(frame["compress.bits"]) == {2, 4} and set(frame["evaluate.0.windows"]) == {2}
assert set(frame.bits) == {"2", "4"} and set(frame.grouping) == {"per_row", "per_tensor"}
assert set(frame["protocol.windows"]) == {2} and frame["protocol.text_sha256"].nunique() == 1
compressed = frame[frame.model == "compressed"].set_index("run")
for each in runs:
    record, row = each.result, compressed.loc[str(each.path)]
    (evaluation,) = record["evaluations"]
    assert (row.value, row.kl, row.stderr) == tuple(
        evaluation["models"]["compressed"][key] for key in ("value", "kl", "stderr")
    )
    assert (
        row.bits_per_weight == record["footprint"]["linear_bits_per_weight"]
        and row.file_bytes == each.artifact.stat().st_size
    )
assert len(jlcm.results(["runs/**", "swept/*", "runs"])) == 5 * 2 and jlcm.results("nothing/**").empty

# A figure that is not finite.
record = json.loads((run.path / "result.json").read_text())
record["evaluations"][0]["models"]["compressed"] |= {
    "value": None,
    "kl": None,
    "not_finite": {"value": "inf", "kl": "nan"},
}
(run.path / "result.json").write_text(json.dumps(record))
row = jlcm.results("runs").query("model == 'compressed'").iloc[0]
assert math.isinf(row.value) and math.isnan(row.kl)
