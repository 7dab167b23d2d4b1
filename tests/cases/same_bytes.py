"""Every solver, estimator and objective gives the same bytes at 1, 2 and 4 threads."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import STORIES, call, need_assets, run_directory

need_assets()
SHORT = ["calibration.sequences=24", "evaluate=[]", "checkpoint_minutes=60"]
SOLVED = [*SHORT, "compress.learn=null", "compress.distill=null"]
COLUMNS = ["compress.grouping={type: column_groups, size: 16}", "compress.codebook_init=uniform"]
SOLVERS = {
    "nearest_codeword": ["compress.solver=nearest_codeword"],
    "lnq_weighted": ["compress.output_weighting={groups: 2}"],
    "lnq_groups": ["compress.grouping={type: distribution, groups: 4, parts: scales}", "compress.reorder={residual: true}"],
    "rtn": [*COLUMNS, "compress.solver=rtn"],
    "gptq": [*COLUMNS, "compress.solver={type: gptq, order: activation}"],
    "adaround": [*COLUMNS, "compress.solver={type: adaround, steps: 20}"],
    "squeezellm": [
        "compress.codebook_init={type: kmeans, weights: fisher}",
        "compress.solver={type: squeezellm, sensitive: 0.01, outliers: 0.01}",
    ],
    "aqlm": ["compress.bits=6", "compress.grouping={type: vectors, dimension: 2}", "compress.solver=aqlm"],
}
ESTIMATORS = {
    "frozen": "{type: frozen}",
    "naive_ste": "{type: naive_ste}",
    "softmax": "{type: softmax}",
    "inverse": "{type: proximal, form: inverse}",
    "exponential": "{type: proximal, form: exponential}",
    "adjacent": "{type: proximal, form: adjacent}",
    "nearest": "{type: nearest}",
    "curvature": "{type: curvature}",
    "adaround": "{type: adaround}",
    "gumbel": "{type: gumbel}",
}
LEARNED = [*SHORT, "compress.learn.steps=3", "compress.learn.warmup=0", "compress.distill.steps=2"]
runs = {f"solver {name}": [*SOLVED, *settings] for name, settings in SOLVERS.items()}
for name, estimator in ESTIMATORS.items():
    runs[f"block, {name}"] = [*LEARNED, f"compress.learn.estimator={estimator}", f"compress.distill.estimator={estimator}"]
    runs[f"layer, {name}"] = [
        *SHORT, "compress.learn.steps=3", "compress.learn.objective=layer", "compress.learn.batch=null", "compress.distill=null",
        f"compress.learn.estimator={estimator}",
    ]  # fmt: skip
runs["mapping apart"] = [
    *LEARNED, "compress.distill.batch_at_once=1", "compress.distill.estimator=nearest",
    "compress.distill.mapping={every: 2, most: 0.01, start: learned}",
]  # fmt: skip
VECTORS = ["compress.bits=4", "compress.solver=aqlm"]
NEAREST = ["compress.learn.estimator=nearest", "compress.distill.estimator=nearest"]
runs["vectors"] = [
    *LEARNED, *VECTORS, *NEAREST, "compress.grouping={type: vectors, dimension: 2}",
    "compress.distill.mapping={every: 2, most: 0.01, start: learned}",
]  # fmt: skip
runs["stages"] = [*LEARNED, *VECTORS, *NEAREST, "compress.grouping={type: vectors, dimension: 4, stages: 2}"]
runs["blocks together"] = [*LEARNED, "compress.blocks_together=2"]


def files(settings, threads):
    shutil.rmtree("out", ignore_errors=True)
    changes = [argument for setting in settings for argument in ("--set", setting)]
    call("jlcm-run", STORIES, *changes, "--threads", threads, "--out", "out")
    return [(run_directory("out") / name).read_bytes() for name in ("artifact.safetensors", "metrics.jsonl")]


for name, settings in runs.items():
    one = files(settings, 1)
    for threads in (2, 4):
        assert files(settings, threads) == one, f"{name}: {threads} threads give other bytes than one"
print(f"{len(runs)} runs")
