#!/usr/bin/env python3
"""Makes every table and picture in results/ from the runs' records there.

  scripts/results.py            writes them
  scripts/results.py --check    compares them, and tells what differs

A table stands in a Markdown file between

  <!-- jlcm-table ARGUMENTS -->
  <!-- end of table -->

and is what `jlcm-table ARGUMENTS` prints in the file's directory. A comment

  <!-- jlcm-plot ARGUMENTS --out NAME.svg -->

stands for the picture that `jlcm-plot` makes there. Where many runs make one table their records are
packed (scripts/results.py --pack OUT.tar.xz RUNS: all but the artifacts), and an argument OUT.tar.xz stands for the
runs in it. Each run's spec.yaml is checked against the hash that its result.json records. The programs are those of
JLCM_BIN, or of build/bin.
"""

import argparse
import difflib
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
TABLE = re.compile(r"<!-- jlcm-table (.*?) -->\n.*?<!-- end of table -->", re.DOTALL)
PLOT = re.compile(r"<!-- jlcm-plot (.*?) --out (\S+\.svg) -->", re.DOTALL)
NO_IDENTITY = ("name", "checkpoint_minutes", "data_path", "plugins")
RECORDS = ("result.json", "spec.yaml", "metrics.jsonl", "predictions.json")


def identity_spec(text):
    """The resolved spec without what changes no result, as a run's identity has it."""
    parts = re.split(r"^(?=[a-z_]+:)", text, flags=re.MULTILINE)
    return "".join(part for part in parts if part.split(":")[0] not in NO_IDENTITY)


def problems_of(run):
    """What is wrong with a run's record."""
    result = json.loads((run / "result.json").read_text())
    identity = json.dumps(result["identity"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if hashlib.sha256(identity.encode()).hexdigest() != result["hash"]:
        yield "its identity does not have its hash"
    spec = identity_spec((run / "spec.yaml").read_text())
    if spec.rstrip("\n") != result["identity"]["spec"].rstrip("\n"):
        yield "spec.yaml is not the spec of its identity"
    if f"name: {result['name']}\n" not in (run / "spec.yaml").read_text():
        yield "spec.yaml has another name"


def run_directories(directory):
    return sorted(path.parent for path in directory.rglob("result.json"))


def pack(out, place):
    base = Path(place)
    found = run_directories(base)
    files = [run / name for run in found for name in RECORDS if (run / name).is_file()]
    files += sorted(base.glob("*.sweep.json"))
    with tarfile.open(out, "w:xz", preset=9) as archive:
        for path in files:
            entry = tarfile.TarInfo(str(path.relative_to(base)))  # no times, no owners: the same runs, the same bytes
            content = path.read_bytes()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    print(f"{out}: {len(found)} runs, {Path(out).stat().st_size} bytes")


def printed(program, file, arguments, unpacked):
    """What a program prints that runs where the packed records are unpacked."""
    words = []
    for word in shlex.split(arguments):
        place = (file.parent / word).resolve()
        if word.endswith(".tar.xz"):
            words.append(str(unpacked[place].relative_to(unpacked["directory"])))
        else:
            words.append(str(place) if not word.startswith("-") and place.exists() else word)
    program = Path(os.environ.get("JLCM_BIN", ROOT / "build/bin")).resolve() / program
    done = subprocess.run([program, *words], capture_output=True, text=True, cwd=unpacked["directory"])
    if done.returncode != 0:
        sys.exit(f"{file}: {program.name} {arguments}: {done.stderr}")
    return done.stdout.strip("\n").replace(f"{RESULTS}/", "")


def picture(file, arguments, unpacked):
    """The SVG that jlcm-plot makes of the arguments, on one line or several."""
    out = Path(unpacked["directory"]) / "picture.svg"
    printed("jlcm-plot", file, f"{arguments} --out {out}", unpacked)
    return out.read_text()


def main():
    parser = argparse.ArgumentParser(description="Makes the tables and pictures in results/ from the records there.")
    parser.add_argument("--check", action="store_true", help="compare and tell what differs")
    parser.add_argument("--pack", nargs=2, metavar=("OUT.tar.xz", "RUNS"), help="pack the records of all runs below RUNS")
    given = parser.parse_args()
    if given.pack:
        return pack(*given.pack)
    wrong = []
    tables = 0
    pictures = 0
    with tempfile.TemporaryDirectory() as temporary:
        unpacked = {"directory": temporary}
        for archive in sorted(RESULTS.rglob("*.tar.xz")):
            unpacked[archive] = Path(temporary) / str(archive.relative_to(RESULTS)).removesuffix(".tar.xz")
            with tarfile.open(archive) as content:
                content.extractall(unpacked[archive])
        runs = [run for place in (RESULTS, Path(temporary)) for run in run_directories(place)]
        wrong += [f"{run}: {problem}" for run in runs for problem in problems_of(run)]
        for file in sorted(RESULTS.rglob("*.md")):
            old = file.read_text()

            def table(match, file=file):
                text = printed("jlcm-table", file, match[1], unpacked)
                return f"<!-- jlcm-table {match[1]} -->\n{text}\n<!-- end of table -->"

            for arguments, name in PLOT.findall(old):
                pictures += 1
                svg = picture(file, arguments, unpacked)
                place = file.parent / name
                if place.is_file() and place.read_text() == svg:
                    continue
                if given.check:
                    wrong.append(f"{place} is not what jlcm-plot makes")
                else:
                    place.write_text(svg)
                    print(f"{place.relative_to(ROOT)} written")
            new, count = TABLE.subn(table, old)
            tables += count
            if new == old:
                continue
            if given.check:
                wrong.append("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(file), "made")))
            else:
                file.write_text(new)
                print(f"{file.relative_to(ROOT)} written")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{tables} tables, {pictures} pictures, {len(runs)} runs: {'as they are made, ' if given.check else ''}each spec has its run's hash")


if __name__ == "__main__":
    main()
