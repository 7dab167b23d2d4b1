"""A dry run promises the artifact to the byte, and a run on weights alone draws no samples."""

import json
import re
import shutil
import struct
import time
from pathlib import Path

import sys

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call, need_assets, result, run_directory

need_assets()

QUICK = ["--set", "calibration.sequences=8", "--set", "compress.learn=null", "--set", "compress.distill=null"]
QUICK += ["--set", "evaluate=[]"]
EMBEDDING = "compress.embedding={bits: 8, grouping: per_tensor, codebook_init: {type: kmeans, weights: none}}"
VARIANTS = {
    "per row": [],
    "orders stored": ["compress.grouping={type: distribution, groups: 4}"],
    "orders absorbed": ["compress.grouping={type: distribution, groups: 4}", "compress.reorder={}"],
    "residual stream ordered": ["compress.grouping={type: distribution, groups: 4}", "compress.reorder={residual: true}"],
    "columns": ["compress.grouping={type: column_groups, size: 24}", "compress.solver=gptq", "compress.bits=3"],
    "vectors": ["compress.grouping={type: vectors, dimension: 4, stages: 2}", "compress.bits=4", "compress.solver=aqlm"],
    "embedding": [EMBEDDING, "compress.grouping=per_tensor", "compress.bits=5"],
    "some kept": ["compress.overrides=[{match: {role: mlp.down}, exclude: true}, {match: {first_blocks: 1}, bits: 7}]"],
    "weights alone": ["compress.solver=rtn", "compress.bits=4"],
}
OUTLIERS = ["compress.codebook_init={type: kmeans, weights: fisher}"]
OUTLIERS += ["compress.solver={type: squeezellm, sensitive: 0.001, outliers: 0.004}"]


def sets(changes):
    return [argument for change in changes for argument in ("--set", change)]


def promised_and_written(name, changes):
    out = Path(name.replace(" ", "_"))
    shutil.rmtree(out, ignore_errors=True)
    arguments = [STORIES, *QUICK, *sets(changes)]
    promised, _ = call("jlcm-run", *arguments, "--dry-run")
    call("jlcm-run", *arguments, "--out", out)
    promised = int(re.search(r"^  file\s+(\d+)$", promised, re.MULTILINE).group(1))
    return promised, (run_directory(out) / "artifact.safetensors").stat().st_size


for name, changes in VARIANTS.items():
    promised, written = promised_and_written(name, changes)
    assert promised == written, f"{name}: {promised} bytes promised, {written} written"
promised, written = promised_and_written("outliers", OUTLIERS)
assert written <= promised <= 1.001 * written, f"outliers: {promised} bytes promised, {written} written"

# Norms that are learned are kept in float32, which those of this model are already.
changes = ["compress.learn={steps: 2, batch: 4, norm_rate: 0.01}"]
promised, written = promised_and_written("norms learned", changes)
assert promised == written, (promised, written)

# No calibration at all: nothing is drawn, nothing goes through the blocks, and the tensors are the same.
Path("weights_alone.yaml").write_text(
    "name: weights_alone\nmodel: {source: stories260k}\n"
    "compress: {bits: 4, solver: rtn}\n"
    "evaluate: [{type: perplexity, dataset: tinystories-heldout, context: 256, windows: 4}]\n"
)
shutil.rmtree("alone", ignore_errors=True)
began = time.monotonic()
_, said = call("jlcm-run", "weights_alone.yaml", "--out", "alone")
seconds = time.monotonic() - began
assert "no samples: nothing reads them" in said, said
alone = result("alone")
stages = {stage["name"] for stage in alone["stages"]}
assert "solve" in stages and not stages & {"calibrate", "gradients", "learn", "distill"}, stages
assert alone["identity"]["calibration"] == [], alone["identity"]
assert seconds < 20, seconds


def tensors(directory):
    data = (directory / "artifact.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    del header["__metadata__"]
    return {n: data[8 + size + t["data_offsets"][0] : 8 + size + t["data_offsets"][1]] for n, t in header.items()}


assert tensors(run_directory("alone")) == tensors(run_directory("weights_alone"))

# A noise floor is one more original in memory, and one more forward of it.
def work(*settings):
    said, _ = call("jlcm-run", "weights_alone.yaml", "--dry-run", "--set", "compute=float32", *settings)
    return float(re.search(r"^([\d.]+) TFLOP", said, re.MULTILINE).group(1))


cpu = Path("/proc/cpuinfo").read_text()
if "avx512_bf16" in cpu:
    without = work("--set", "evaluate.0.windows=0")
    assert without < work("--set", "evaluate.0.windows=0", "--set", "evaluate.0.noise_floor=true") <= 1.6 * without

# Everything that wants samples is named at once.
_, said = call("jlcm-run", "weights_alone.yaml", "--set", "compress.solver=lnq", "--set", "compress.distill={}", code=2)
for option in ("compress.codebook_init (kmeans)", "compress.solver (lnq)", "compress.distill"):
    assert option in said, said
print(f"{len(VARIANTS) + 2} artifacts as long as promised; weights alone in {seconds:.1f} s")
