#!/usr/bin/env python3
"""Bits for each layer from a sweep that compresses one layer at a time, at several sizes.

  scripts/allocate_bits.py RUNS --limit BITS

RUNS is a sweep's directory whose axes are `name` (a pattern of weights) and `bits`. Divergences of layers add up, nearly:
of all choices whose mean is at most BITS bits a weight (codes alone) the one with the least sum is printed, as overrides
of a spec. It is found by a price a bit, the same for all layers, then by exchanges between two.
"""

import argparse
import json
import sys
from pathlib import Path


def measured(directory):
    """{name: {bits: KL}} and {name: weights}."""
    divergence, weights = {}, {}
    for manifest in directory.glob("*.sweep.json"):
        for run in json.loads(manifest.read_text())["runs"]:
            record = directory / Path(run["directory"]).name / "result.json"
            if not record.is_file():
                continue
            result = json.loads(record.read_text())
            name, bits = run["labels"]["name"], int(run["labels"]["bits"])
            sizes = divergence.setdefault(name, {})
            figures = result["evaluations"][0]["models"]["compressed"] if result["evaluations"] else {}
            if figures.get("kl") is None:  # not finite, diverged, or not measured
                print(f"allocate_bits.py: {record} has no finite KL: not chosen", file=sys.stderr)
                continue
            sizes[bits] = figures["kl"]
            weights[name] = result["footprint"]["compressed_weights"]
    for name, sizes in divergence.items():
        if not sizes:
            raise SystemExit(f"allocate_bits.py: no run of {name} has a finite KL")
    return divergence, weights


def allocate(divergence, weights, limit):
    """Bits by name: at most `limit` a weight in the mean."""
    room = limit * sum(weights.values())

    def bits(pick):
        return sum(pick[name] * weights[name] for name in pick)

    def loss(pick):
        return sum(divergence[name][pick[name]] for name in pick)

    best = {name: min(sizes) for name, sizes in divergence.items()}
    if bits(best) > room:
        raise SystemExit(f"allocate_bits.py: the least that was measured is {bits(best) / sum(weights.values()):.3f} bits a weight")
    for step in range(200):
        price = 10 ** (-9 + step / 20)
        pick = {name: min(sizes, key=lambda b: sizes[b] + price * b * weights[name]) for name, sizes in divergence.items()}
        if bits(pick) <= room and loss(pick) < loss(best):
            best = pick
    while True:
        changes = [{name: b} for name, sizes in divergence.items() for b in sizes]
        pairs = [{**one, **other} for one in changes for other in changes if one.keys() != other.keys()]
        fitting = [best | change for change in changes + pairs if bits(best | change) <= room]
        better = min(fitting, key=loss)
        if loss(better) >= loss(best) - 1e-9:
            return best, loss(best), bits(best) / sum(weights.values())
        best = better


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--limit", type=float, required=True)
    given = parser.parse_args()
    divergence, weights = measured(given.runs)
    if not divergence:
        raise SystemExit(f"allocate_bits.py: {given.runs} holds no sweep over name and bits with finished runs")
    pick, loss, bits = allocate(divergence, weights, given.limit)
    print(f"# {bits:.4f} bits a weight, sum of divergences {loss:.4f}")
    for size in sorted(set(pick.values())):
        names = ", ".join(f'"{name}"' for name in pick if pick[name] == size)
        print(f"- {{match: {{name: [{names}]}}, bits: {size}}}")


main()
