"""A run that is killed or interrupted anywhere ends in the bytes of one that was not, at any number of threads."""

import random
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call, need_assets, run_directory, stopped

need_assets()
# Saves after every step, so that kills find every kind of state: blocks under way, blocks done, distillation.
ARGUMENTS = [STORIES, "--set", "checkpoint_minutes=0", "--set", "evaluate.0.windows=4"]
ARGUMENTS += ["--set", "calibration.sequences=32", "--set", "compress.learn.steps=8", "--set", "compress.distill.steps=6"]
LINES = 35 + 5 * 8 + 6  # of the whole run's metrics
KILLS = 8


def fresh(out, *more):
    shutil.rmtree(out, ignore_errors=True)
    return [*ARGUMENTS, *more, "--out", out]


def content(out, name):
    return (run_directory(out) / name).read_bytes()


def check(out, what, whole="whole"):
    for name in ("artifact.safetensors", "metrics.jsonl", "spec.yaml"):
        assert content(out, name) == content(whole, name), f"{what}: {name} differs"


call("jlcm-run", *fresh("whole"), "--threads", 1)
call("jlcm-run", *fresh("threads"), "--threads", 2)
check("threads", "two threads")

rng = random.Random(1)
arguments = fresh("killed")
for lines in sorted(rng.randint(0, LINES) for _ in range(KILLS)):
    stopped("killed", "jlcm-run", *arguments, lines=lines, with_signal=signal.SIGKILL)
call("jlcm-run", *arguments)
check("killed", f"{KILLS} kills")

arguments = fresh("interrupted")
for lines in (20, LINES - 3):
    code = stopped("interrupted", "jlcm-run", *arguments, lines=lines, with_signal=signal.SIGINT)
    assert code == 130, code
call("jlcm-run", *arguments)
check("interrupted", "Ctrl-C")

# A checkpoint that was damaged is noticed and not used.
arguments = fresh("damaged")
stopped("damaged", "jlcm-run", *arguments, lines=50, with_signal=signal.SIGKILL)
checkpoint = run_directory("damaged") / "checkpoints/block-001"
data = bytearray(checkpoint.read_bytes())
data[-100] ^= 1
checkpoint.write_bytes(data)
_, said = call("jlcm-run", *arguments)
assert "block-001 is damaged" in said, said
check("damaged", "a damaged checkpoint")

# Other learners keep other states: the layer objective, scores with windows, curvature.
for number, choice in enumerate(
    (
        ["compress.learn.objective=layer", "compress.learn.estimator=curvature", "compress.distill.estimator=curvature"],
        ["compress.bits=4", "compress.learn.estimator=proximal", "compress.distill.estimator=softmax"],
    )
):
    more = [argument for setting in choice for argument in ("--set", setting)]
    call("jlcm-run", *fresh(f"whole-{number}", *more), "--threads", 1)
    arguments = fresh(f"killed-{number}", *more)
    for lines in (50, LINES - 3):
        stopped(f"killed-{number}", "jlcm-run", *arguments, lines=lines, with_signal=signal.SIGKILL)
    call("jlcm-run", *arguments, "--threads", 2)
    check(f"killed-{number}", f"kills with {choice}", f"whole-{number}")
print(f"same bytes after {KILLS} kills, two interrupts and damage, with 1 and 2 threads")
