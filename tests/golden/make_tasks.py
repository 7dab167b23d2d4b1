#!/usr/bin/env python3
"""Makes tasks/: small task files of every kind of scoring, and what lm-evaluation-harness says of them for the model stories260k.

    pip install lm-eval==0.4.13 accelerate torch transformers==4.53.3
    python tests/golden/make_tasks.py --model ASSETS/lm/stories260k

tasks/NAME.jsonl: rows in the format of docs/tasks.md, or as the data set of that name has them. tasks/harness.json: of each the
figures, the log-likelihood of every choice, and whether greedy decoding writes it.
"""

import argparse
import json
import pathlib
import random

import lm_eval
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks.super_glue.copa import utils as copa

HERE = pathlib.Path(__file__).parent / "tasks"
NAMES = ["Tom", "Lily", "Ben", "Mia"]
THINGS = ["ball", "tree", "cat", "dog", "bird", "cake", "box", "car", "house", "boat"]
# Behind contexts and questions: white space of every kind that Python strips, and a character that it does not.
SPACES = ["", " ", "\n", "\t ", "\u00a0", "\u3000", "\x1c", "\u2028", "\x85", "\u200b"]
CHOICE = {"output_type": "multiple_choice"}
LAST_WORD = {"output_type": "loglikelihood", "metric_list": [
    {"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False},
    {"metric": "acc", "aggregation": "mean", "higher_is_better": True}]}
LETTERS = "".join(f"\n{letter}. {{{{choices[{i}]}}}}" for i, letter in enumerate("ABCD")) + "\nAnswer:"


def accuracies(*names):
    return {"metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in names]}


def rows(draw, written):
    """By task. `written(context, tokens)`: what the model writes behind the context."""
    def sentence():
        verb = draw.choice(["saw", "found", "liked", "lost", "made"])
        size = draw.choice(["big", "red", "small", "gr\u00fcn"])
        return f"{draw.choice(NAMES)} {verb} a {size} {draw.choice(THINGS)}."

    def things(count):
        return draw.sample(THINGS, count)
    count = len(SPACES)
    starts = [f"Once upon a time, {sentence()} {draw.choice(NAMES)} was" for _ in range(count)]
    return {
        "choices": [{"context": sentence() + space, "choices": [sentence(), "\u00fcber " + draw.choice(THINGS), draw.choice(THINGS)],
                     "gold": draw.randrange(3)} for space in SPACES] + [{"context": "", "choices": ["a cat", "dogs are"], "gold": 1}],
        "partial": [{"contexts": [sentence() + space, sentence()], "continuation": sentence(), "gold": draw.randrange(2)}
                    for space in SPACES],
        "letters": [{"question": sentence() + " What was it?" + space, "choices": things(4), "gold": draw.choice("ABCD")}
                    for space in SPACES],
        "greedy": [{"context": start, "continuation": written(start, 3) if i % 2 == 0 else draw.choice(THINGS)}
                   for i, start in enumerate(starts)],
        "lambada": [{"text": sentence() + " " + sentence()} for _ in range(count)] + [{"text": "hello"}],
        "copa": [{"premise": sentence() + draw.choice(["", " ", "\u00a0"]), "choice1": sentence(), "choice2": sentence(),
                  "question": draw.choice(["cause", "effect"]), "idx": i, "label": draw.randrange(2)} for i in range(count)],
        "social_iqa": [{"context": sentence(), "question": f"What does {draw.choice(NAMES)} want?", "answerA": draw.choice(THINGS),
                        "answerB": "a " + draw.choice(THINGS), "answerC": "to eat the " + draw.choice(THINGS),
                        "label": str(1 + draw.randrange(3))} for _ in range(count)],
        "commonsense_qa": [{"id": str(i), "question": f" Where is the {draw.choice(THINGS)}?" + space, "question_concept": "where",
                            "choices": {"label": list("ABCDE"), "text": things(5)}, "answerKey": draw.choice("ABCDE")}
                           for i, space in enumerate(SPACES)],
        "mmlu": [{"question": f"What is a {draw.choice(THINGS)}?" + space, "subject": "abstract_algebra", "choices": things(4),
                  "answer": draw.randrange(4)} for space in SPACES],
    }


TASKS = {
    "choices": {**CHOICE, "doc_to_text": "{{context}}", "doc_to_choice": "choices", "doc_to_target": "gold",
                **accuracies("acc", "acc_norm", "acc_bytes")},
    "partial": {**CHOICE, "doc_to_text": "gold", "doc_to_choice": "contexts", "doc_to_target": "continuation",
                **accuracies("acc")},
    "letters": {**CHOICE, "doc_to_text": "{{question.strip()}}" + LETTERS, "doc_to_choice": list("ABCD"), "doc_to_target": "gold",
                **accuracies("acc")},
    "greedy": {**LAST_WORD, "doc_to_text": "{{context}}",
               "doc_to_target": lambda row: ("" if row["continuation"][0].isspace() else " ") + row["continuation"]},
    # As lm_eval/tasks has them.
    "lambada": {**LAST_WORD, "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}", "doc_to_target": "{{' '+text.split(' ')[-1]}}"},
    "copa": {**CHOICE, "doc_to_text": copa.doc_to_text, "doc_to_target": copa.doc_to_target, "doc_to_choice": copa.doc_to_choice,
             **accuracies("acc")},
    "social_iqa": {**CHOICE, "doc_to_text": "Q: {{context}} {{question}}\nA:", "doc_to_target": "{{ (label|int) - 1 }}",
                   "doc_to_choice": "{{[answerA, answerB, answerC]}}", **accuracies("acc")},
    "commonsense_qa": {**CHOICE, "doc_to_text": "Question: {{ question.strip() }}" + "".join(
        f"\n{letter}. {{{{choices['text'][{i}]}}}}" for i, letter in enumerate("ABCDE")) + "\nAnswer:",
        "doc_to_target": "answerKey", "doc_to_choice": list("ABCDE"), **accuracies("acc")},
    "mmlu": {**CHOICE, "description": "The following are multiple choice questions (with answers) about abstract algebra.\n\n",
             "doc_to_text": "{{question.strip()}}" + LETTERS, "doc_to_choice": list("ABCD"), "doc_to_target": "answer",
             **accuracies("acc")},
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    model_path = parser.parse_args().model
    model = transformers.AutoModelForCausalLM.from_pretrained(model_path, torch_dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_path)

    def written(context, tokens):
        ids = tokenizer.encode(context, add_special_tokens=False)
        for _ in range(tokens):
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        return tokenizer.decode(ids)[len(context):]

    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, device="cpu", add_bos_token=False)
    HERE.mkdir(exist_ok=True)
    harness = {}
    for name, items in rows(random.Random(1), written).items():
        path = HERE / f"{name}.jsonl"
        path.write_text("".join(json.dumps(item) + "\n" for item in items))
        task = {"task": f"local_{name}", "dataset_path": "json", "dataset_kwargs": {"data_files": {"validation": str(path)}},
                "validation_split": "validation", **TASKS[name]}
        output = lm_eval.simple_evaluate(lm, tasks=[task], num_fewshot=0, log_samples=True, bootstrap_iters=2,
                                         task_manager=TaskManager(include_defaults=False))
        own = output["results"][f"local_{name}"]
        samples = sorted(output["samples"][f"local_{name}"], key=lambda sample: sample["doc_id"])
        harness[name] = {
            **{key.split(",")[0]: value for key, value in own.items()
               if key.endswith(",none") and key != "perplexity_stderr,none"},
            "log_likelihoods": [[round(float(response[0]), 4) for response in sample["filtered_resps"]] for sample in samples],
            "greedy": [[bool(response[1]) for response in sample["filtered_resps"]] for sample in samples]}
        print(name, {key: value for key, value in harness[name].items() if not isinstance(value, list)}, flush=True)
    (HERE / "harness.json").write_text(json.dumps(harness, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
