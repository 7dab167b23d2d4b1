"""Processes that compress different blocks of one run, then the run itself: the bytes of one undisturbed run."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call, command, environment, need_assets, result, run_directory

need_assets()
SHORT = ["calibration.sequences=20", "calibration.solver_sequences=13", "evaluate.0.windows=2"]
SPECS = {
    "solver": ["compress.learn=null", "compress.distill=null"],
    "original inputs, distillation": ["compress.learn.inputs=original", "compress.learn.steps=5", "compress.distill.steps=3"],
    "layers": ["compress.learn.objective=layer", "compress.learn.batch=null", "compress.learn.steps=5", "compress.distill=null"],
    "weighted, re-ordered": [
        "compress.output_weighting={groups: 2}", "compress.learn=null", "compress.reorder={}",
        "compress.grouping={type: distribution, groups: 4, parts: scales}",
    ],
}  # fmt: skip


def arguments(settings):
    return [argument for setting in [*SHORT, *settings] for argument in ("--set", setting)]


def files(out):
    return [(run_directory(out) / name).read_bytes() for name in ("artifact.safetensors", "metrics.jsonl", "spec.yaml")]


def start(settings, blocks, *options):
    return subprocess.Popen(
        command("jlcm-run", STORIES, *arguments(settings), "--out", "parts", "--blocks", blocks, *options),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


for name, settings in SPECS.items():
    for out in ("whole", "parts"):
        shutil.rmtree(out, ignore_errors=True)
    call("jlcm-run", STORIES, *arguments(settings), "--out", "whole")
    for process in [start(settings, "3-4"), start(settings, "1/3"), start(settings, "1")]:  # blocks 3 and 4, 0, 1
        printed, said = process.communicate()
        assert process.returncode == 0 and printed.strip() == str(run_directory("parts")), said
    blocks = {path.name for path in run_directory("parts").glob("checkpoints/block-*")}
    assert blocks == {"block-000", "block-001", "block-003", "block-004"}, blocks
    printed, _ = call("jlcm-run", STORIES, *arguments(settings), "--out", "parts")  # block 2, and what follows
    assert files("parts") == files("whole"), f"{name}: parts give other bytes"
    one, two = result("parts"), result("whole")
    assert {stage["name"] for stage in one.pop("stages")} == {stage["name"] for stage in two.pop("stages")}
    assert one == two, name
    call("jlcm-run", STORIES, *arguments(settings), "--out", "parts", "--blocks", "2")  # a finished run stays as it is
    assert files("parts") == files("whole")

# Parts that are stopped save their state and go on; the run itself waits until they are through.
settings = ["compress.learn.inputs=original", "compress.learn.steps=300", "compress.distill.steps=3"]
for out in ("whole", "parts"):
    shutil.rmtree(out, ignore_errors=True)
call("jlcm-run", STORIES, *arguments(settings), "--out", "whole")
process = start(settings, "2/2")
while not any(b"learn" in path.read_bytes() for path in Path("parts").glob("*/checkpoints/metrics-002.jsonl")):
    assert process.poll() is None, process.stderr.read()
    time.sleep(0.01)
_, said = call("jlcm-run", STORIES, *arguments(settings), "--out", "parts", code=2)
assert "another process works on this run" in said, said
process.send_signal(signal.SIGTERM)
assert process.wait() == 130, process.stderr.read()
assert list(run_directory("parts").glob("checkpoints/learning-*"))
call("jlcm-run", STORIES, *arguments(settings), "--out", "parts")
assert files("parts") == files("whole")

# What cannot be compressed apart, and blocks that are not there.
for settings, blocks, message in (
    (["compress.learn.inputs=compressed"], "1", "because of compress.learn.inputs: compressed"),
    (["compress.solver_inputs=compressed"], "1", "because of compress.solver_inputs: compressed"),
    (SPECS["solver"], "5", "the model has the blocks 0 to 4"),
    (SPECS["solver"], "3-2", "the model has the blocks 0 to 4"),
    (SPECS["solver"], "0/2", "parts are counted from 1"),
    (SPECS["solver"], "3/2", "parts are counted from 1"),
    (SPECS["solver"], "all", "write 3, 3-5, or 2/8"),
    (SPECS["solver"], "1-", "write 3, 3-5, or 2/8"),
):
    _, said = call("jlcm-run", STORIES, *arguments(settings), "--out", "refused", "--blocks", blocks, code=2)
    assert message in said, said
    assert not Path("refused").exists()
print(f"{len(SPECS)} specs in parts; stopped parts go on")
