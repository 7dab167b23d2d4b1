#!/usr/bin/env python3
"""Bytes against perplexity over groups of rows and bits, with and without re-ordering, by the solver alone.

    scripts/frontier.py SPEC [--bits 2 3] [--groups 1 4 16 64] [--out DIR] [--bin DIR] [--set KEY=VALUE ...]

Prints a Markdown table: a line for each number of groups, kind of group and order of rows. `in place`: groups of
consecutive rows. `re-ordered`: rows of similar distribution together where the graph absorbs it, the rest in place;
`+ residual`: the residual stream too. `stored`: every matrix stores its own order (2 bytes a row). `--groups rows` is a
group a row. Runs that are finished under DIR are not repeated.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ORDERS = {
    "in place": ("consecutive", "null"),
    "re-ordered": ("distribution", "{unabsorbed: leave}"),
    "re-ordered + residual": ("distribution", "{unabsorbed: leave, residual: true}"),
    "stored": ("distribution", "null"),
}


def run(arguments, name, settings):
    out = Path(arguments.out) / name
    command = [str(Path(arguments.bin) / "jlcm-run"), arguments.spec, "--out", str(out)]
    for setting in [f"name={name}", "compress.learn=null", "compress.distill=null", *settings, *arguments.set]:
        command += ["--set", setting]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"frontier: {name}: {done.stderr}")
    newest = max(out.glob("*/result.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(newest.read_text())


def line(arguments, bits, groups, parts, order):
    grouping, reorder = ORDERS[order]
    if groups == "rows":
        settings = ["compress.grouping=per_row"]
        name = f"{bits}-rows"
    else:
        settings = [f"compress.grouping={{type: {grouping}, groups: {groups}, parts: {parts}}}", f"compress.reorder={reorder}"]
        name = f"{bits}-{groups}-{parts}-{order.replace(' + ', '-').replace(' ', '_')}"
    record = run(arguments, name, [f"compress.bits={bits}", *settings])
    evaluation, footprint = record["evaluations"][0], record["footprint"]
    print(
        f"| {bits} | {groups} | {parts} | {order} | {footprint['linear_bits_per_weight']:.4f} "
        f"| {footprint['bytes']['runs'] + footprint['bytes']['permutation']} | {footprint['file_bytes']} "
        f"| {evaluation['compressed']:.2f} | {evaluation['kl']:.3f} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec")
    parser.add_argument("--bits", nargs="+", type=int, default=[2, 3])
    parser.add_argument("--groups", nargs="+", default=["1", "4", "16", "64", "rows"])
    parser.add_argument("--parts", nargs="+", default=["scales", "codebooks"])
    parser.add_argument("--orders", nargs="+", default=list(ORDERS), choices=list(ORDERS))
    parser.add_argument("--out", default="runs/frontier")
    parser.add_argument("--bin", default=Path(__file__).resolve().parent.parent / "build/bin")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    print("| bits | groups | each holds | rows | bits a linear weight | bytes of runs and orders | file bytes | perplexity | KL |")
    print("|---|---|---|---|---|---|---|---|---|")
    for bits in arguments.bits:
        for groups in arguments.groups:
            if groups in ("1", "rows"):  # no order to choose, and one codebook either way
                line(arguments, bits, groups, "codebooks", "in place")
                continue
            for parts in arguments.parts:
                for order in arguments.orders:
                    line(arguments, bits, groups, parts, order)


main()
