"""A run that is killed or interrupted anywhere ends in the bytes of one that was not, at any number of threads."""

import random
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call, interrupt, kill, need_assets, run_directory

need_assets()
# Saves after every step, so that kills find every kind of state.
ARGUMENTS = [STORIES, "--set", "checkpoint_minutes=0", "--set", "evaluate.0.windows=4"]
KILLS = 12


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
for _ in range(KILLS):
    kill("jlcm-run", *arguments, after=rng.uniform(0.05, 1.5))
call("jlcm-run", *arguments)
check("killed", f"{KILLS} kills")

arguments = fresh("interrupted")
code = interrupt("jlcm-run", *arguments, after=1.0)
assert code in (0, 130), code
call("jlcm-run", *arguments)
check("interrupted", "Ctrl-C")

# A checkpoint that was damaged is noticed and not used.
arguments = fresh("damaged")
while True:
    kill("jlcm-run", *arguments, after=0.7)
    checkpoints = sorted((run_directory("damaged") / "checkpoints").glob("block-*"))
    if checkpoints or (run_directory("damaged") / "result.json").exists():
        break
if checkpoints:
    data = bytearray(checkpoints[0].read_bytes())
    data[-100] ^= 1
    checkpoints[0].write_bytes(data)
    _, said = call("jlcm-run", *arguments)
    assert "damaged" in said, said
    check("damaged", "a damaged checkpoint")
print(f"same bytes after {KILLS} kills, an interrupt and damage, with 1 and 2 threads")
