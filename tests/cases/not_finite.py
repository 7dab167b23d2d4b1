"""Weights that are NaN or infinite are refused, all at once, before anything is done; figures that come out so are recorded as
such, and the exit code says it. Needs no assets."""

import json
import shutil
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, call, result, run_directory

MODEL = SOURCE / "tests/golden/transformers/llama_biased"
NAN, INFINITY = float("nan"), float("inf")
text = Path("text.txt").resolve()
text.write_text("".join(f"Line {i}: the {i * i}th of {i + 7} words, and then another one. " for i in range(300)))


def model_with(name, values):
    """A copy of the model in float32 with {tensor: {index: value}}; index None: all of it."""
    shutil.rmtree(name, ignore_errors=True)
    shutil.copytree(MODEL, name)
    path = Path(name, "model.safetensors")
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    weights = b""
    for tensor, about in header.items():
        if tensor == "__metadata__":
            continue
        assert about["dtype"] == "F16"
        begin, end = about["data_offsets"]
        numbers = list(struct.unpack_from(f"<{(end - begin) // 2}e", data, 8 + length + begin))
        for index, value in values.get(tensor, {}).items():
            numbers[slice(None) if index is None else slice(index, index + 1)] = [value] * (len(numbers) if index is None else 1)
        about["dtype"], about["data_offsets"] = "F32", [len(weights), len(weights) + 4 * len(numbers)]
        weights += struct.pack(f"<{len(numbers)}f", *numbers)
    written = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(written)) + written + weights)
    return name


def spec(model, more=""):
    Path(f"{model}.yaml").write_text(f"""
version: 1
name: {model}
model: {{source: {model}}}
compute: float32
calibration: {{dataset: {text}, sequences: 16, length: 24}}
compress:
  bits: 3
{more}
evaluate: [{{type: perplexity, dataset: {text}, context: 24, windows: 8}}]
""")
    return f"{model}.yaml"


# Parameters of every kind, several at once.
width = json.loads((MODEL / "config.json").read_text())["hidden_size"]
bad = {
    "model.embed_tokens.weight": {3 * width + 5: NAN, 7 * width: INFINITY},
    "model.layers.0.self_attn.q_proj.bias": {2: -INFINITY},
    "model.layers.0.mlp.up_proj.weight": {width + 1: NAN},
    "model.norm.weight": {4: INFINITY},
}
said_of = {
    "model.embed_tokens.weight": "1 NaN and 1 infinity among",
    "model.layers.0.self_attn.q_proj.bias": "the first at index 2",
    "model.layers.0.mlp.up_proj.weight": "the first at row 1, column 1",
    "model.norm.weight": "the first at index 4",
}
shutil.rmtree("out", ignore_errors=True)
model_with("bad", bad)
for program in (
    ("jlcm-run", spec("bad"), "--out", "out"),
    ("jlcm-run", spec("bad"), "--dry-run"),
    ("jlcm-eval", "bad", "--dataset", text, "--context", 24),
    ("jlcm-eval", MODEL, "--original", "bad", "--dataset", text, "--context", 24),
):
    printed, said = call(*program, code=2)
    assert not printed, printed
    for name, what in said_of.items():
        assert f"{name}: " in said and what in said, (name, said)
    assert "row 3, column 5" in said, said
assert not Path("out").exists()

# Logits that overflow: the original's and the compressed model's figures are recorded as what they are.
model_with("large", {"model.norm.weight": {None: 3e38}})
printed, said = call("jlcm-run", spec("large"), "--out", "out", code=5)
run = run_directory("out")
assert "not finite: perplexity" in said and "agreement nan" in said, said
record = result("out")
(evaluation,) = record["evaluations"]
for name in ("original", "compressed"):
    figures = evaluation["models"][name]
    assert figures["value"] is None and figures["not_finite"]["value"] in ("nan", "inf"), figures
    assert evaluation[name] is None
figures = evaluation["models"]["compressed"]
assert figures["kl"] is None and figures["agreement"] is None, figures
assert figures["not_finite"]["kl"] == figures["not_finite"]["agreement"] == "nan", figures
assert all(item is None for item in json.loads((run / "predictions.json").read_text())[0]["models"]["compressed"])
# Finished is finished, and says the same.
again, said = call("jlcm-run", spec("large"), "--out", "out", code=5)
assert again == printed and "finished already" in said, again
# An evaluation alone: the table, the record, the exit code.
printed, said = call("jlcm-eval", run / "artifact.safetensors", "--original", "large", "--dataset", text, "--context", 24,
                     "--json", "eval.json", code=5)
assert "0.0000" not in printed and "1.0000" not in printed, printed
assert json.loads(Path("eval.json").read_text())["models"]["compressed"]["not_finite"]["kl"] == "nan"

# Learning that diverges leaves a result that says where, and no artifact.
call("jlcm-run", spec("large", "  distill: {steps: 3, batch: 2}"), "--out", "diverged", code=5)
run = run_directory("diverged")
record = result("diverged")
assert record["diverged"]["stage"] == "distill" and record["diverged"]["step"] == 0, record["diverged"]
assert record["diverged"]["value"] in ("nan", "inf"), record["diverged"]
assert record["evaluations"] == [] and record["footprint"] is None and record["artifact_sha256"] is None
assert not (run / "artifact.safetensors").exists() and not (run / "checkpoints").exists()
last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
assert last == {"stage": "distill", "step": 0, "loss": None}, last
_, said = call("jlcm-run", spec("large", "  distill: {steps: 3, batch: 2}"), "--out", "diverged", code=5)
assert "finished already" in said, said

# Tables, pages, plots and comparisons of both, beside a run that is well.
call("jlcm-run", spec("large"), "--set", f"model.source={MODEL}", "--out", "well")
runs = ("out", "diverged", "well")
table, _ = call("jlcm-table", *runs, "--format", "text")
rows = {line.split()[0]: line for line in table.splitlines()[1:] if line}
assert len([line for line in table.splitlines() if "diverged" in line]) == 1, table
well = next(line for line in table.splitlines() if line.startswith(run_directory("well").name))
assert "nan" not in well, table
csv, _ = call("jlcm-table", *runs, "--format", "csv", "--columns", "perplexity")
assert csv.count("nan") + csv.count("inf") >= 2, csv
call("jlcm-table", *runs, "--format", "run")
call("jlcm-report", *runs, "-o", "page.html")
assert "learning diverged" in Path("page.html").read_text()
for form in ("mlflow", "tensorboard"):
    call("jlcm-report", *runs, "--format", form, "-o", form)
call("jlcm-compare", run_directory("out"), run_directory("well"))
call("jlcm-compare", run_directory("out"), run_directory("diverged"))
_, said = call("jlcm-compare", run_directory("diverged"), f"{run_directory('diverged')}:original", code=2)
assert "diverged" in said, said
printed, _ = call("jlcm-compare", f"{run_directory('out')}:original", run_directory("out"))
assert "nan" in printed, printed

# A sweep ends with the same code, all its runs done.
Path("sweep.yaml").write_text("""
version: 1
name: both
base: large.yaml
grid:
  learning: {none: {}, distilled: {set: {compress.distill: {steps: 2, batch: 2}}}}
""")
spec("large")
printed, _ = call("jlcm-sweep", "sweep.yaml", "--out", "sweep", code=5)
assert "2 finished" in printed and printed.count("not finite: ") >= 2 and "0 failed" in printed, printed
print("weights that are not finite are refused by name; figures that are not are recorded, shown and said by the exit code")
