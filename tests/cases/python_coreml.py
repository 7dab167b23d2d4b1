"""Artifacts of ONNX models as Core ML packages: weights as coremltools decodes them, outputs by a reference of MIL in
numpy, sizes, and what is refused. Core ML itself predicts on macOS alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import SOURCE, call, run_directory

need_packages("numpy", "coremltools")
import coremltools
import jlcm
import jlcm.coreml
import mil_reference
import numpy as np
from coremltools.converters.mil.mil.ops.defs.iOS18.compression import constexpr_lut_to_dense
from core_ml_package import bytes_of, program_of, same
from drawn_matrix import drawn
from jlcm import coreml_palette, coreml_weights
from jlcm.coreml_operators import OPERATORS
from jlcm.format import Artifact, Encoded, Layout, Matrix

random = np.random.default_rng(5)
WIDTHS = coreml_weights.INDEX_WIDTHS["ios18"]


def palettes():
    """Of every layout: coremltools decodes the tables to the format's values, to the bit, or the reason is said."""
    refused = 0
    for _ in range(300):
        rows, cols = int(random.choice([8, 12, 15])), int(random.choice([16, 24, 36]))
        matrix, _ = drawn(random, rows, cols)
        shapes = [(rows, cols), (rows, cols, 1, 1)] + ([(rows, 4, 3, cols // 12)] if cols % 12 == 0 else [])
        shape = shapes[random.integers(len(shapes))]
        try:
            made = coreml_palette.palette(matrix, shape, WIDTHS, np.dtype(np.float32), one_table=False)
        except jlcm.InputError as error:
            assert "codebooks" in str(error) or "outliers" in str(error) or "codewords" in str(error), error
            refused += 1
            continue
        assert made.tables.shape[-2] == 1 << made.bits
        decoded = constexpr_lut_to_dense.decompress(made.indices, made.tables, np.int32(made.vector_axis))
        same(decoded, matrix.decode().reshape(shape))
    assert 30 < refused < 270, refused
    least = Matrix.of_codes(Layout(1, 1, bits=1), np.ones((1, 1, 1), np.uint8), np.float16([[[[1], [2]]]]))
    made = coreml_palette.palette(least, (1, 1), WIDTHS, np.dtype(np.float16), one_table=False)
    same(constexpr_lut_to_dense.decompress(made.indices, made.tables, None), np.float16([[2]]))


def compressed(name, network, compress):
    np.savez("x.npz", x=random.normal(size=(8, 1, 28, 28)).astype(np.float32))
    data = {"type": "tensors", "path": "./x.npz", "array": "x"}
    spec = {
        "version": 1, "name": name, "compute": "float32", "model": {"source": str(SOURCE / f"models/{network}.onnx")},
        "calibration": {"dataset": data, "sequences": 8}, "compress": {**compress, "learn": None}, "evaluate": [],
    }  # fmt: skip
    Path(f"{name}.json").write_text(json.dumps(spec))
    shutil.rmtree(f"out_{name}", ignore_errors=True)
    call("jlcm-run", f"{name}.json", "--out", f"out_{name}")
    return run_directory(f"out_{name}") / "artifact.safetensors"


def outputs(path, inputs):
    """What jlcm computes at float32."""
    np.savez("x.npz", **inputs)
    data = "{type: tensors, path: ./x.npz}"
    call(
        "jlcm-eval", path, "--task", "outputs", "--dataset", data, "--set", "write=outputs.npz", "--compute", "float32"
    )
    return np.load("outputs.npz")


def check_outputs(path, program, shapes, bound):
    """Of inputs of these shapes by name, which are those of one sample."""
    inputs = {name: random.normal(size=(3, *shape)).astype(np.float32) for name, shape in shapes.items()}
    ours = outputs(path, inputs)
    samples = [mil_reference.run(program, {name: x[i : i + 1] for name, x in inputs.items()}) for i in range(3)]
    assert len(ours.files) == len(samples[0])
    for name in samples[0]:
        expected = ours["model_0" if len(ours.files) == 1 else f"model_0:{name}"]
        made = np.concatenate([sample[name] for sample in samples])
        assert made.shape == expected.shape and np.isfinite(expected).all()
        assert np.abs(made - expected).max() < bound * np.abs(expected).max(), (name, np.abs(made - expected).max())


def networks():
    """The shipped networks: weights, outputs, and a package as large as the artifact."""
    groups = {"bits": 3, "grouping": {"type": "distribution", "groups": 8}, "reorder": {}, "codebook_init": "kmeans"}
    for network, compress, compute, bound in (
        ("resnet20-fashion-mnist", {**groups, "solver": "nearest_codeword"}, "float16", 5e-3),
        ("vit-fashion-mnist", {"bits": 4, "solver": "rtn", "grouping": "per_row"}, "float32", 1e-4),
    ):
        path = compressed(network[:3], network, compress)
        package = f"{network}.mlpackage"
        artifact, program = program_of(path, package, compute=compute)
        check_outputs(path, program, {next(iter(program.functions["main"].inputs)): (1, 28, 28)}, bound)
        if compute == "float16":
            size, whole = bytes_of(package), path.stat().st_size
            assert size < 1.05 * whole, (size, whole)
            transposed = program.functions["main"].find_ops(op_type="transpose")
            assert len(transposed) <= 2, "those between the layouts of images cancel"


def from_export():
    """jlcm-export writes the same package, and passes on what is refused."""
    path = Sketch([1, 2]).identity("exported.safetensors")
    os.environ["PYTHONPATH"] = str(SOURCE / "python")
    os.environ["JLCM_PYTHON"] = sys.executable
    for type, compute in (("f16", "float16"), ("f32", "float32")):
        call("jlcm-export", path, "exported.mlpackage", "--format", "coreml", "--type", type)
        jlcm.coreml.export(path, "own.mlpackage", compute=compute)
        read = [mil_reference.run(mil_reference.read(package), {"x": np.float32([[3, 4]])}) for package in ("exported.mlpackage", "own.mlpackage")]
        same(*(next(iter(outputs.values())) for outputs in read))
    _, said = call("jlcm-export", path, "exported.onnx", "--format", "coreml", code=2)
    assert "has to end in .mlpackage" in said, said
    _, said = call("jlcm-export", path, "exported.mlpackage", "--format", "coreml", "--type", "bf16", code=2)
    assert "--type f16 or f32" in said, said
    os.environ["PYTHONPATH"] = str(Path("nothing").absolute())
    Path("nothing/jlcm").mkdir(parents=True, exist_ok=True)
    _, said = call("jlcm-export", path, "exported.mlpackage", "--format", "coreml", code=2)
    assert "pip install .[coreml]" in said, said
    os.environ["JLCM_PYTHON"] = "no-such-python"
    _, said = call("jlcm-export", path, "exported.mlpackage", "--format", "coreml", code=2)
    assert "no-such-python cannot be started" in said, said


def one_table():
    """iOS 16: a table per tensor; 5 bits, which it does not know, become 6. coremltools' own decompression
    makes plain weights of the package."""
    path = compressed("ten", "resnet20-fashion-mnist", {"bits": 5, "solver": "rtn", "grouping": "per_tensor"})
    package = "ios16.mlpackage"
    artifact, _ = program_of(path, package, form="ios16")
    model = coremltools.models.MLModel(package, skip_model_load=True)
    assert model.get_spec().specificationVersion == coremltools.target.iOS16
    coremltools.optimize.coreml.decompress_weights(model).save("plain.mlpackage")
    plain = mil_reference.read("plain.mlpackage")
    assert not mil_reference.tables(plain)
    weights = {op.outputs[0].name: op.outputs[0].val for op in plain.functions["main"].find_ops(op_type="const")}
    for name, matrix in artifact.matrices.items():
        held = weights[name.replace(".", "_").replace(":", "_")]
        same(held.reshape(matrix.layout.rows, -1), matrix.decode().astype(np.float16))


class Sketch:
    """An artifact whose graph is written down operator by operator."""

    def __init__(self, shape):
        self.artifact = Artifact(extra={"name": "sketch"}, provenance={})
        self.graph = {"input": {"name": "x", "shape": shape}, "parameters": [], "nodes": []}

    def parameter(self, shape, bits=0, residual=1):
        name = f"p{len(self.graph['parameters'])}"
        self.graph["parameters"].append(
            {"name": name, "role": "conv" if bits else "bias", "shape": list(shape), "linear": bits > 0}
        )
        if bits == 0:
            self.artifact.tensors[name] = Encoded.of_values(np.abs(random.normal(size=shape)).astype(np.float32) + 0.5)
        else:
            layout = Layout(*shape, bits=bits, row_groups=shape[0], residual=residual)
            codes = random.integers(0, 1 << bits, (residual, *shape)).astype(np.uint8)
            books = random.normal(size=(shape[0], residual, 1 << bits, 1), scale=0.3).astype(np.float16)
            books.sort(axis=2)
            self.artifact.matrices[name] = Matrix.of_codes(layout, codes, books)
        return len(self.graph["parameters"]) - 1

    def add(self, operator, *inputs, parameters=(), **attributes):
        """The number of the value that it makes; of the last one, unless inputs say another."""
        count = len(self.graph["nodes"])
        inputs = inputs or ((count,) if operator != "constant" else ())
        self.graph["nodes"].append(
            {
                "name": f"n{count}", "operator": operator, "attributes": attributes, "inputs": list(inputs),
                "parameters": list(parameters),
            }
        )  # fmt: skip
        return count + 1

    def identity(self, path):
        """Of nothing but an operator that changes nothing."""
        self.add("reshape", shape=[-1, 2])
        return self.write(path)

    def write(self, path, outputs=None):
        """`outputs`: their values by name; the last node makes what they are compared by."""
        self.graph["outputs"] = [
            {
                "name": name, "value": value, "meaning": "values", "compared": value, "compared_as": "values",
                "found": "said so",
            }
            for name, value in (outputs or {"y": len(self.graph["nodes"])}).items()
        ]  # fmt: skip
        self.artifact.config = {"model_type": "graph", "graph": self.graph}
        jlcm.format.write(path, self.artifact)
        return path


def window(kernel, stride=(1, 1), dilation=(1, 1), begin=(0, 0), end=(0, 0), ceil_mode=False):
    return {
        "kernel": kernel, "stride": stride, "dilation": dilation, "pad_begin": begin, "pad_end": end,
        "ceil_mode": ceil_mode,
    }  # fmt: skip


def operators():
    """Every operator that is translated, in one graph: what jlcm computes is what MIL's operators mean."""
    sketch = Sketch([1, 3, 13, 12])
    add, parameter = sketch.add, sketch.parameter
    add("transpose", order=[0, 2, 3, 1])
    windows = window((3, 2), stride=(1, 2), begin=(1, 0), end=(0, 1))
    add("convolution", parameters=[parameter((8, 18), 5), parameter((8,))], windows=windows, groups=1, bias=True)
    add("batch_norm", parameters=[parameter((8,)) for _ in range(4)], epsilon=1e-5)
    windows = window((3, 3), dilation=(2, 1), begin=(2, 1), end=(2, 1))
    image = add("convolution", parameters=[parameter((8, 36), 3)], windows=windows, groups=2, bias=False)
    parts = []
    for pooling, ceil_mode in (("maximum", True), ("average", True), ("average_with_padding", False)):
        windows = window((3, 3), stride=(2, 2), begin=(1, 0), end=(1, 1), ceil_mode=ceil_mode)
        add("pooling", image, windows=windows, pooling=pooling)
        parts.append(add("slice", dimension=1, begin=2 if ceil_mode else 1, count=3, step=2))  # with the last row
    add("concat", *parts, dimension=2)
    add("pad", before=[0, 1, 0, 0], behind=[0, 0, 2, 0], mode="constant", value=0.25)
    add("reduce", dimensions=[1], keep=True, reduction="sum")
    add("reshape", shape=[-1, 11, 8])
    kept = add("layer_norm", parameters=[parameter((8,)), parameter((8,))], epsilon=1e-5, affine=True)
    for kind, constants in {
        "relu": {}, "silu": {}, "gelu": {}, "gelu_tanh": {}, "tanh": {}, "sigmoid": {}, "hard_swish": {},
        "softplus": {}, "exponential": {}, "absolute": {}, "erf": {}, "clip": {"a": -1.5, "b": 1.25},
        "leaky_relu": {"a": 0.1}, "hard_sigmoid": {"a": 0.2, "b": 0.5}, "elu": {"a": 0.7},
        "affine": {"a": -0.5, "b": 0.125}, "soft_cap": {"a": 3.0},
    }.items():  # fmt: skip
        add("subtract", kept, add(kind, kept, **constants))
        kept = add("layer_norm", epsilon=1e-5, affine=False)
    positive = add("affine", add("absolute", kept), a=1.0, b=0.5)
    quotient = add("divide", kept, add("power", positive, a=0.75))
    kept = add("multiply", quotient, add("logarithm", positive))
    kept = add("silu_multiply", kept, add("maximum", kept, add("minimum", positive, quotient)))
    rows = add("linear", kept, parameters=[parameter((8, 8), 4)], bias=False)
    turned = add("transpose", kept, order=[0, 2, 1])
    add("matmul", rows, turned)
    mixed = add("matmul", add("softmax"), rows)
    token = add("expand", add("constant", parameters=[parameter((1, 8))]), mixed, shape=[-1, 2, 8])
    add("concat", token, add("add", mixed, kept), dimension=1)
    add("reduce", dimensions=[1], keep=False, reduction="mean")
    add("linear", parameters=[parameter((5, 8), 6), parameter((5,))], bias=True)
    add("log_softmax")
    written = {each["operator"] for each in sketch.graph["nodes"]}
    assert written == set(OPERATORS), written ^ set(OPERATORS)
    path = sketch.write("sketch.safetensors")
    _, program = program_of(path, "sketch.mlpackage", compute="float32")
    check_outputs(path, program, {"x": (3, 13, 12)}, 1e-4)


def shared_constants():
    """Equal constants are one, strides of operators among them; tensors that differ in the last bit are two."""
    sketch = Sketch([1, 128])
    for values in (6e-8, 6e-8, 1.2e-7):
        sketch.add("constant", parameters=[sketch.parameter((1, 128))])
        name = sketch.graph["parameters"][-1]["name"]
        sketch.artifact.tensors[name] = Encoded.of_values(np.full((1, 128), values, np.float32))
        sketch.add("add", len(sketch.graph["nodes"]) - 1, len(sketch.graph["nodes"]))
    _, program = program_of(sketch.write("shared.safetensors"), "shared.mlpackage")
    constants = [op.outputs[0].val for op in program.functions["main"].find_ops(op_type="const")]
    tensors = sorted(float(value.flat[0]) for value in constants if np.size(value) == 128)
    assert tensors == [float(np.float16(6e-8)), float(np.float16(1.2e-7))], tensors
    small = [(str(np.asarray(value).dtype), np.asarray(value).tobytes()) for value in constants]
    assert len(set(small)) == len(small), small


def several():
    """Inputs and outputs by name; what outputs are merely compared by is not translated."""
    sketch = Sketch([1, 18])
    shapes = {"image": (3, 4), "memory": (6,)}
    sketch.graph["inputs"] = [
        {"name": name, "shape": list(shape), "kind": "number"} for name, shape in shapes.items()
    ]  # fmt: skip
    add, parameter = sketch.add, sketch.parameter
    image = add("reshape", add("slice", 0, dimension=1, begin=0, count=12, step=1), shape=[-1, 3, 4])
    memory = add("slice", 0, dimension=1, begin=12, count=6, step=1)
    mixed = add("linear", image, parameters=[parameter((6, 4), 4)], bias=False)
    sums = add("reduce", mixed, dimensions=[1], keep=False, reduction="sum")
    moved = add("add", sums, memory)
    add("concat", add("reshape", mixed, shape=[-1, 18]), moved, dimension=1)
    path = sketch.write("several.safetensors", {"mixed": mixed, "moved": moved})
    for compute, bound in ("float32", 1e-5), ("float16", 1e-2):
        _, program = program_of(path, "several.mlpackage", compute=compute)
        check_outputs(path, program, shapes, bound)
        widths = [op.outputs[0].shape for op in program.functions["main"].find_ops(op_type="concat")]
        assert widths == [(1, 18)], "of the inputs, not of the outputs"


def refusals():
    """All that Core ML has no form for is named at once; the command exits with code 2 and leaves nothing."""
    sketch = Sketch([1, 24])
    for _ in range(2):
        sketch.add("linear", parameters=[sketch.parameter((24, 24), 8, residual=2)], bias=False)
        sketch.add("sine")
    windows = window((1,), dilation=(2,))
    sketch.add("pooling", windows=windows, pooling="maximum")
    path = sketch.write("refused.safetensors")
    command = [sys.executable, "-m", "jlcm.coreml", path, "refused.mlpackage"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(SOURCE / "python")}
    )
    assert done.returncode == 2 and not Path("refused.mlpackage").exists(), done.stderr
    said = done.stderr
    for text in (
        "p0: 2 codebooks are added up",
        "p1: 2 codebooks",
        "'sine' (as in n1)",
        "different values",
        "dilation",
    ):
        assert text in said, said
    assert "n3" not in said, "an operator is named once"
    Path("file").touch()
    assert jlcm.coreml.main([str(Sketch([1, 2]).identity("good.safetensors")), "file/out.mlpackage"]) == 3

    def refused(text, artifact, out="refused.mlpackage", **options):
        try:
            jlcm.coreml.export(artifact, out, **options)
        except jlcm.InputError as error:
            assert text in str(error), error
        else:
            raise AssertionError(f"not refused: {text}")

    refused("the configuration is not a JSON object", Artifact())
    refused("is no language model", path, context=8)
    refused("has to end in .mlpackage", path, out="refused.onnx")
    refused("form 'ios17'", path, form="ios17")
    refused("compute is 'int8'", path, compute="int8")
    single = Sketch([1, 24])
    single.add("linear", parameters=[single.parameter((24, 24), 8), single.parameter((24,))], bias=True)
    refused("one table holds 256", single.write("single.safetensors"), form="ios16")
    single.artifact.tensors["p1"] = Encoded.of_values(np.full(24, 1e6, np.float32))
    refused("p1: some values are not finite in float16", single.write("large.safetensors"))
    assert not Path("refused.mlpackage").exists()


palettes()
refusals()
operators()
shared_constants()
several()
networks()
one_table()
from_export()
