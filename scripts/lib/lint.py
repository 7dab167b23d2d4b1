"""Runs clang-tidy-16 on sources of a build (called by scripts/lint.sh, which says how)."""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import threading
import time

root, build, stamps = (pathlib.Path(path).resolve() for path in sys.argv[1:4])
seconds = float(sys.argv[4] or "inf")
files = sys.argv[5:]
entries = {e["file"]: e for e in json.loads((build / "compile_commands.json").read_text())}
for entry in entries.values():  # clang reads no headers that g++ has precompiled
    entry["command"] = re.sub(r" -include \S+/cmake_pch\.hxx| -fpch-preprocess| -Winvalid-pch", "", entry["command"])
commands = build / "lint"
commands.mkdir(exist_ok=True)
(commands / "compile_commands.json").write_text(json.dumps(list(entries.values())))
rules = (root / ".clang-tidy").read_bytes()
began = time.monotonic()
FILE_SECONDS = 180  # the slowest files take 40 s
# A crash must not wait for a symbolizer.
ENVIRONMENT = os.environ | {"LLVM_DISABLE_SYMBOLIZATION": "1"}
printing = threading.Lock()


def fingerprint(entry):
    """Hash of all that the outcome depends on: headers, macros and comments (NOLINT) too, but no directory's name."""
    command = [word for word in shlex.split(entry["command"]) if not word.endswith("ccache")]
    output = command.index("-o")
    command[output : output + 2] = []
    command[command.index("-c") : command.index("-c") + 1] = ["-E", "-P", "-C"]
    text = subprocess.run(command, cwd=entry["directory"], check=True, capture_output=True).stdout
    for directory in (build, root):
        text = text.replace(str(directory).encode(), b"")
    return hashlib.sha256(text + rules).hexdigest()


def check(file):
    entry = entries.get(str(root / file))
    if entry is None:
        return "not in this build"  # a plugin example, a fuzzer
    if time.monotonic() - began > seconds:
        return "unchecked"
    stamp = stamps / fingerprint(entry)
    if stamp.exists():
        return "clean"
    command = ["clang-tidy-16", "--quiet", "-p", commands, root / file]
    try:
        result = subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=FILE_SECONDS
        )
    except subprocess.TimeoutExpired:
        with printing:
            print(f"clang-tidy did not finish {file} in {FILE_SECONDS} s: not checked", flush=True)
        return "endless"  # the same rule's fixed point is not always reached
    if result.returncode < 0 or "PLEASE submit a bug report" in result.stderr:
        with printing:
            print(f"clang-tidy itself crashed on {file}: not checked", flush=True)
        return "crashing clang-tidy"  # known of bugprone-unchecked-optional-access in version 16
    if result.returncode != 0:
        with printing:
            print(result.stdout + result.stderr, flush=True)
        return "bad"
    stamp.touch()
    return "clean"


with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    outcomes = collections.Counter(pool.map(check, files))
print("== clang-tidy: files", ", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items())))
sys.exit(outcomes["bad"] > 0)
