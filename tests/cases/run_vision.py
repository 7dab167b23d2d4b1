"""A small budget of configs/resnet_fashion_mnist_2bit.yaml on CIFAR-10 from the spec to the table, and the other programs on it."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, call, need_assets, result, run_directory

need_assets()
for earlier in ("out", "other"):
    shutil.rmtree(earlier, ignore_errors=True)
model = "resnet20-cifar10"
images = "{type: cifar10, path: cifar10/test_1000.bin, part: {first: 300}}"
small = [
    f"model.source={model}",
    "calibration.dataset={type: cifar10, path: cifar10/train_5000.bin}",
    "calibration.sequences=96",
    "calibration.solver_sequences=64",
    "compress.learn.steps=6",
    "compress.distill.steps=6",
    f"evaluate.0.dataset={images}",
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
assert 85 < evaluation["original"] < 98 and 50 < evaluation["compressed"] < 98, evaluation
assert evaluation["compressed"] <= figures["top5"] <= 100
assert sum(each["items"] for each in figures["per_class"]) == 300
assert round(sum(each["correct"] for each in figures["per_class"]) / 3, 6) == round(evaluation["compressed"], 6)
assert 2.0 < record["footprint"]["linear_bits_per_weight"] < 2.3, record["footprint"]

# The artifact is complete by itself, and has the same figures.
artifact = directory / "artifact.safetensors"
call("jlcm-eval", artifact, "--original", model, "--task", "classification", "--dataset", images, "--json", "eval.json")
again = json.loads(Path("eval.json").read_text())
for key in ("original", "compressed", "stderr", "kl", "agreement", "protocol"):
    assert again[key] == evaluation[key], (key, again[key], evaluation[key])
printed, _ = call("jlcm-inspect", artifact)
assert "bits per compressed weight" in printed and f"{record['footprint']['linear_bits_per_weight']:.4f}" in printed, printed
printed, _ = call("jlcm-inspect", artifact, "--entropy")
entropy = float(printed.splitlines()[-1].split()[3])
assert printed.splitlines()[-1].startswith("all ") and 1.5 < entropy <= 2, printed
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
    ("calibration.dataset=[{type: text_file, path: ./text.txt}]", "the model reads images"),
    ("evaluate.0={type: classification, dataset: {type: text_file, path: ./text.txt}}", "images are wanted"),
):
    _, said = call("jlcm-run", *spec, "--set", setting, "--out", "refused", code=2)
    assert says in said, said
assert not Path("refused").exists()

# Preprocessing that the network contradicts, at load and before anything is left behind.
shutil.rmtree("other_size", ignore_errors=True)
Path("other_size").mkdir()
network = SOURCE / "models/vit-fashion-mnist.onnx"
shutil.copy(network, "other_size/model.onnx")
preprocess = json.loads((SOURCE / "models/preprocess.json").read_text())
Path("other_size/preprocess.json").write_text(json.dumps({**preprocess, "input_size": [1, 24, 24], "means": [0.5]}))
for program, arguments in (
    ("jlcm-eval", ["other_size/model.onnx", "--task", "classification", "--dataset", images]),
    ("jlcm-run", [*spec, "--set", "model.source=other_size/model.onnx", "--dry-run"]),
):
    _, said = call(program, *arguments, code=2)
    assert "other_size/preprocess.json" in said and "[1,24,24]" in said and "[1, 28, 28]" in said and "'means'" in said, said

# Colour images become grey for a network of one channel; what a run leaves uncompressed is listed.
Path("other_size/preprocess.json").write_text(json.dumps({**preprocess, "resize": {"mode": "exact", "size": 28}, "interpolation": "bilinear"}))
printed, _ = call("jlcm-eval", "other_size/model.onnx", "--task", "classification", "--dataset", images)
assert "300 images" in printed, printed
printed, _ = call("jlcm-run", *spec, "--set", "model.source=other_size/model.onnx", "--dry-run")
assert "left as they are" in printed, printed
assert record["uncompressed"] == [], record["uncompressed"]
