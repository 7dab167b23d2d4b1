"""lm-evaluation-harness on the packed runtime: its figures are jlcm-eval's, exactly, on every task file."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages, quick_artifact
from programs import ASSETS, SOURCE, call, need_assets

need_packages("numpy", "lm_eval", "torch", "transformers", "datasets", "accelerate")
need_assets()
os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_CACHE": str(Path("datasets").resolve()),
    "TOKENIZERS_PARALLELISM": "false",
}
os.environ["PYTHONPATH"] = str(SOURCE / "python")
sys.path.insert(0, str(SOURCE / "tests/golden"))
import jlcm.lm_eval
import lm_eval
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from make_tasks import TASKS
from make_zero_shot import task_spec

LIMIT = 12
FOLDER = ASSETS / "lm/stories260k"


def harness(lm, task):
    output = lm_eval.simple_evaluate(
        lm,
        tasks=[task],
        num_fewshot=0,
        limit=LIMIT,
        bootstrap_iters=2,
        log_samples=True,
        task_manager=TaskManager(include_defaults=False),
    )
    (figures,), (samples,) = output["results"].values(), output["samples"].values()
    return figures, [
        response[0] for sample in sorted(samples, key=lambda s: s["doc_id"]) for response in sample["filtered_resps"]
    ]


def ours(path, task):
    call(
        "jlcm-eval",
        path,
        "--task",
        "zero_shot",
        "--set",
        f"task={task}",
        "--set",
        f"limit={LIMIT}",
        "--compute",
        "float32",
        "--json",
        "eval.json",
    )
    return json.loads(Path("eval.json").read_text())["models"]["compressed"]


def same(figures, record, name):
    compared = 0
    for metric in ("acc", "acc_norm", "acc_bytes"):
        if f"{metric},none" in figures:
            assert math.isclose(100 * figures[f"{metric},none"], record[metric], rel_tol=1e-12), (name, metric)
            compared += 1
    if "perplexity,none" in figures:
        assert math.isclose(figures["perplexity,none"], record["perplexity"], rel_tol=1e-12), name
        compared += 1
    assert compared, (name, figures)


def task_files(path):
    lm = jlcm.lm_eval.JlcmLM(path=str(path), compute="float32")
    for name, spec in TASKS.items():
        file = SOURCE / f"tests/golden/tasks/{name}.jsonl"
        task = {
            "task": f"local_{name}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"validation": str(file)}},
            "validation_split": "validation",
            **spec,
        }
        same(harness(lm, task)[0], ours(path, file), name)
    for name in ("arc_challenge", "arc_easy", "boolq", "hellaswag_val", "openbookqa", "piqa", "winogrande"):
        file = ASSETS / f"data/tasks/{name}.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()[:LIMIT]]
        keep = ("context", "choices", "gold", "contexts", "continuation")
        items = Path(f"{name}.jsonl").resolve()
        items.write_text("".join(json.dumps({k: v for k, v in line.items() if k in keep}) + "\n" for line in lines))
        same(harness(lm, task_spec(name, items))[0], ours(path, file), name)


def as_transformers():
    """The harness's own class says the same of the original: continuations, rolling, answers."""
    mine = jlcm.lm_eval.JlcmLM(path=str(FOLDER), compute="float32")
    theirs = HFLM(pretrained=str(FOLDER), dtype="float32", batch_size=4, device="cpu", add_bos_token=False)
    texts = [
        ("Once upon a time", " there was a little"),
        ("", "Lily saw a dog."),
        ("The end. ", "Ben"),
        ("A", " cat " * 600),
    ]

    def requests(kind, arguments):
        return [Instance(kind, {}, each, i) for i, each in enumerate(arguments)]

    for a, b in zip(
        mine.loglikelihood(requests("loglikelihood", texts[:3])),
        theirs.loglikelihood(requests("loglikelihood", texts[:3])),
    ):
        assert abs(a[0] - b[0]) < 1e-3 and a[1] == b[1], (a, b)
    rolling = [("Once upon a time there was a cat.",), ("Lily and Tom went to the park. " * 120,)]
    for a, b in zip(
        mine.loglikelihood_rolling(requests("loglikelihood_rolling", rolling)),
        theirs.loglikelihood_rolling(requests("loglikelihood_rolling", rolling)),
    ):
        assert abs(a - b) < 2e-3 * max(1, abs(b) / 100), (a, b)
    until = [
        ("Once upon a time", {"until": ["."], "max_gen_toks": 30}),
        ("Tom was sad because " * 80, {"until": ["\n"], "max_gen_toks": 12}),
    ]
    for a, b in zip(
        mine.generate_until(requests("generate_until", until)), theirs.generate_until(requests("generate_until", until))
    ):
        assert a == b, (a, b)


def program(path):
    """The harness's program with the class in it."""
    file = SOURCE / "tests/golden/tasks/choices.jsonl"
    Path("tasks").mkdir(exist_ok=True)
    Path("tasks/mine.yaml").write_text(
        json.dumps(
            {
                "task": "mine",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"validation": str(file)}},
                "validation_split": "validation",
                **TASKS["choices"],
            }
        )
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "jlcm.lm_eval",
            "--model",
            "jlcm",
            "--model_args",
            f"path={path},compute=float32",
            "--include_path",
            "tasks",
            "--tasks",
            "mine",
            "--output_path",
            "program",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (written,) = Path("program").rglob("results*.json")
    same(json.loads(written.read_text())["results"]["mine"], ours(path, file), "program")


shutil.rmtree("program", ignore_errors=True)
artifact = quick_artifact()
task_files(artifact)
as_transformers()
program(artifact)
