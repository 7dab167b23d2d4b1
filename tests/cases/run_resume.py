"""A run that is killed or interrupted anywhere ends in the bytes of one that was not, at any number of threads."""

import random
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import call, need_assets, stopped
from small_run import LINES, check, fresh, undisturbed

KILLS = 8

need_assets()
undisturbed()
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

# Other learners keep other states: the layer objective, scores with windows, curvature.
for number, choice in enumerate(
    (
        [
            "compress.learn.objective=layer", "compress.learn.batch=null", "compress.learn.estimator=curvature",
            "compress.distill.estimator=curvature",
        ],  # fmt: skip
        ["compress.bits=4", "compress.learn.estimator=proximal", "compress.distill.estimator=softmax"],
        [
            "compress.distill.batch=3", "compress.distill.batch_at_once=2", "compress.distill.estimator=nearest",
            "compress.distill.mapping={every: 2, most: 0.01, start: learned}",
        ],  # fmt: skip
    )
):
    more = [argument for setting in choice for argument in ("--set", setting)]
    call("jlcm-run", *fresh(f"whole-{number}", *more), "--threads", 1)
    arguments = fresh(f"killed-{number}", *more)
    for lines in (50, LINES - 3):
        stopped(f"killed-{number}", "jlcm-run", *arguments, lines=lines, with_signal=signal.SIGKILL)
    call("jlcm-run", *arguments, "--threads", 2)
    check(f"killed-{number}", f"kills with {choice}", f"whole-{number}")
print(f"same bytes after {KILLS} kills, two interrupts, with 1 and 2 threads")
