"""Runs with a warm stage cache end in the bytes and figures of runs without one, whatever they share."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, STORIES, call, command, environment, need_assets, result, run_directory

need_assets()
CACHE = Path("cache").resolve()
SHORT = ["calibration.sequences=20", "calibration.solver_sequences=13", "evaluate.0.windows=9", "compress.learn.steps=3"]
SHORT += ["compress.distill.steps=3"]
REORDERED = ["compress.grouping={type: distribution, groups: 4, parts: scales}", "compress.reorder={residual: true}"]
# Each with what the runs before it leave in the cache.
SPECS = {
    "block learning, distillation": [],
    "another estimator": ["compress.learn.estimator=frozen"],
    "original inputs": ["compress.learn.inputs=original"],
    "no learning": ["compress.learn=null"],
    "distillation that moves the mapping": ["compress.learn=null", "compress.distill.estimator=curvature"],
    "layers": ["compress.learn.objective=layer", "compress.learn.batch=null", "compress.distill=null"],
    "other bits": ["compress.bits=3", "compress.learn=null", "compress.distill=null"],
    "compressed inputs": ["compress.solver_inputs=compressed", "compress.learn=null", "compress.distill=null"],
    "compressed inputs, distillation": ["compress.solver_inputs=compressed", "compress.learn=null"],
    "compressed inputs, other bits below": [
        "compress.solver_inputs=compressed", "compress.learn=null",
        "compress.overrides=[{match: {first_blocks: 1}, bits: 4}]",
    ],
    "compressed inputs, original outputs": [
        "compress.solver_inputs=compressed", "compress.solver_target=original_output", "compress.learn=null",
    ],
    "compressed inputs, learning": ["compress.solver_inputs=compressed", "compress.distill=null"],
    "weighted second moments": ["compress.output_weighting={groups: 2}", "compress.learn=null"],
    "weighted, in other sets": ["compress.output_weighting={groups: 3}", "compress.learn=null"],
    "fisher": [
        "compress.codebook_init={type: kmeans, weights: fisher}", "compress.learn=null", "compress.distill=null",
        "compress.solver={type: squeezellm, sensitive: 0.01, outliers: 0.01}",
    ],
    "re-ordered": [*REORDERED, "compress.learn=null"],
    "re-ordered, other bits": [*REORDERED, "compress.bits=3", "compress.learn=null", "compress.distill=null"],
    "other samples": ["seed=5", "compress.learn=null"],
    "float32": ["compute=float32", "compress.learn=null"],
}  # fmt: skip


def run(settings, out, *options):
    shutil.rmtree(out, ignore_errors=True)
    changes = [argument for setting in [*SHORT, *settings] for argument in ("--set", setting)]
    _, said = call("jlcm-run", STORIES, *changes, "--out", out, *options)
    found = result(out)
    spent = {stage["name"]: stage for stage in found.pop("stages")}
    files = {}
    for name in ("artifact.safetensors", "metrics.jsonl", "predictions.json"):
        files[name] = (run_directory(out) / name).read_bytes()
    return files, found, spent, said


def cached(spent, stage):
    return spent[stage].get("cached", {"entries": 0})["entries"] if stage in spent else 0


shutil.rmtree(CACHE, ignore_errors=True)
shared = {}
for name, settings in SPECS.items():
    files, found, spent, _ = run(settings, "without", "--no-cache")
    assert not any("cached" in stage for stage in spent.values()), spent
    for time in ("with", "again"):
        files_with, found_with, spent_with, said = run(settings, time, "--cache", CACHE)
        assert files_with == files, f"{name}: the cache changes the bytes"
        assert found_with == found, f"{name}: the cache changes the figures"
        shared[name, time] = {stage: cached(spent_with, stage) for stage in spent_with}
    again = shared[name, "again"]
    assert again["evaluate"] == 3, (name, again)
    if name != "compressed inputs, learning":
        assert again["solve"] == 5 and "from the stage cache: " in said, (name, again)
    if "distill" in again:
        assert again["distill"] == 3, (name, again)

# What different runs share.
assert shared["another estimator", "with"] == {**shared["another estimator", "again"]}
assert shared["distillation that moves the mapping", "with"]["solve"] == 5
assert shared["layers", "with"]["solve"] == 5 and shared["layers", "with"]["calibrate"] == 5
assert shared["other bits", "with"]["solve"] == 0 and shared["other bits", "with"]["calibrate"] == 5
assert shared["compressed inputs, distillation", "with"]["solve"] == 5
assert shared["compressed inputs, other bits below", "with"]["solve"] == 0
assert shared["compressed inputs, learning", "again"]["solve"] == 0
assert shared["weighted, in other sets", "with"]["gradients"] == 0
assert shared["re-ordered", "with"]["calibrate"] == 0 and shared["re-ordered, other bits", "with"]["calibrate"] == 5
assert shared["other samples", "with"]["solve"] == 0 and shared["other samples", "with"]["evaluate"] == 3
assert shared["float32", "with"]["evaluate"] in (0, 3)  # 3 where the machine has no bfloat16 unit

# An instruction set of its own: nothing is shared with it.
first = SPECS["no learning"]
files, *_ = run(first, "without", "--no-cache")
changes = [argument for setting in [*SHORT, *first] for argument in ("--set", setting)]
shutil.rmtree("lower", ignore_errors=True)
lower = subprocess.run(
    command("jlcm-run", STORIES, *changes, "--out", "lower", "--cache", CACHE),
    env={**environment(), "JLCM_ISA": "v2"}, capture_output=True, text=True,
)  # fmt: skip
assert lower.returncode == 0, lower.stderr
assert not any("cached" in stage for stage in result("lower")["stages"]), result("lower")["stages"]

# Every entry damaged, each in another place: reported, computed again, put in order.
entries = sorted(CACHE.glob("*.safetensors"))
for i, entry in enumerate(entries):
    content = bytearray(entry.read_bytes())
    content[(i * 7919) % len(content)] ^= 4
    entry.write_bytes(content)
files_damaged, _, spent, said = run(first, "damaged", "--cache", CACHE)
assert files_damaged == files and "is damaged and is not used" in said, said
assert not any("cached" in stage for stage in spent.values()), spent
assert cached(run(first, "damaged", "--cache", CACHE)[2], "solve") == 5

# A small limit is kept; a cache that cannot be written is no obstacle.
small = Path("small_cache").resolve()
shutil.rmtree(small, ignore_errors=True)
files_small, *_ = run(first, "small", "--cache", small, "--cache-limit", "300K")
assert files_small == files and sum(entry.stat().st_size for entry in small.iterdir()) <= 300e3
_, said = call("jlcm-run", STORIES, "--out", "nowhere", "--cache", "/proc/nowhere", code=3)
assert "the stage cache cannot be made" in said, said

# Two processes that want the same, and a sweep.
several = Path("several_cache").resolve()
shutil.rmtree(several, ignore_errors=True)
outs = [f"several{i}" for i in range(3)]
for out in outs:
    shutil.rmtree(out, ignore_errors=True)
processes = [
    subprocess.Popen(
        command("jlcm-run", STORIES, *changes, "--out", out, "--cache", several),
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    for out in outs
]  # fmt: skip
for process, out in zip(processes, outs):
    assert process.wait() == 0, process.stderr.read()
    assert (run_directory(out) / "artifact.safetensors").read_bytes() == files["artifact.safetensors"]
computed = 15 - sum(cached({stage["name"]: stage for stage in result(out)["stages"]}, "solve") for out in outs)
assert 5 <= computed <= 7, f"three runs solve 5 blocks {computed} times"
assert not list(several.glob("*.lock")) and not list(several.glob("*.tmp.*"))

Path("sweep.yaml").write_text(f"""
name: shared
base: {SOURCE}/configs/stories260k_2bit.yaml
set: {{{', '.join(setting.replace('=', ': ') for setting in SHORT)}, compress.learn: null}}
grid: {{compress.distill.estimator: {{frozen: frozen, curvature: curvature, nearest: nearest}}}}
""")
for out, options in (("sweep", ["--cache", CACHE]), ("sweep_without", ["--no-cache"])):
    shutil.rmtree(out, ignore_errors=True)
    call("jlcm-sweep", "sweep.yaml", "--out", out, *options)
for run_record in json.loads(Path("sweep/shared.sweep.json").read_text())["runs"]:
    spent, plain = (
        json.loads(Path(out, run_record["directory"], "result.json").read_text())["stages"]
        for out in ("sweep", "sweep_without")
    )
    assert cached({stage["name"]: stage for stage in spent}, "solve") == 5, spent
    assert not any("cached" in stage for stage in plain)
    for name in ("artifact.safetensors", "metrics.jsonl"):
        one, other = (Path(out, run_record["directory"], name).read_bytes() for out in ("sweep", "sweep_without"))
        assert one == other, name
print(f"{len(SPECS)} specs, {len(entries)} entries")
