#!/usr/bin/env python3
"""The table of scripts/estimator_ablation.sh: reads DIR/runs/OBJECTIVE/ESTIMATOR/SEED/RUN, writes DIR/table.md (figures),
DIR/steps.csv (loss and jumps of every step) and, where matplotlib is installed, DIR/loss.svg.

    estimator_ablation_table.py DIR
"""

import csv
import json
import math
import sys
from collections import defaultdict
from pathlib import Path

OBJECTIVES = ("block", "layer", "model")


class Run:
    """One finished run: its figures, and per step the mean loss over blocks and all jumps."""

    def __init__(self, directory):
        result = json.loads((directory / "result.json").read_text())
        self.perplexity = result["evaluations"][0]["compressed"]
        self.original = result["evaluations"][0]["models"]["original"]["value"]
        self.weights = result["footprint"]["compressed_weights"]
        self.seconds = sum(stage["seconds"] for stage in result["stages"] if stage["name"] in ("learn", "distill"))
        losses = defaultdict(list)
        self.jumps = defaultdict(lambda: [0, 0, 0])  # of one, of two, of more
        for line in (directory / "metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            if "step" not in record:
                continue
            losses[record["step"]].append(record["loss"])
            for length, count in enumerate(record["jumps"]):
                self.jumps[record["step"]][min(length, 2)] += count
        self.losses = [sum(losses[step]) / len(losses[step]) for step in sorted(losses)]


def mean_and_error(values):
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def with_error(values, digits):
    mean, error = mean_and_error(values)
    return f"{mean:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")


def read(out):
    """{(objective, estimator): [Run of each seed]}, in the order of the table."""
    runs = defaultdict(list)
    for result in sorted(out.glob("runs/*/*/*/*/result.json")):
        objective, estimator = result.parts[-5:-3]
        runs[objective, estimator].append(Run(result.parent))

    def place(item):
        (objective, _), each = item
        return OBJECTIVES.index(objective), mean_and_error([run.perplexity for run in each])[0]

    return dict(sorted(runs.items(), key=place))


def row(objective, estimator, runs):
    totals = [[sum(counts[i] for counts in run.jumps.values()) for i in range(3)] for run in runs]
    moved = [sum(total) / run.weights for total, run in zip(totals, runs)]
    all_jumps = [sum(total[i] for total in totals) for i in range(3)]
    shares = [f"{100 * count / sum(all_jumps):.1f} %" if sum(all_jumps) else "-" for count in all_jumps]
    loss = with_error([run.losses[-1] for run in runs], 4) if runs[0].losses else "-"
    return [
        objective,
        estimator,
        str(len(runs)),
        with_error([run.perplexity for run in runs], 2),
        loss,
        f"{sum(moved) / len(moved):.3f}",
        *shares,
        f"{sum(run.seconds for run in runs) / len(runs):.0f}",
    ]


def table(runs):
    header = ["objective", "estimator", "seeds", "perplexity", "last loss", "jumps a weight"]
    header += ["by 1", "by 2", "by 3 or more", "learning, s"]
    rows = [header] + [row(*key, value) for key, value in runs.items()]
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(header))]

    def line(cells):
        texts = [f"{cell:<{width}}" if i < 2 else f"{cell:>{width}}" for i, (cell, width) in enumerate(zip(cells, widths))]
        return "| " + " | ".join(texts) + " |\n"

    rule = "|".join("-" * (width + 2) if i < 2 else "-" * (width + 1) + ":" for i, width in enumerate(widths))
    return line(header) + f"|{rule}|\n" + "".join(line(cells) for cells in rows[1:])


def write_steps(runs, path):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["objective", "estimator", "step", "loss", "loss_stderr", "moved", "jumps_1", "jumps_2", "jumps_more"]
        )
        for (objective, estimator), each in runs.items():
            for step in range(min(len(run.losses) for run in each)):
                loss, error = mean_and_error([run.losses[step] for run in each])
                jumps = [sum(run.jumps[step][i] for run in each) / len(each) for i in range(3)]
                moved = sum(jumps) / each[0].weights
                figures = [f"{loss:.6g}", "" if error is None else f"{error:.2g}", f"{moved:.3g}"]
                writer.writerow([objective, estimator, step, *figures, *(f"{count:.1f}" for count in jumps)])


def plot(runs, path):
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("svg")
    from matplotlib import pyplot

    shown = [objective for objective in OBJECTIVES if any(key[0] == objective for key in runs)]
    figure, axes = pyplot.subplots(1, len(shown), figsize=(6 * len(shown), 4), squeeze=False)
    for axis, objective in zip(axes[0], shown):
        for (of, estimator), each in runs.items():
            if of == objective:
                curve = [sum(losses) / len(losses) for losses in zip(*(run.losses for run in each))]
                axis.plot(curve, label=estimator)
        axis.set(title=f"{objective} objective", xlabel="step", ylabel="loss", yscale="log")
        axis.legend(fontsize="x-small")
    figure.tight_layout()
    figure.savefig(path)


def main():
    out = Path(sys.argv[1])
    runs = read(out)
    if not runs:
        sys.exit(f"no finished run under {out}/runs")
    original = next(iter(runs.values()))[0].original
    text = f"Perplexity of the original: {original:.2f}\n\n" + table(runs)
    (out / "table.md").write_text(text)
    write_steps(runs, out / "steps.csv")
    plot(runs, out / "loss.svg")
    print(text, end="")


if __name__ == "__main__":
    main()
