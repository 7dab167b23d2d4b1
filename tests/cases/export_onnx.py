"""ONNX in, ONNX out: networks of every kind of weight, compressed, exported decoded and compact, and run by ONNX Runtime beside jlcm."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SKIPPED, call, run_directory

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    print("SKIPPED: no ONNX Runtime (JLCM_PYTHON)")
    sys.exit(SKIPPED)

random = np.random.default_rng(3)
SAMPLES = 6


def weight(*shape, kind=np.float32):
    return random.normal(size=shape, scale=1 / np.sqrt(np.prod(shape[1:]))).astype(kind)


def build(name, opset, ir_version, external=False):
    """Convolutions (plain, depthwise, transposed), a norm behind one, Gemm with factors and without, MatMul on either side, a weight
    that nodes make of others, one weight read twice (by another name), one in float16, one of quantised levels, one in a Constant node."""
    constants = {
        "conv.w": weight(8, 3, 3, 3), "conv.b": weight(8, 1)[:, 0], "bn.scale": weight(8, 1)[:, 0] + 1, "bn.shift": weight(8, 1)[:, 0],
        "bn.mean": weight(8, 1)[:, 0], "bn.var": np.abs(weight(8, 1)[:, 0]) + 0.5, "depth.w": weight(8, 1, 3, 3),
        "up.w": weight(8, 4, 2, 2), "flat": np.array([0, -1], np.int64), "gemm.w": weight(20, 256), "gemm.b": weight(20, 1)[:, 0],
        "plain.w": weight(20, 21), "turned.base": weight(21, 18), "twice.w": weight(18, 18), "twice.b": weight(18, 1)[:, 0], "half.w": weight(18, 16, kind=np.float16),
    }
    nodes = [
        ("Conv", ["x", "conv.w", "conv.b"], "c0", {"pads": [1, 1, 1, 1]}),
        ("BatchNormalization", ["c0", "bn.scale", "bn.shift", "bn.mean", "bn.var"], "c1", {}),
        ("Relu", ["c1"], "c2", {}),
        ("Conv", ["c2", "depth.w"], "c3", {"group": 8, "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("ConvTranspose", ["c3", "up.w"], "c4", {"strides": [2, 2]}),
        ("Relu", ["c4"], "c5", {}),
        ("Reshape", ["c5", "flat"], "f0", {}),
        ("Gemm", ["f0", "gemm.w", "gemm.b"], "f1", {"transB": 1, "alpha": 0.5}),
        ("Relu", ["f1"], "f2", {}),
        ("MatMul", ["f2", "plain.w"], "f3", {}),
        ("Transpose", ["turned.base"], "turned.w", {"perm": [1, 0]}),
        ("Transpose", ["turned.w"], "turned.again", {"perm": [1, 0]}),
        ("MatMul", ["f3", "turned.again"], "f4", {}),
        ("Relu", ["f4"], "f5", {}),
        ("MatMul", ["f5", "twice.w"], "f6", {}),
        ("Identity", ["twice.w"], "twice.again", {}),
        ("Gemm", ["f6", "twice.again", "twice.b"], "f7", {"transB": 1}),
        ("Cast", ["half.w"], "half.wide", {"to": TensorProto.FLOAT}),
        ("MatMul", ["f7", "half.wide"], "f8", {}),
    ]
    last = "f8"
    made = [helper.make_node(kind, inputs, [output], name=f"{kind}/{output}", **attributes) for kind, inputs, output, attributes in nodes]
    made.append(helper.make_node("Constant", [], ["held.w"], name="held", value=numpy_helper.from_array(weight(16, 12), "held")))
    made.append(helper.make_node("MatMul", [last, "held.w"], ["f9"], name="MatMul/f9"))
    last = "f9"
    if opset >= 13:
        constants["levels"] = random.integers(-127, 128, size=(12, 10)).astype(np.int8)
        constants["level.scale"] = np.abs(weight(10, 1)[:, 0]).astype(np.float32) / 100
        constants["level.zero"] = np.zeros(10, np.int8)
        made.append(helper.make_node("DequantizeLinear", ["levels", "level.scale", "level.zero"], ["level.w"], axis=1, name="dequantize"))
        made.append(helper.make_node("MatMul", [last, "level.w"], ["y"], name="MatMul/y"))
    else:
        constants["last.w"] = weight(12, 10)
        made.append(helper.make_node("MatMul", [last, "last.w"], ["y"], name="MatMul/y"))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])]
    if ir_version < 4:
        inputs += [helper.make_tensor_value_info(k, numpy_helper.from_array(v).data_type, v.shape) for k, v in constants.items()]
    graph = helper.make_graph(made, name, inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
                              [numpy_helper.from_array(v, k) for k, v in constants.items()], doc_string="a graph of every kind")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version, producer_name="somebody")
    helper.set_model_props(model, {"labels": "a,b,c", "stride": "2"})
    onnx.checker.check_model(model)
    path = Path(f"{name}.onnx")
    if external:
        onnx.save(model, path, save_as_external_data=True, location=f"{name}.data", size_threshold=100)
    else:
        onnx.save(model, path)
    return path


def save(name, nodes, constants, opset=17, batch="n"):
    """x [batch, 3, 8, 8] to y [batch, 10] by nodes (type, inputs, outputs, attributes)."""
    made = [helper.make_node(kind, inputs, outputs, name=f"{kind}/{outputs[0]}", **attributes) for kind, inputs, outputs, attributes in nodes]
    graph = helper.make_graph(made, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 10])], [numpy_helper.from_array(v, k) for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, f"{name}.onnx")
    return Path(f"{name}.onnx")


def recurrent(name):
    """An LSTM in both directions, a GRU whose reset lies behind its product, a GRU and an RNN that read from the end."""
    steps, width = 24, 8
    return save(name, [
        ("Reshape", ["x", "steps"], ["s0"], {}), ("Transpose", ["s0"], ["s1"], {"perm": [1, 0, 2]}),
        ("LSTM", ["s1", "lw", "lr", "lb"], ["s2"], {"hidden_size": 6, "direction": "bidirectional"}), ("Transpose", ["s2"], ["s3"], {"perm": [0, 2, 1, 3]}),
        ("Reshape", ["s3", "joined"], ["s4"], {}), ("GRU", ["s4", "gw", "gr", "gb"], ["s5"], {"hidden_size": 5, "linear_before_reset": 1}),
        ("Squeeze", ["s5", "one"], ["s6"], {}), ("GRU", ["s6", "hw", "hr", "hb"], ["s7"], {"hidden_size": 4, "direction": "bidirectional"}),
        ("Transpose", ["s7"], ["s8"], {"perm": [0, 2, 1, 3]}), ("Reshape", ["s8", "eight"], ["s9"], {}),
        ("RNN", ["s9", "rw", "rr"], ["", "s10"], {"hidden_size": 7, "direction": "reverse"}),
        ("Squeeze", ["s10", "zero"], ["s11"], {}), ("Gemm", ["s11", "v"], ["y"], {}),
    ], {
        "steps": np.array([0, steps, width], np.int64), "joined": np.array([0, 0, 12], np.int64), "eight": np.array([0, 0, 8], np.int64),
        "one": np.array([1], np.int64), "zero": np.array([0], np.int64), "lw": weight(2, 24, width), "lr": weight(2, 24, 6), "lb": weight(2, 48),
        "gw": weight(1, 15, 12), "gr": weight(1, 15, 5), "gb": weight(1, 30), "hw": weight(2, 12, 5), "hr": weight(2, 12, 4), "hb": weight(2, 24),
        "rw": weight(1, 7, 8), "rr": weight(1, 7, 7), "v": weight(7, 10),
    })


def single(name):
    """For one sample, and nothing else: a sequence in the place of samples, which a recurrent layer, a Softmax and a mean go along."""
    return save(name, [
        ("Reshape", ["x", "steps"], ["s0"], {}), ("GRU", ["s0", "gw", "gr", "gb"], ["s1"], {"hidden_size": 5}), ("Reshape", ["s1", "rows"], ["s2"], {}),
        ("MatMul", ["s2", "v"], ["s3"], {}), ("Softmax", ["s3"], ["s4"], {"axis": 0}), ("ReduceMean", ["s3"], ["s5"], {"axes": [0], "keepdims": 1}),
        ("Mul", ["s4", "s3"], ["s6"], {}), ("Sub", ["s6", "s5"], ["s7"], {}), ("MatMul", ["s7", "u"], ["s8"], {}), ("Tanh", ["s8"], ["s9"], {}),
        ("Reshape", ["s9", "flat"], ["s10"], {}), ("MatMul", ["s10", "w"], ["y"], {}),
    ], {
        "steps": np.array([24, 1, 8], np.int64), "rows": np.array([24, 5], np.int64), "flat": np.array([1, -1], np.int64), "gw": weight(1, 15, 8),
        "gr": weight(1, 15, 5), "gb": weight(1, 30), "v": weight(5, 6), "u": weight(6, 8), "w": weight(192, 10),
    }, batch=1)


def levels(*shape):
    return random.integers(-127, 128, shape).astype(np.int8)


def dynamic(name):
    """As onnxruntime.quantization.quantize_dynamic writes it: levels of the activations found from the data, weights in eight bits."""
    nodes = []
    for i, (kind, before, attributes) in enumerate([("ConvInteger", "x", {"pads": [1, 1, 1, 1]}), ("MatMulInteger", "flat", {})]):
        q, s, z, w = f"q{i}", f"s{i}", f"z{i}", f"w{i}"
        nodes += [("DynamicQuantizeLinear", [before], [q, s, z], {}), (kind, [q, w, z, f"{w}.zero"], [f"i{i}"], attributes),
                  ("Cast", [f"i{i}"], [f"f{i}"], {"to": TensorProto.FLOAT}), ("Mul", [s, f"{w}.scale"], [f"both{i}"], {}),
                  ("Mul", [f"f{i}", f"both{i}"], [f"m{i}" if i == 0 else "y"], {})]
        if i == 0:
            nodes += [("Relu", ["m0"], ["r0"], {}), ("Flatten", ["r0"], ["flat"], {})]
    return save(name, nodes, {"w0": random.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8), "w0.zero": np.uint8(121), "w0.scale": np.float32(0.004), "w1": levels(256, 10),
                              "w1.zero": np.zeros(10, np.int8), "w1.scale": np.abs(weight(10, 1)[:, 0]) / 100})


def integer(name):
    """QLinearConv and QLinearMatMul: levels all the way."""
    return save(name, [
        ("QuantizeLinear", ["x", "s", "z"], ["q0"], {}),
        ("QLinearConv", ["q0", "s", "z", "w0", "w0.scale", "w0.zero", "s", "z", "b0"], ["q1"], {"strides": [2, 2]}), ("Reshape", ["q1", "flat"], ["q2"], {}),
        ("QLinearMatMul", ["q2", "s", "z", "w1", "w1.scale", "w1.zero", "s", "z"], ["q3"], {}), ("DequantizeLinear", ["q3", "s", "z"], ["y"], {}),
    ], {"s": np.float32(0.03), "z": np.uint8(128), "w0": levels(4, 3, 3, 3), "w0.scale": np.abs(weight(4, 1)[:, 0]) / 100, "w0.zero": np.zeros(4, np.int8),
        "b0": random.integers(-900, 900, 4).astype(np.int32), "flat": np.array([0, -1], np.int64), "w1": levels(36, 10), "w1.scale": np.float32(0.003),
        "w1.zero": np.int8(0)})


def run(path, x):
    """Sample by sample: levels that are found from the data are those of each."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": x[i:i + 1]})[0] for i in range(len(x))])


def outputs(model):
    """What jlcm computes at float32."""
    call("jlcm-eval", model, "--task", "outputs", "--dataset", "{type: tensors, path: ./x.npz, array: x}", "--set", "write=outputs.npz",
         "--compute", "float32")
    return np.load("outputs.npz")["model_0"]


def difference(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    return np.abs(a - b).max() / np.abs(b).max()


def untouched(original, exported):
    """Names, metadata and everything else but the weights."""
    a, b = onnx.load(original), onnx.load(exported)
    onnx.checker.check_model(b)
    for key in ("ir_version", "producer_name", "doc_string", "opset_import", "metadata_props"):
        assert getattr(a, key) == getattr(b, key), key
    assert a.graph.input[0] == b.graph.input[0] and a.graph.output == b.graph.output and a.graph.doc_string == b.graph.doc_string
    return a, b


x = random.normal(size=(SAMPLES, 3, 8, 8)).astype(np.float32)
np.savez("x.npz", x=x, other=x[:1])
shutil.rmtree("out", ignore_errors=True)
base = {
    "version": 1, "name": "export", "compute": "float32",
    "calibration": {"dataset": {"type": "tensors", "path": "./x.npz", "array": "x"}, "sequences": SAMPLES},
    "evaluate": [{"type": "outputs", "dataset": {"type": "tensors", "path": "./x.npz", "array": "x"}}],
}
plain = {"bits": 4, "solver": "rtn", "learn": None}
specs = {
    "plain_13": (dict(opset=13, ir_version=8), plain, {}),
    "old_7": (dict(opset=7, ir_version=3), {**plain, "bits": 3}, {}),
    "new_21": (dict(opset=21, ir_version=10, external=True), {**plain, "bits": 5}, {}),
    "folded_13": (dict(opset=13, ir_version=8), plain, {"loader": {"type": "onnx", "fold_batch_norm": True}}),
    "columns_11": (dict(opset=11, ir_version=6), {**plain, "bits": 6, "grouping": {"type": "column_groups", "size": 8}}, {}),
    "recurrent": (recurrent, plain, {}),
    "recurrent_moved": (recurrent, {**plain, "reorder": {}, "bits": 3}, {}),
    "single": (single, plain, {}),
    "single_learned": (single, {**plain, "bits": 2, "solver": "lnq", "learn": {"steps": 20, "batch": 4}, "distill": {"steps": 4, "batch": 3}}, {}),
    "dynamic": (dynamic, plain, {}),
    "integer": (integer, plain, {}),
    "kmeans_17": (dict(opset=17, ir_version=8), {**plain, "bits": 2, "reorder": {}, "grouping": {"type": "distribution"}, "solver": "lnq"}, {}),
}
chosen = sys.argv[1:] or specs
for name in chosen:
    graph, compress, model = specs[name]
    path = graph(name) if callable(graph) else build(name, **graph)
    # A rounded level may differ by one.
    rounds = graph in (dynamic, integer)
    assert difference(outputs(path), run(path, x)) < (2e-2 if rounds else 1e-5)
    spec = Path(f"{name}.json")
    spec.write_text(json.dumps({**base, "compress": compress, "model": {"source": str(path.resolve()), **model}}))
    out = Path("out") / name
    call("jlcm-run", spec, "--out", out)
    artifact = run_directory(out) / "artifact.safetensors"
    assert b"twice.again" not in artifact.read_bytes(), "a weight that is read twice is held twice"
    ours = outputs(artifact)
    assert difference(ours, run(path, x)) > 1e-3, "the weights are others"
    sizes = {}
    for form, extra in {"f32": ["--type", "f32"], "f16": ["--type", "f16"], "compact": ["--compact"]}.items():
        exported = out / f"{form}.onnx"
        _, said = call("jlcm-export", artifact, exported, "--format", "onnx", *extra)
        assert "% of the original" in said, said
        a, b = untouched(path, exported)
        error = difference(run(exported, x), ours)
        assert error < (2e-2 if rounds else 1e-4 if form != "f16" else 2e-3), (name, form, error)
        sizes[form] = exported.stat().st_size
        if form == "f32" and name == "plain_13":
            names = [node.name for node in a.graph.node]
            kept = [node.name for node in b.graph.node if node.name in names]
            gone = set(names) - set(kept)
            assert kept == [each for each in names if each not in gone], "the order of nodes"
            assert gone <= {"Identity/twice.again", "Transpose/turned.w", "Transpose/turned.again", "dequantize", "Cast/half.wide", "held"}, gone
    print(name, sizes)
    # Another file is refused.
    other = build("other", 13, 8)
    _, said = call("jlcm-export", artifact, out / "no.onnx", "--format", "onnx", "--source", other, code=2)
    assert "not the file that the artifact was made of" in said and not (out / "no.onnx").exists(), said
    # From another place.
    moved = Path(f"moved_{name}")
    shutil.rmtree(moved, ignore_errors=True)
    moved.mkdir()
    for file in Path(".").glob(f"{name}.*"):
        if file.suffix != ".json":
            shutil.move(file, moved / file.name)
    call("jlcm-export", artifact, out / "again.onnx", "--format", "onnx", "--type", "f32", "--source", moved / f"{name}.onnx")
    assert (out / "again.onnx").read_bytes() == (out / "f32.onnx").read_bytes()
_, said = call("jlcm-export", artifact, out / "no", "--format", "hf", "--compact", code=2)
assert "--format onnx" in said, said
