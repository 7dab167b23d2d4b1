#!/usr/bin/env python3
"""Makes zero_shot.json: what lm-evaluation-harness says of the first items of each task for the default model.

    pip install lm-eval==0.4.13 torch transformers==5.23.0 gguf
    python tests/golden/make_zero_shot.py --gguf smollm2-135m-instruct.gguf --tasks DIR_OF_TASKS

The model is the GGUF file as transformers decodes it, in float32. For each task: the SHA-256 of its file, the log-likelihood
of every choice of each item, and acc, acc_norm and acc_bytes as the harness counts them.
"""

import argparse
import hashlib
import json
import pathlib
import tempfile

import lm_eval
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

FILES = {"openbookqa": "openbookqa", "winogrande": "winogrande", "piqa": "piqa", "arc_easy": "arc_easy",
         "arc_challenge": "arc_challenge", "hellaswag": "hellaswag_val", "boolq": "boolq"}


def task_spec(name, path):
    partial = name == "winogrande"
    return {
        "task": f"local_{name}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"validation": str(path)}},
        "validation_split": "validation",
        "output_type": "multiple_choice",
        "doc_to_text": "gold" if partial else "{{context}}",
        "doc_to_choice": "contexts" if partial else "choices",
        "doc_to_target": "continuation" if partial else "gold",
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True}
                        for metric in (["acc"] if partial else ["acc", "acc_norm", "acc_bytes"])],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gguf", type=pathlib.Path, required=True)
    parser.add_argument("--tasks", type=pathlib.Path, required=True)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "zero_shot.json")
    arguments = parser.parse_args()

    where = {"pretrained_model_name_or_path": str(arguments.gguf.parent), "gguf_file": arguments.gguf.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8, device="cpu")
    result = {"limit": arguments.limit, "tasks": {}}
    for name, file in FILES.items():
        path = arguments.tasks / f"{file}.jsonl"
        with tempfile.TemporaryDirectory() as folder:
            # Only what the harness needs: fields that some items lack would confuse its reader.
            keep = ("context", "choices", "gold", "contexts", "continuation")
            lines = [json.loads(line) for line in path.read_text().splitlines()[:arguments.limit]]
            data = pathlib.Path(folder) / "items.jsonl"
            data.write_text("".join(json.dumps({k: v for k, v in line.items() if k in keep}) + "\n" for line in lines))
            output = lm_eval.simple_evaluate(lm, tasks=[task_spec(name, data)], num_fewshot=0, limit=arguments.limit,
                                             log_samples=True, bootstrap_iters=1,
                                             task_manager=TaskManager(include_defaults=False))
        own = output["results"][f"local_{name}"]
        samples = sorted(output["samples"][f"local_{name}"], key=lambda sample: sample["doc_id"])
        result["tasks"][name] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            **{metric: own[f"{metric},none"] for metric in ("acc", "acc_norm", "acc_bytes") if f"{metric},none" in own},
            **{f"{metric}_stderr": own[f"{metric}_stderr,none"] for metric in ("acc", "acc_norm")
               if f"{metric}_stderr,none" in own},
            "log_likelihoods": [[round(float(response[0]), 3) for response in sample["filtered_resps"]]
                                for sample in samples],
        }
        print(name, {k: v for k, v in result["tasks"][name].items() if k != "log_likelihoods"}, flush=True)
        arguments.out.write_text(json.dumps(result, separators=(",", ":")).replace('"tasks":', '\n"tasks":')
                                 .replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
