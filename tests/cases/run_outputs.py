"""What an ONNX model's output means: the same network with and without its last Softmax is compressed to the same codes with
the same figures, other endings have figures of their own, and what has none is refused before anything is made."""

import json
import shutil
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
import packages  # noqa: F401: where jlcm is
from programs import SKIPPED, call, run_directory

try:
    import numpy
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    print("SKIPPED: no onnx, onnxruntime and numpy (JLCM_PYTHON)")
    sys.exit(SKIPPED)

import jlcm

for earlier in ("runs", "refused", "models"):
    shutil.rmtree(earlier, ignore_errors=True)
random = numpy.random.default_rng(5)
classes, count = 10, 60
pixels = random.integers(0, 256, (count, 3, 32, 32), dtype=numpy.uint8)
x = (pixels.astype(numpy.float32) / 255 - 0.5) / numpy.float32(0.25)
kernel = random.standard_normal((8, 3, 3, 3)).astype(numpy.float32) * 0.3
matrix = random.standard_normal((8, classes)).astype(numpy.float32) * 6
node = helper.make_node
body = [
    node("Conv", ["x", "kernel"], ["c"]),
    node("Relu", ["c"], ["r"]),
    node("GlobalAveragePool", ["r"], ["g"]),
    node("Flatten", ["g"], ["f"]),
    node("MatMul", ["f", "matrix"], ["z"]),
]
softmaxes = [
    node("Softmax", ["z"], ["p"]),
    node("Neg", ["z"], ["n"]),
    node("Softmax", ["n"], ["q"]),
    node("Add", ["p", "q"], ["s"]),
    node("Mul", ["s", "half"], ["m"]),
]
boxes = [node("Reshape", ["z", "shape"], ["b"])]
side = [node("MatMul", ["f", "other"], ["o"])]


def make(name, nodes, outputs, rounded=False):
    """A model in a folder of its own; returns its path. `rounded`: other weights nearby."""

    def weights(values):
        step = numpy.abs(values).max() / 3
        return (numpy.round(values / step) * step).astype(numpy.float32) if rounded else values

    constants = {
        "kernel": weights(kernel),
        "matrix": weights(matrix),
        "other": numpy.ones((8, 50), numpy.float32),
        "half": numpy.float32(0.5),
        "shape": numpy.array([-1, 5, 2]),
    }
    read = {value for each in body + nodes for value in each.input}
    graph = helper.make_graph(
        body + nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in outputs],
        [numpy_helper.from_array(numpy.asarray(value), key) for key, value in constants.items() if key in read],
    )
    folder = Path("models") / name
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "net.onnx")
    preprocess = dict(input_size=[3, 32, 32], channel_order="RGB", range=[0, 1], mean=[0.5] * 3, std=[0.25] * 3)
    (folder / "preprocess.json").write_text(json.dumps(preprocess))
    return folder / "net.onnx"


def outputs_of(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0].astype(numpy.float64)


logits = make("logits", [], ["z"])
labels = outputs_of(logits).argmax(1).astype(numpy.uint8)
Path("images.bin").write_bytes(b"".join(struct.pack("B", c) + p.tobytes() for c, p in zip(labels, pixels)))
images = "{type: cifar10, path: ./images.bin}"
models = {
    "logits": logits,
    "softmax": make("softmax", softmaxes[:1], ["p"]),
    "log_softmax": make("log_softmax", [node("LogSoftmax", ["z"], ["p"])], ["p"]),
    "sigmoid": make("sigmoid", [node("Sigmoid", ["z"], ["p"])], ["p"]),
    "mean": make("mean", softmaxes, ["m"]),
    "boxes": make("boxes", boxes, ["b"]),
    "two": make("two", side, ["o", "z"]),
}


def spec(name, compress="bits: 2, learn: {steps: 4, batch: 4}, distill: {steps: 6, batch: 4}", evaluate=True, model=""):
    path = Path(f"{name}.yaml")
    path.write_text(
        f"version: 1\ncompute: float32\nmodel: {{source: {models[name]}{model}}}\n"
        f"calibration: {{dataset: {images}, sequences: 24}}\ncompress: {{{compress}}}\n"
        + (f"evaluate: [{{type: classification, dataset: {images}}}]\n" if evaluate else "")
    )
    return path


def run(name, **options):
    out = Path("runs") / name
    shutil.rmtree(out, ignore_errors=True)
    call("jlcm-run", spec(name, **options), "--out", out)
    directory = run_directory(out)
    return directory, json.loads((directory / "result.json").read_text())


def tensors(directory):
    data = (directory / "artifact.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    return {
        name: data[8 + size + each["data_offsets"][0] : 8 + size + each["data_offsets"][1]]
        for name, each in header.items()
        if name != "__metadata__"
    }


def refused(name, says, **options):
    """By a dry run and by a run, which leaves nothing behind."""
    path = spec(name, **options)
    for arguments in (("--dry-run",), ("--out", "refused")):
        _, said = call("jlcm-run", path, *arguments, code=2)
        for text in says:
            assert text in said, f"{arguments}: {said}\nlacks: {text}"
    assert not Path("refused").exists(), "a refused run made a directory"


# The same codes, losses and figures whatever the file makes of its logits.
directory, expected = run("logits")
assert expected["model"]["outputs"][0]["meaning"] == "logits"
metrics = (directory / "metrics.jsonl").read_text()
assert sum('"distill"' in line for line in metrics.splitlines()) == 6
for name, meaning in (("softmax", "probabilities"), ("log_softmax", "log_probabilities")):
    other, record = run(name)
    (output,) = record["model"]["outputs"]
    assert output["name"] == "p" and output["meaning"] == meaning and output["compared"] == "logits", output
    assert output["shape"] == [classes] and "Softmax" in output["found"], output
    assert "probabilities" in (other / "log.txt").read_text()
    assert tensors(other) == tensors(directory)
    assert (other / "metrics.jsonl").read_text() == metrics
    assert record["evaluations"] == expected["evaluations"]
    call("jlcm-eval", other / "artifact.safetensors", "--original", models["logits"], "--task", "classification",
         "--dataset", images, "--compute", "float32", "--json", "eval.json")
    again = json.loads(Path("eval.json").read_text())
    assert again["kl"] == record["evaluations"][0]["kl"] and again["model"]["outputs"] == [output], again


def divergence(name, rounded):
    """KL by what ONNX Runtime makes of both, and what jlcm-eval says."""
    call("jlcm-eval", rounded, "--original", models[name], "--task", "classification", "--dataset", images, "--compute",
         "float32", "--json", "eval.json")
    return outputs_of(models[name]), outputs_of(rounded), json.loads(Path("eval.json").read_text())


rounded = make("softmax2", softmaxes[:1], ["p"], rounded=True)
p, q, record = divergence("softmax", rounded)
each = (p * numpy.log(p / q)).sum(1)
for task in ("classification", "outputs"):
    call("jlcm-eval", rounded, "--original", models["softmax"], "--task", task, "--dataset", images, "--compute", "float32",
         "--set", "noise_floor=true", "--json", "eval.json")
    figures = json.loads(Path("eval.json").read_text())["models"]
    for key, share in {"kl_median": 0.5, "kl_p90": 0.9, "kl_p99": 0.99}.items():
        assert abs(figures["compressed"][key] - numpy.quantile(each, share)) < 1e-3 * record["kl"], (task, key)
    assert sum(part["predictions"] for part in figures["compressed"]["kl_by_confidence"]) == count
    if "avx512_bf16" in Path("/proc/cpuinfo").read_text():
        floor = figures["original"]
        assert floor["noise_floor_compute"] == "bfloat16" and 0 < floor["noise_floor_kl"] < 0.1 * record["kl"], floor
        assert len(floor["noise_floor_kl_by_confidence"]) > 0
assert abs(record["kl"] - (p * numpy.log(p / q)).sum(1).mean()) < 1e-4 * record["kl"], record["kl"]
assert record["kl"] > 0.01 and "kl" not in record["protocol"]
p, q, record = divergence("mean", make("mean2", softmaxes, ["m"], rounded=True))
assert abs(record["kl"] - (p * numpy.log(p / q)).sum(1).mean()) < 1e-4 * record["kl"], record["kl"]
assert "of probabilities" in record["protocol"]["kl"], record["protocol"]
p, q, record = divergence("sigmoid", make("sigmoid2", [node("Sigmoid", ["z"], ["p"])], ["p"], rounded=True))
z, w = (outputs_of(each) for each in (models["logits"], make("logits2", [], ["z"], rounded=True)))
p = 1 / (1 + numpy.exp(-z))
kl = (p * (z - w) + numpy.logaddexp(0, w) - numpy.logaddexp(0, z)).sum(1).mean()
assert abs(record["kl"] - kl) < 1e-4 * kl and "of each label" in record["protocol"]["kl"], record

# Endings without logits are distilled on what they are.
for name in ("sigmoid", "mean"):
    run(name)
_, record = run("boxes", evaluate=False)
assert record["model"]["outputs"][0]["meaning"] == "values"
refused("boxes", ["[n, 5, 2]", "holds values", "model.outputs: [{name: b, meaning: logits}]"])
refused("boxes", ["wants one score per class", "[n, 5, 2]"], model=", outputs: [{name: b, meaning: logits}]")
refused("boxes", ["compress.output_weighting wants the gradients"], evaluate=False, compress="bits: 2, output_weighting: {groups: 2}")

# Several outputs: all are compared and learned from, unless some are chosen; what those do not need is told and not counted.
refused("two", ["one output, and the model has 2", "model.outputs: [{name: o}]"])
_, record = run("two", evaluate=False)
assert [each["name"] for each in record["model"]["outputs"]] == ["o", "z"] and "left_out" not in record["model"], record["model"]
call("jlcm-eval", models["two"], "--task", "outputs", "--dataset", images, "--compute", "float32", "--set", "write=two.npz", "--set", "noise_floor=true", "--json", "eval.json")
record = json.loads(Path("eval.json").read_text())
outputs = record["models"]["compressed"]["outputs"]
assert set(outputs) == {"o", "z"} and outputs["z"]["relative_squared_error"] == 0, record
if "avx512_bf16" in Path("/proc/cpuinfo").read_text():
    assert 0 < outputs["z"]["noise_floor_kl_median"] < outputs["z"]["noise_floor_kl_p99"] < 0.1, outputs
assert numpy.abs(numpy.load("two.npz")["model_0:z"] - outputs_of(models["logits"])).max() < 1e-4
made = jlcm.open(models["two"]).run(x=x)  # one run of the network makes both
assert numpy.abs(made["z"] - outputs_of(models["logits"])).max() < 1e-4 and made["o"].shape == (count, 50), made
assert numpy.abs(made["o"][:, 0] - made["o"][:, 49]).max() < 1e-4
refused("two", ["no output 'y'", "'o' [n, 50], 'z' [n, 10]"], model=", outputs: [{name: y}]")
directory, record = run("two", model=", outputs: [{name: z}]")
left = record["model"]["left_out"]
assert left == {"outputs": ["o"], "nodes": 1, "weights": 400, "bytes": 1600, "tensors": ["other"]}, left
assert "left out: outputs o, 400 weights" in (directory / "log.txt").read_text()
assert record["evaluations"][0]["kl"] == expected["evaluations"][0]["kl"]
size = models["two"].stat().st_size
assert record["footprint"]["source_bytes"] == size - 1600, record["footprint"]
printed, _ = call("jlcm-run", spec("two", model=", outputs: [{name: z}]"), "--dry-run")
assert "output 'z' [n, 10]: logits" in printed and "left out: outputs o" in printed, printed
_, said = call("jlcm-eval", models["two"], "--task", "classification", "--dataset", images, code=2)
assert "--output o of jlcm-eval" in said, said
call("jlcm-eval", models["two"], "--output", "z", "--task", "classification", "--dataset", images)

# Everything that is wrong is told at once.
path = spec("boxes")
text = path.read_text().replace(f"dataset: {images}, sequences", "dataset: {type: image_folder, path: ./nowhere}, sequences")
missing = "{type: classification, dataset: {type: cifar10, path: ./missing.bin}}, "
path.write_text(text.replace("evaluate: [", "evaluate: [" + missing))
for arguments in (("--dry-run",), ("--out", "refused")):
    _, said = call("jlcm-run", path, *arguments, code=2)
    for says in ("nowhere", "missing.bin", "holds values"):
        assert says in said, said
assert not Path("refused").exists()
print("outputs mean what they are")
