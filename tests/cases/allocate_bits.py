"""scripts/allocate_bits.py against all choices, over made-up sweeps."""

import itertools
import json
import random
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE

SIZES = (2, 3, 4, 6)


def write_sweep(directory, divergence, weights):
    runs = []
    for name, sizes in divergence.items():
        for bits, kl in sizes.items():
            run = directory / f"{name}-{bits}"
            run.mkdir(parents=True, exist_ok=True)
            record = {"evaluations": [{"models": {"compressed": {"kl": kl}}}], "footprint": {"compressed_weights": weights[name]}}
            (run / "result.json").write_text(json.dumps(record))
            runs.append({"directory": run.name, "labels": {"name": name, "bits": str(bits)}})
    (directory / "made_up.sweep.json").write_text(json.dumps({"runs": runs}))


def allocated(directory, limit):
    command = [sys.executable, SOURCE / "scripts/allocate_bits.py", directory, "--limit", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    pick = {}
    for names, bits in re.findall(r"name: \[(.*?)\]}, bits: (\d)", done.stdout):
        pick |= {name.strip('"'): int(bits) for name in names.split(", ")}
    return pick, done


for seed in range(8):
    draw = random.Random(seed)
    weights = {f"layer{i}": draw.choice([600, 9000, 36000, 150000, 700000]) for i in range(6)}
    divergence = {}
    for name in weights:
        first = draw.uniform(0.02, 0.5)
        divergence[name] = {bits: first * draw.uniform(0.8, 1.2) * 4.0 ** (2 - bits) for bits in SIZES}
    write_sweep(Path(f"sweep{seed}"), divergence, weights)
    total = sum(weights.values())

    def loss(pick):
        return sum(divergence[name][bits] for name, bits in pick.items())

    for limit in (2.0, 2.7, 3.3, 7.0):
        pick, done = allocated(f"sweep{seed}", limit)
        assert done.returncode == 0 and pick.keys() == weights.keys(), done
        assert sum(weights[name] * bits for name, bits in pick.items()) <= limit * total, pick
        choices = (dict(zip(weights, bits, strict=True)) for bits in itertools.product(SIZES, repeat=len(weights)))
        best = min((c for c in choices if sum(weights[n] * b for n, b in c.items()) <= limit * total), key=loss)
        assert loss(pick) <= 1.05 * loss(best), (seed, limit, pick, best)

_, refused = allocated("sweep0", 1.5)
assert refused.returncode != 0 and "the least that was measured is 2.000" in refused.stderr, refused
Path("empty").mkdir(exist_ok=True)
_, refused = allocated("empty", 3)
assert refused.returncode != 0 and "holds no sweep" in refused.stderr, refused
