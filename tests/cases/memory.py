"""What a run keeps in memory: the plan holds and is no more than it must be, limits are kept, and blocks that rest on disk
give the same bytes."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SKIPPED, SOURCE, STORIES, call, need_assets, result, run_directory, stopped

need_assets()
try:
    import numpy
except ImportError:
    print("SKIPPED: numpy is not here")
    sys.exit(SKIPPED)

SHAPE = ["--blocks", 6, "--hidden", 512, "--ffn", 1376, "--heads", 8, "--kv-heads", 4, "--vocabulary", 2000]
if not Path("model/config.json").is_file():
    subprocess.run([sys.executable, SOURCE / "bench/make_llama_checkpoint.py", "model", *map(str, SHAPE)], check=True)
ARGUMENTS = [SOURCE / "configs/llama_7b_2bit.yaml", "--set", "model.source=model", "--set", "calibration.length=256"]
ARGUMENTS += ["--set", "calibration.dataset=[tinystories-heldout]", "--out"]


def megabytes(text):
    number, unit = text.split()
    return float(number) * (1000 if unit == "GB" else 1)


def peak_and_plan(log):
    peak, plan = re.search(r"peak memory (\S+ \S+) of (\S+ \S+) planned", log).groups()
    return megabytes(peak), megabytes(plan)


for out in ("whole", "killed", "refused"):
    shutil.rmtree(out, ignore_errors=True)
_, log = call("jlcm-run", *ARGUMENTS, "whole", "--memory-limit", "1G")
peak, plan = peak_and_plan(log)
assert peak <= plan <= 1.3 * peak, log

# Distillation that moves the mapping: latents, moments and gathered gradients of the whole model, activations of a part
# of the batch.
shutil.rmtree("moves", ignore_errors=True)
MOVES = ["compress.learn={steps: 2, batch: 2}"]
MOVES += ["compress.distill={steps: 2, batch: 4, batch_at_once: 1, estimator: nearest, mapping: {every: 2, start: learned}}"]
_, log = call("jlcm-run", *ARGUMENTS, "moves", "--set", MOVES[0], "--set", MOVES[1], "--memory-limit", "2G")
moving_peak, moving_plan = peak_and_plan(log)
assert moving_peak <= moving_plan <= 1.3 * moving_peak, log

_, said = call("jlcm-run", *ARGUMENTS, "refused", "--memory-limit", "100M", code=2)
assert "the memory limit is 100 MB" in said and not Path("refused").exists(), said
_, said = call("jlcm-run", *ARGUMENTS, "refused", "--memory-limit", "much", code=2)
assert "'much' is no amount of memory" in said, said

for lines in (9, 30):
    stopped("killed", "jlcm-run", *ARGUMENTS, "killed", lines=lines, with_signal=signal.SIGKILL)
call("jlcm-run", *ARGUMENTS, "killed")
for name in ("artifact.safetensors", "metrics.jsonl"):
    assert (run_directory("killed") / name).read_bytes() == (run_directory("whole") / name).read_bytes(), name

# The figure is the program's own, whatever started it: a parent that holds much hands its peak to what it runs.
SMALL = [STORIES, "--set", "compress.learn=null", "--set", "compress.distill=null", "--set", "evaluate=[]"]
SMALL += ["--set", "calibration.sequences=4", "--out"]


def peaks(out):
    return [stage["peak_memory_bytes"] for stage in result(out)["stages"]]


for out in ("alone", "child"):
    shutil.rmtree(out, ignore_errors=True)
call("jlcm-run", *SMALL, "alone")
ballast = numpy.ones(1 << 27)  # 1 GiB
call("jlcm-run", *SMALL, "child")
del ballast
assert 0 < max(peaks("child")) < 1.5 * max(peaks("alone")) < 1 << 29, (peaks("child"), peaks("alone"))

# With learning, distillation and evaluation of several models.
shutil.rmtree("learned", ignore_errors=True)
_, log = call("jlcm-run", STORIES, "--out", "learned", "--set", "compress.learn.steps=4", "--set", "compress.distill.steps=3")
learned_peak, learned_plan = peak_and_plan(log)
assert learned_peak <= learned_plan, log
print(f"peak {peak:.0f} of {plan:.0f} MB planned; with learning {learned_peak:.0f} of {learned_plan:.0f} MB")
print(f"with a mapping that moves {moving_peak:.0f} of {moving_plan:.0f} MB")
