#!/usr/bin/env python3
"""Draws docs/overview.svg, the picture at the top of the README, with gnuplot: perplexity against bits from the records in
results/, and against minutes from the table in docs/benchmarks.md.

    scripts/overview_figure.py [OUTPUT.svg]
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = {"text": "wikitext-2-raw-test", "context": 2048, "windows": 60, "positions": "all"}
OTHERS = {  # record: label
    "lnq_2bit": "LNQ", "aqlm_2bit": "AQLM, no fine-tuning", "kmeans_3bit": "k-means", "squeezellm_3bit": "SqueezeLLM",
    "gptq_3bit_g64": "GPTQ", "adaround_3bit_g64": "AdaRound", "brecq_3bit_g64": "BRECQ"}
OURS = {"llama_2bit_two_hours": "jlcm", "llama_3bit": "jlcm"}
LEFT = ["gptq_3bit_g64"]  # labelled to the left of its point, where there is room
BLUE, GREY = "#0072b2", "#777777"


def figure(record):
    """(bits per linear weight, perplexity, its standard error, the original's perplexity) of a record."""
    result = json.loads((ROOT / "results" / record / "result.json").read_text())
    for evaluation in result["evaluations"]:
        if PROTOCOL.items() <= evaluation["protocol"].items():
            figures = (evaluation[key] for key in ("compressed", "stderr", "original"))
            return result["footprint"]["linear_bits_per_weight"], *figures
    sys.exit(f"results/{record}/result.json has no evaluation with {PROTOCOL}")


def minutes():
    """[(minutes, perplexity, label)] of the distilled runs, from the table in docs/benchmarks.md."""
    table = (ROOT / "docs/benchmarks.md").read_text().split("## Quality against time")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")]
    runs = {}  # by spec: the last row is that of the spec as it is now
    for row in rows[1:]:
        if row[-1] and (spec := re.match(r"`(\w+)`", row[0])):
            runs[spec[1]] = (float(re.match(r"[\d.]+", row[2])[0]), float(row[-1]), f'"{label(spec[1])}"')
    return sorted(runs.values())


def label(spec):
    """llama_2bit_two_hours: two hours."""
    return spec.removeprefix("llama_2bit").strip("_").replace("_", " ") or "default"


def data(points):
    return "\n".join(" ".join(map(str, point)) for point in points) + "\ne\n"


def main():
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/overview.svg"
    figures = {name: figure(name) for name in OTHERS | OURS}
    original = figures["llama_3bit"][3]
    points = {name: (*figures[name][:3], f'"{title}"') for name, title in (OTHERS | OURS).items()}
    script = f"""
set terminal svg size 1000,400 font "Helvetica,13" background "#ffffff"
set output "{output}"
set encoding utf8
set multiplot layout 1,2
set border 3 lc rgb "#444444"; set tics nomirror; set grid y lc rgb "#e4e4e4" lt 1
set logscale y; set yrange [19:200]; set ytics (20, 25, 30, 40, 50, 75, 100, 150)
set ylabel "perplexity, WikiText-2"
set arrow 1 from graph 0, first {original} to graph 1, first {original} nohead dt 2 lc rgb "#444444"
set label 1 "original model" at graph 0.02, first {original} left offset 0,0.5 tc rgb "#444444"
set title "SmolLM2-135M, every method on the same files"
set xlabel "bits per linear weight"; set xrange [1.95:3.95]
plot "-" with yerrorbars notitle pt 7 ps 0.7 lc rgb "{GREY}", "-" using 1:2:4 with labels notitle left offset 0.8,0 tc rgb "{GREY}", "-" using 1:2:4 with labels notitle right offset -0.8,0.3 tc rgb "{GREY}", \\
     "-" with yerrorbars notitle pt 7 ps 1.1 lc rgb "{BLUE}", "-" using 1:2:4 with labels notitle left offset 0.8,0.1 tc rgb "{BLUE}"
{data(points[n] for n in OTHERS)}{data(points[n] for n in OTHERS if n not in LEFT)}{data(points[n] for n in LEFT)}\
{data(points[n] for n in OURS) * 2}
set title "jlcm at 2.1 bits, by budget"
set xlabel "minutes on two cores"; set logscale x; set xrange [3:170]; set xtics (5, 10, 20, 40, 80)
set yrange [19:60]
plot "-" using 1:2 with linespoints notitle pt 7 ps 1.0 lc rgb "{BLUE}", \\
     "-" using 1:2:3 with labels notitle center offset 0,1 noenhanced tc rgb "{BLUE}"
{data(minutes()) * 2}
unset multiplot
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    print(output)


if __name__ == "__main__":
    main()
