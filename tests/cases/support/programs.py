"""Running the programs of the build, as the cases do."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(os.environ["JLCM_BIN"])
SOURCE = Path(os.environ["JLCM_SOURCE"])
ASSETS = Path(os.environ.get("JLCM_ASSETS", SOURCE / "../shared/assets")).resolve()
SKIPPED = 77


def need_assets():
    """Ends the case as skipped where the small model and its texts are not here."""
    if not (ASSETS / "lm/stories260k/config.json").is_file():
        print("SKIPPED: no directory of assets (JLCM_ASSETS)")
        sys.exit(SKIPPED)


def environment():
    return {**os.environ, "JLCM_ASSETS": str(ASSETS), "JLCM_DATA": str(ASSETS / "data")}


def command(program, *arguments):
    return [str(BIN / program), *map(str, arguments)]


def call(program, *arguments, code=0):
    """Runs to the end; returns what it printed and what it said."""
    # What a program says of damaged files may hold their bytes.
    done = subprocess.run(
        command(program, *arguments), capture_output=True, text=True, errors="replace", env=environment()
    )
    assert done.returncode == code, f"{program} exits with {done.returncode}, not {code}:\n{done.stderr}"
    return done.stdout, done.stderr


def stopped(out, program, *arguments, lines, with_signal):
    """Runs, and sends a signal once the metrics of the one run under `out` have so many lines; returns the exit code
    (0 where the run ended before)."""
    process = subprocess.Popen(
        command(program, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )
    while process.poll() is None:
        metrics = list(Path(out).glob("*/metrics.jsonl"))
        if metrics and metrics[0].read_bytes().count(b"\n") >= lines:
            process.send_signal(with_signal)
            break
        time.sleep(0.002)
    return process.wait()


def run_directory(out):
    """The one run under `out`."""
    (directory,) = Path(out).iterdir()
    return directory


def result(out):
    return json.loads((run_directory(out) / "result.json").read_text())


STORIES = SOURCE / "configs/stories260k_2bit.yaml"
