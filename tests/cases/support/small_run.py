"""A run of seconds that goes through every stage and saves its state after every step."""

import shutil

from programs import STORIES, call, run_directory

ARGUMENTS = [STORIES, "--set", "checkpoint_minutes=0", "--set", "evaluate.0.windows=4"]
ARGUMENTS += ["--set", "calibration.sequences=32", "--set", "compress.learn.steps=8", "--set", "compress.distill.steps=6"]
LINES = 35 + 5 * 8 + 6  # of the whole run's metrics
FILES = {"artifact.safetensors", "lock", "log.txt", "metrics.jsonl", "predictions.json", "result.json", "spec.yaml", "SHA256SUMS"}


def fresh(out, *more):
    """The arguments of a run into an empty directory."""
    shutil.rmtree(out, ignore_errors=True)
    return [*ARGUMENTS, *more, "--out", out]


def check(out, what, whole="whole", names=("artifact.safetensors", "metrics.jsonl", "spec.yaml")):
    """The run under `out` ended in the bytes of the one under `whole`."""
    for name in names:
        ours, theirs = ((run_directory(each) / name).read_bytes() for each in (out, whole))
        assert ours == theirs, f"{what}: {name} differs"


def check_finished(out, what, whole="whole"):
    """Nothing is left over either, and the figures are the same."""
    check(out, what, whole, ("artifact.safetensors", "metrics.jsonl", "spec.yaml", "predictions.json"))
    found = {path.name for path in run_directory(out).iterdir()}
    assert found == FILES, f"{what}: {found ^ FILES}"


def undisturbed():
    call("jlcm-run", *fresh("whole"), "--threads", 1)
