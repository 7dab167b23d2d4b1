"""A small budget of configs/resnet_fashion_mnist_2bit.yaml from the spec to the table, and the other programs on it."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, call, result, run_directory

if not Path("/usr/share/datasets/fashion-mnist").is_dir():
    print("no Fashion-MNIST (scripts/setup.sh)")
    sys.exit(77)
shutil.rmtree("out", ignore_errors=True)
model = SOURCE / "models/resnet20-fashion-mnist.onnx"
small = [
    f"model.source={model}",
    "calibration.sequences=96",
    "calibration.solver_sequences=64",
    "compress.learn.steps=6",
    "compress.distill.steps=6",
    "evaluate.0.dataset={type: fashion-mnist-test, first: 300}",
]
spec = [SOURCE / "configs/resnet_fashion_mnist_2bit.yaml", *[word for each in small for word in ("--set", each)]]
call("jlcm-run", *spec, "--dry-run")
printed, _ = call("jlcm-run", *spec, "--out", "out")
directory = run_directory("out")
assert "top-1 %" in printed and "top-5 %" in printed and "300 images" in printed, printed
record = result("out")
(evaluation,) = record["evaluations"]
assert evaluation["higher_is_better"] and evaluation["protocol"]["items"] == 300
figures = evaluation["models"]["compressed"]
assert 90 < evaluation["original"] < 98 and 50 < evaluation["compressed"] < 98, evaluation
assert evaluation["compressed"] <= figures["top5"] <= 100
assert sum(each["items"] for each in figures["per_class"]) == 300
assert round(sum(each["correct"] for each in figures["per_class"]) / 3, 6) == round(evaluation["compressed"], 6)
assert 2.0 < record["footprint"]["linear_bits_per_weight"] < 2.3, record["footprint"]

# The artifact is complete by itself, and has the same figures.
artifact = directory / "artifact.safetensors"
images = "{type: fashion-mnist-test, first: 300}"
call("jlcm-eval", artifact, "--original", model, "--task", "classification", "--dataset", images, "--json", "eval.json")
again = json.loads(Path("eval.json").read_text())
for key in ("original", "compressed", "stderr", "kl", "agreement", "protocol"):
    assert again[key] == evaluation[key], (key, again[key], evaluation[key])
printed, _ = call("jlcm-inspect", artifact)
assert "bits per compressed weight" in printed and f"{record['footprint']['linear_bits_per_weight']:.4f}" in printed, printed
printed, _ = call("jlcm-inspect", model, "--permutations")
assert "conv" in printed, printed

# Item by item against the original.
printed, _ = call("jlcm-compare", directory, f"{directory}:original")
assert "p (McNemar)" in printed and f"{evaluation['compressed']:.2f}" in printed, printed

# The same bytes at another number of threads.
call("jlcm-run", *spec, "--out", "other", "--threads", 1)
assert run_directory("other").name == directory.name
assert (run_directory("other") / "artifact.safetensors").read_bytes() == artifact.read_bytes()

# Data and evaluations of the other kind are refused, and leave nothing behind.
shutil.rmtree("refused", ignore_errors=True)
Path("text.txt").write_text("some text")
for setting, says in (
    ("calibration.dataset=./text.txt", "the model reads images"),
    ("evaluate.0={type: classification, dataset: ./text.txt}", "images are wanted"),
):
    _, said = call("jlcm-run", *spec, "--set", setting, "--out", "refused", code=2)
    assert says in said, said
assert not Path("refused").exists()
