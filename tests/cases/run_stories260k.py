"""configs/stories260k_2bit.yaml from the spec to the table: the result, the artifact, the other programs on it."""

import copy
import functools
import json
import math
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, STORIES, call, need_assets, result, run_directory
from schema import breaches

need_assets()
shutil.rmtree("out", ignore_errors=True)
printed, _ = call("jlcm-run", STORIES, "--out", "out")
directory = run_directory("out")
assert str(directory) in printed and "this run" in printed and "lnq alone" in printed, printed
record = result("out")

# The result.
schema = json.loads((SOURCE / "docs/result.schema.json").read_text())

assert not breaches(schema, record), breaches(schema, record)
# The check itself: a record that lacks something, or holds something else, is found out.
for path, wrong in (
    (("evaluations", 0, "kl"), "0.8"),
    (("evaluations", 0, "agreement"), 1.5),
    (("evaluations", 0, "models", "compressed", "value"), None),
    (("stages", 0, "seconds"), -1),
    (("footprint", "bytes", "mapping"), 2.5),
    (("artifact_sha256",), "0"),
    (("model", "sha256"), None),
    (("compute",), "float16"),
):
    damaged = copy.deepcopy(record)
    *parents, last = path
    part = functools.reduce(lambda inner, key: inner[key], parents, damaged)
    if wrong is None:
        del part[last]
    else:
        part[last] = wrong
    assert len(breaches(schema, damaged)) == 1, (path, breaches(schema, damaged))

# The footprint, to the byte: 226,560 weights in 2 bits, 3,000 rows with four codewords in float16 each.
footprint = record["footprint"]
assert footprint["compressed_weights"] == 226560
assert footprint["bytes"]["mapping"] == 226560 * 2 // 8
assert footprint["bytes"]["codebooks"] == 3000 * 4 * 2
kinds = ("scales", "runs", "permutation", "outliers", "padding")
assert all(footprint["bytes"][kind] == 0 for kind in kinds), footprint["bytes"]
assert footprint["linear_bits_per_weight"] == 8 * (56640 + 24000) / 226560
artifact = directory / "artifact.safetensors"
assert footprint["file_bytes"] == artifact.stat().st_size
assert sum(footprint["bytes"].values()) == footprint["file_bytes"], footprint["bytes"]
(evaluation,) = record["evaluations"]
figures = evaluation["models"]
# Measured with four seeds, both types of products and all instruction sets: 5.199 to 5.201, 11.33 to 11.64 after learning,
# 21.7 to 22.3 without; KL 0.839 to 0.871, agreement 0.505 to 0.520.
assert 5.19 < evaluation["original"] < 5.21, evaluation["original"]
assert 11.0 < evaluation["compressed"] < 12.0, evaluation["compressed"]
assert 21.2 < figures["solver_only"]["value"] < 22.8, figures
assert 0.81 < evaluation["kl"] < 0.90 and 0.49 < evaluation["agreement"] < 0.54, evaluation
assert figures["solver_only"]["kl"] > 1.5 * evaluation["kl"], figures
assert 0.25 < evaluation["stderr"] < 0.45, evaluation["stderr"]
# KL as a distribution: its ranges hold each token once, and together have the mean.
own = figures["compressed"]
assert own["kl_median"] < own["kl"] < own["kl_p90"] < own["kl_p99"], own
ranges = own["kl_by_confidence"]
assert sum(each["predictions"] for each in ranges) == 40 * 255, ranges
mean = sum(each["mean"] * each["predictions"] for each in ranges) / (40 * 255)
assert abs(mean - own["kl"]) < 1e-4 * mean, (mean, own["kl"])
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

# Kernels on codes round activations: another figure, a little away, and the record says so. The original is computed as always.
call("jlcm-eval", artifact, "--original", "stories260k", *task, "--products", "fast", "--json", "fast.json")
fast = json.loads(Path("fast.json").read_text())
assert fast["products"] == "fast" and "products" not in again and fast["original"] == again["original"]
assert 0 < abs(fast["compressed"] / again["compressed"] - 1) < 5e-3, (fast["compressed"], again["compressed"])
_, said = call("jlcm-eval", artifact, *task, "--products", "quick", code=2)
assert "--products" in said and "quick" in said, said

# The noise floor: what rounding products to bfloat16 does to the original, far below what compression does.
if "avx512_bf16" in record["environment"]["cpu_features"]:
    printed, _ = call("jlcm-eval", artifact, "--original", "stories260k", *task, "--set", "noise_floor=true", "--json", "floor.json")
    floor = json.loads(Path("floor.json").read_text())["models"]
    assert floor["compressed"] == again["models"]["compressed"]
    assert 0 < floor["original"]["noise_floor_kl"] < 1e-2 * own["kl"], floor["original"]
    assert floor["original"]["value"] == again["original"] and "(floor)" in printed, printed

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
# Without learning, instruction sets differ in the seventh digit.
assert abs(record["evaluations"][0]["compressed"] / 16.6005 - 1) < 1e-3, record["evaluations"]
assert record["footprint"]["linear_bits_per_weight"] == 8 * (80128 + 10112 + 3264 + 384) / 214016
