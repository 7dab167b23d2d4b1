"""configs/stories260k_2bit.yaml from the spec to the table: the result, the artifact, the other programs on it."""

import json
import math
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, STORIES, call, need_assets, result, run_directory

need_assets()
shutil.rmtree("out", ignore_errors=True)
printed, _ = call("jlcm-run", STORIES, "--out", "out")
directory = run_directory("out")
assert str(directory) in printed and "this run" in printed and "lnq alone" in printed, printed
record = result("out")

# The result.
schema = json.loads((SOURCE / "docs/result.schema.json").read_text())


def check_required(part, value, path="result"):
    """What the schema requires is there, at every level. (Python's jsonschema would check the rest.)"""
    part = schema["$defs"][part["$ref"].split("/")[-1]] if "$ref" in part else part
    for key in part.get("required", []):
        assert key in value, f"{path} lacks {key}"
    for key, inner in part.get("properties", {}).items():
        if key in value:
            check_required(inner, value[key], f"{path}.{key}")
    if "items" in part:
        for i, each in enumerate(value):
            check_required(part["items"], each, f"{path}.{i}")


check_required(schema, record)
footprint = record["footprint"]
assert 2.0 < footprint["linear_bits_per_weight"] < 4.0, footprint
artifact = directory / "artifact.safetensors"
assert footprint["file_bytes"] == artifact.stat().st_size
assert sum(footprint["bytes"].values()) == footprint["file_bytes"], footprint["bytes"]
(evaluation,) = record["evaluations"]
figures = evaluation["models"]
# The original's perplexity on these 40 windows was measured apart; 2 bits of so small a model cost a lot.
assert 3.0 < evaluation["original"] < 6.0, evaluation["original"]
assert evaluation["original"] < evaluation["compressed"] < figures["solver_only"]["value"] < 1000, figures
assert evaluation["kl"] > 0 and 0 < evaluation["agreement"] < 1
assert evaluation["protocol"]["windows"] == 40 and evaluation["protocol"]["tokens_scored"] == 40 * 255
assert {stage["name"] for stage in record["stages"]} >= {"load", "calibrate", "solve", "learn", "distill", "pack", "evaluate"}
lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
assert sum(line["stage"] == "solve" for line in lines) == 35
assert sum(line["stage"] == "learn" for line in lines) == 5 * 40
assert sum(line["stage"] == "distill" for line in lines) == 30
assert all(math.isfinite(line["loss"]) for line in lines if "loss" in line)

# A finished run is recognised: nothing is written.
before = artifact.stat().st_mtime_ns
printed, said = call("jlcm-run", STORIES, "--out", "out")
assert "finished already" in said and "this run" in printed
assert artifact.stat().st_mtime_ns == before

# Read back by jlcm-eval, the artifact has the same figures, to the last bit.
task = ["--dataset", "tinystories-heldout", "--context", 256, "--windows", 40]
call("jlcm-eval", artifact, "--original", "stories260k", *task, "--json", "eval.json")
again = json.loads(Path("eval.json").read_text())
for key in ("original", "compressed", "stderr", "kl", "agreement", "protocol"):
    assert again[key] == evaluation[key], (key, again[key], evaluation[key])

# The export in float32 is the same model, that in float16 nearly (embedding and norms are rounded).
for kind, tolerance in (("f32", 0), ("f16", 1e-3)):
    call("jlcm-export", artifact, "--format", "hf", "--type", kind, kind)
    call("jlcm-eval", kind, *task, "--json", f"{kind}.json")
    exported = json.loads(Path(f"{kind}.json").read_text())["compressed"]
    assert abs(exported / evaluation["compressed"] - 1) <= tolerance, (kind, exported, evaluation["compressed"])

# Any safetensors reader opens the artifact.
try:
    from safetensors import safe_open
except ImportError:
    print("without Python's safetensors: the artifact was not opened by it")
else:
    with safe_open(artifact, framework="numpy") as file:
        assert file.metadata()["format"] == "jlcm"
        names = set(file.keys())
        assert "model.layers.0.mlp.up_proj.weight.mapping" in names
        assert file.get_tensor("model.layers.0.mlp.up_proj.weight.codebooks").shape == (172, 1, 4, 1)
print(f"perplexity {evaluation['original']:.3f}, 2 bits {evaluation['compressed']:.3f}")

# Other ways through: the embedding compressed too, a weight kept, more bits for some, rows grouped, float32.
variant = ["--set", "compress.learn=null", "--set", "compress.distill=null", "--set", "compute=float32"]
variant += ["--set", "compress.embedding={bits: 8, grouping: per_tensor, codebook_init: {type: kmeans, weights: none}}"]
variant += ["--set", "compress.overrides=[{match: {role: mlp.*}, grouping: {type: distribution, groups: 4}}, "
            "{match: {role: attention.value}, bits: 4}, {match: {first_blocks: 1}, exclude: true}]"]
variant += ["--set", "compress.solver_inputs=compressed"]
shutil.rmtree("variant", ignore_errors=True)
printed, _ = call("jlcm-run", STORIES, *variant, "--dry-run")
assert "embedding" in printed and "permutation" in printed, printed
printed, _ = call("jlcm-run", STORIES, *variant, "--out", "variant")
assert "lnq alone" not in printed
record = result("variant")
assert record["footprint"]["bytes"]["permutation"] > 0 and record["footprint"]["bytes"]["runs"] > 0
assert record["compute"] == "float32"
assert math.isfinite(record["evaluations"][0]["compressed"])
