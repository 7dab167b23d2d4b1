"""Runs clang-tidy-16 on one file of a build, unless the same inputs passed before (called by scripts/lint.sh)."""

import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys


def main(file):
    build = pathlib.Path(os.environ["build"])
    source = (pathlib.Path(os.environ["root"]) / file).resolve()
    entries = json.loads((build / "compile_commands.json").read_text())
    entry = next((e for e in entries if pathlib.Path(e["file"]).resolve() == source), None)
    if entry is None:
        return 0  # not part of this build (a plugin example, a fuzzer)

    # The preprocessed text holds every header, in the order and under the macros that this file sees.
    command = [word for word in shlex.split(entry["command"]) if not word.endswith("ccache")]
    output = command.index("-o")
    command[output : output + 2] = []
    command[command.index("-c")] = "-E"
    text = subprocess.run(command, cwd=entry["directory"], check=True, capture_output=True).stdout
    key = hashlib.sha256(text + pathlib.Path(os.environ["root"], ".clang-tidy").read_bytes()).hexdigest()
    stamp = pathlib.Path(os.environ["stamps"]) / key
    if stamp.exists():
        return 0

    result = subprocess.run(
        ["clang-tidy-16", "--quiet", "-p", build, source], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        sys.stdout.write(result.stdout + result.stderr)
        return 1
    stamp.touch()
    return 0


sys.exit(main(sys.argv[1]))
