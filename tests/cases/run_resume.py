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


def fresh(out):
    shutil.rmtree(out, ignore_errors=True)
    return [*ARGUMENTS, "--out", out]


def content(out, name):
    return (run_directory(out) / name).read_bytes()


def check(out, what):
    for name in ("artifact.safetensors", "metrics.jsonl", "spec.yaml"):
        assert content(out, name) == content("whole", name), f"{what}: {name} differs"


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
print(f"same bytes after {KILLS} kills, two interrupts and damage, with 1 and 2 threads")
