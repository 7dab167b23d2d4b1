"""A run on a re-ordered model: no bytes for the order, the same bytes after kills, the same model in every program."""

import json
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call, need_assets, result, run_directory, stopped

need_assets()
ARGUMENTS = [STORIES, "--set", "checkpoint_minutes=0", "--set", "evaluate.0.windows=4"]
ARGUMENTS += ["--set", "calibration.sequences=32", "--set", "compress.learn.steps=4", "--set", "compress.distill.steps=3"]
ARGUMENTS += ["--set", "compress.learn.norm_rate=1e-3", "--set", "compress.overrides=[{match: {blocks: [2, 2]}, exclude: true}]"]
TASK = ["--dataset", "tinystories-heldout", "--context", 256, "--windows", 4]

for residual, parts in (("false", "codebooks"), ("true", "scales")):
    out = f"{parts}-{residual}"
    arguments = [*ARGUMENTS, "--set", f"compress.grouping={{type: distribution, groups: 8, parts: {parts}}}"]
    arguments += ["--set", f"compress.reorder={{residual: {residual}}}", "--out"]
    for place in (out, "killed"):
        shutil.rmtree(place, ignore_errors=True)
    call("jlcm-run", *arguments, out)
    record = result(out)
    (evaluation,) = record["evaluations"]
    assert record["footprint"]["bytes"]["permutation"] == 0 < record["footprint"]["bytes"]["runs"], record
    assert evaluation["compressed"] < evaluation["models"]["solver_only"]["value"], evaluation
    artifact = run_directory(out) / "artifact.safetensors"

    for lines in (3, 30):
        stopped("killed", "jlcm-run", *arguments, "killed", lines=lines, with_signal=signal.SIGKILL)
    call("jlcm-run", *arguments, "killed")
    assert (run_directory("killed") / "artifact.safetensors").read_bytes() == artifact.read_bytes(), out

    call("jlcm-eval", artifact, *TASK, "--json", "eval.json")
    for form in ("hf", "gguf"):
        target = "model.gguf" if form == "gguf" else "model"
        shutil.rmtree("model", ignore_errors=True)
        call("jlcm-export", artifact, "--format", form, "--type", "f32", target)
        call("jlcm-eval", target, *TASK, "--json", f"{form}.json")
        exported = json.loads(Path(f"{form}.json").read_text())["compressed"]
        assert abs(exported / evaluation["compressed"] - 1) < 1e-6, (form, exported, evaluation["compressed"])
    print(f"{out}: perplexity {evaluation['compressed']:.3f}, {record['footprint']['bytes']['runs']} bytes of runs")

printed, _ = call("jlcm-run", *arguments, out, "--dry-run")
assert "runs" in printed and "permutation" not in printed, printed
