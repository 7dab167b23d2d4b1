#!/usr/bin/env python3
"""How long a dry run says that runs take, beside how long they take.

    JLCM_BIN=build/bin bench/dry_run_time.py [SPEC...] [--set KEY=VALUE]...

Prints seconds promised and taken and their ratio, for each stage and in all; then processor seconds per thread, which other
work on the machine does not lengthen. Without specs: small ones that run anywhere.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
PROGRAM = Path(os.environ.get("JLCM_BIN", SOURCE / "build/bin")) / "jlcm-run"
DEFAULTS = [
    [SOURCE / "configs/stories260k_2bit.yaml"],
    [SOURCE / "configs/resnet_fashion_mnist_2bit.yaml"],
]
UNITS = {"h": 3600, "min": 60, "s": 1}


def seconds(text):
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+) (h|min|s)", text))


def promised(arguments):
    """By stage."""
    said = subprocess.run([PROGRAM, *arguments, "--dry-run"], check=True, capture_output=True, text=True).stdout
    lines = said[said.index("time, about\n") :].splitlines()[1:]
    return {line.split()[0]: seconds(line) for line in lines if line.startswith("  ")}


def taken(arguments):
    with tempfile.TemporaryDirectory() as out:
        command = [PROGRAM, *arguments, "--out", out, "--no-cache", "--log-level", "warning"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        (record,) = Path(out).glob("*/result.json")
        result = json.loads(record.read_text())
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        stages = {stage["name"]: stage["seconds"] for stage in result["stages"]}
        return stages, used / result["environment"]["threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="*")
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    sets = [argument for change in given.set for argument in ("--set", change)]
    print(f"{'run':<40}{'stage':<12}{'promised, s':>12}{'taken, s':>10}{'ratio':>8}")
    for specs in [[spec] for spec in given.spec] or DEFAULTS:
        arguments = [*map(str, specs), *sets]
        before, (after, used) = promised(arguments), taken(arguments)
        rows = [*((name, before.get(name, 0), after.get(name, 0)) for name in {**before, **after})]
        rows.append(("all", sum(before.values()), sum(after.values())))
        rows.append(("processor", sum(before.values()), used))
        for name, said, took in rows:
            ratio = f"{said / took:.2f}" if took > 0 else "-"
            print(f"{Path(specs[0]).stem:<40}{name:<12}{said:>12.2f}{took:>10.2f}{ratio:>8}")


if __name__ == "__main__":
    main()
