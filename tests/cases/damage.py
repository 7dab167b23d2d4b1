"""Every file of a run's directory, unfinished and finished, is damaged on purpose: it is noticed, and the run ends in the
same bytes."""

import json
import random
import shutil
import signal
import sys
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import call, need_assets, result, run_directory, stopped
from small_run import ARGUMENTS, LINES, check_finished, fresh, undisturbed

need_assets()
undisturbed()
good = result("whole")
rng = random.Random(1)


def flipped(content):
    data = bytearray(content)
    for at in rng.sample(range(len(data)), min(3, len(data))):
        data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "flipped": flipped,
    "longer": lambda content: content + b"more",
}


def damage_each(snapshot):
    """Each file of the run in `snapshot` with flipped bits and in one other way; a resumed run must end as it would
    have."""
    cases = 0
    others = cycle(["cut", "empty", "longer"])
    for path in sorted(run_directory(snapshot).rglob("*")):
        if not path.is_file() or path.name in ("lock", "log.txt"):
            continue
        content = path.read_bytes()
        for how in ("flipped", next(others)):
            shutil.rmtree("damaged", ignore_errors=True)
            shutil.copytree(snapshot, "damaged")
            victim = Path("damaged") / path.relative_to(snapshot)
            victim.write_bytes(DAMAGES[how](content))
            what = f"{snapshot}: {path.name} {how}"
            printed, said = call("jlcm-run", *ARGUMENTS, "--out", "damaged")
            check_finished("damaged", what)
            assert result("damaged")["evaluations"] == good["evaluations"], what
            if snapshot == "whole" or path.parent.name == "checkpoints":
                assert "damaged" in said, f"{what} went unnoticed: {said}"
            cases += 1
    return cases


# While blocks are learned, and while the whole model is.
arguments = fresh("blocks")
stopped("blocks", "jlcm-run", *arguments, lines=30, with_signal=signal.SIGKILL)
arguments = fresh("distillation")
stopped("distillation", "jlcm-run", *arguments, lines=LINES - 3, with_signal=signal.SIGKILL)
cases = damage_each("blocks") + damage_each("distillation") + damage_each("whole")

# A table does not read figures that somebody changed.
shutil.rmtree("edited", ignore_errors=True)
shutil.copytree("whole", "edited")
path = run_directory("edited") / "result.json"
path.write_text(path.read_text().replace(json.dumps(good["evaluations"][0]["compressed"]), "1.5"))
_, said = call("jlcm-table", "edited", code=2)
assert "result.json" in said and "SHA-256" in said, said
print(f"{cases} damages: the same bytes after each")
