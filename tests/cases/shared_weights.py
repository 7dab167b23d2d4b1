"""A weight that layers of several blocks share is one weight, of the first of these blocks: solved once, left as it is by the others,
stored once; in parts as in one run."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SKIPPED, call, run_directory

try:
    import numpy
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    print("SKIPPED: no onnx, onnxruntime and numpy (JLCM_PYTHON)")
    sys.exit(SKIPPED)

for earlier in ("whole", "parts", "single"):
    shutil.rmtree(earlier, ignore_errors=True)
random = numpy.random.default_rng(3)
width, layers = 32, 4
constants = {name: random.standard_normal((width, width)).astype(numpy.float32) / 4 for name in ("shared", "own1", "own3")}
nodes = []
for layer in range(layers):
    name = "shared" if layer % 2 == 0 else f"own{layer}"
    if layer == 2:  # by another name
        nodes.append(helper.make_node("Identity", ["shared"], ["again"]))
        name = "again"
    nodes.append(helper.make_node("MatMul", ["x" if layer == 0 else f"r{layer - 1}", name], [f"m{layer}"]))
    nodes.append(helper.make_node("Tanh", [f"m{layer}"], [f"r{layer}"]))
sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name in ("x", f"r{layers - 1}")]
graph = helper.make_graph(nodes, "net", sides[:1], sides[1:], [numpy_helper.from_array(value, name) for name, value in constants.items()])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "net.onnx")
x = random.standard_normal((96, width)).astype(numpy.float32)
numpy.savez("x.npz", x=x)
data = {"type": "tensors", "path": str(Path("x.npz").resolve())}
spec = {
    "version": 1, "name": "net", "model": {"source": str(Path("net.onnx").resolve())}, "calibration": {"dataset": data, "sequences": 64},
    "compress": {"bits": 3, "solver": "lnq", "learn": {"steps": 20, "batch": 8, "inputs": "original"}}, "evaluate": [{"type": "outputs", "dataset": data}],
}  # fmt: skip
Path("spec.json").write_text(json.dumps(spec))

call("jlcm-run", "spec.json", "--out", "whole", "--no-cache")
metrics = [json.loads(line) for line in (run_directory("whole") / "metrics.jsonl").read_text().splitlines()]
assert [each["weight"] for each in metrics if each["stage"] == "solve"] == ["shared", "own1", "own3"], metrics
assert {each["block"] for each in metrics if each["stage"] == "learn"} == {0, 1, 3}, metrics
result = json.loads((run_directory("whole") / "result.json").read_text())
assert 0 < result["evaluations"][0]["compressed"] < 0.2, result["evaluations"]

# The block whose weight is another's is left to the run itself.
said = ""
for blocks in ("1-3", "0"):
    _, more = call("jlcm-run", "spec.json", "--out", "parts", "--no-cache", "--blocks", blocks)
    said += more
assert "block 2 shares weights with a block that is compressed elsewhere, and is left" in said, said
call("jlcm-run", "spec.json", "--out", "parts", "--no-cache")
for name in ("artifact.safetensors", "metrics.jsonl"):
    assert (run_directory("parts") / name).read_bytes() == (run_directory("whole") / name).read_bytes(), name

# Back in the file, it is what every reader reads.
artifact = run_directory("whole") / "artifact.safetensors"
call("jlcm-export", artifact, "out.onnx", "--format", "onnx", "--type", "f32")
call("jlcm-eval", artifact, "--task", "outputs", "--dataset", json.dumps(data), "--set", "write=ours.npz", "--compute", "float32", "--meaning", "values")
ours = numpy.load("ours.npz")["model_0"]
(theirs,) = onnxruntime.InferenceSession("out.onnx").run(None, {"x": x})
assert numpy.abs(ours - theirs).max() < 1e-5
