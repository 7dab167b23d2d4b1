"""The Python package jlcm over the library of this build, and the packages that a case needs beside it."""

import importlib.util
import os
import shutil
import sys

from programs import BIN, SKIPPED, SOURCE, STORIES, call, run_directory

sys.path.insert(0, str(SOURCE / "python"))
os.environ["JLCM_PREFIX"] = str(BIN.parent)


def need_packages(*names):
    """Ends the case as skipped where one of these is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        print(f"SKIPPED: this Python has no {', '.join(missing)} (JLCM_PYTHON)")
        sys.exit(SKIPPED)


def quick_artifact():
    """The small language model at 2 bits, by a run of seconds."""
    shutil.rmtree("runs", ignore_errors=True)
    few = {"calibration.sequences": 8, "compress.learn.steps": 2, "compress.distill.steps": 2, "evaluate.0.windows": 2}
    sets = [part for key, value in few.items() for part in ("--set", f"{key}={value}")]
    call("jlcm-run", STORIES, *sets, "--out", "runs")
    return run_directory("runs") / "artifact.safetensors"
