#!/usr/bin/env python3
"""Small ONNX models, one or a few operators each, with what ONNX Runtime makes of random inputs.

make_onnx_operators.py FOLDER writes NAME.onnx, NAME.input, NAME.output (raw float32, the dimension of samples first) and cases.json:
[{"name", "shape", "batch"}]. `batch` is null where the input's is open, as that of most is; else the file is for so many samples, and
the output what it makes of them one batch after the other. NAME__constant is the same operators on a constant, whose result is added to
the input.
"""
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])
random = np.random.default_rng(1)
cases = []


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def samples_first(session, result, parts, x):
    """Outputs of all parts; the dimension of samples is the one that goes by their number."""
    outputs = [np.atleast_1d(session.run([result], {"x": part})[0]) for part in parts]
    if len(parts) > 1 or len(x) == 1:
        return np.concatenate(outputs)
    (y,) = outputs
    try:
        one = session.run([result], {"x": x[:1]})[0]
    except Exception:  # sizes inside go by the number of samples
        return y
    changed = [d for d in range(min(y.ndim, one.ndim)) if one.shape[d] != y.shape[d]]
    return np.moveaxis(y, changed[0], 0) if changed else y


def write(name, shape, nodes, constants, result, opset, batch, x):
    """Input "x" of `shape`, of x's type, its first dimension `batch`, or open."""
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", kind, [batch or "n", *shape[1:]])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    session = session_of(model)
    parts = np.split(x, len(x) // batch) if batch else [x]
    y = samples_first(session, result, parts, x)
    onnx.save(model, folder / f"{name}.onnx")
    x.astype(np.float32).tofile(folder / f"{name}.input")
    np.ascontiguousarray(y, np.float32).tofile(folder / f"{name}.output")
    cases.append({"name": name, "shape": list(shape), "batch": batch})
    return y


def case(name, shape, nodes, constants=None, opset=17, batch=None, ids=0):
    """nodes: [(type, inputs, attributes)] in a chain: each reads "x" or names, and makes y0, y1, ...; `ids`: x holds integers below it"""
    constants = constants or {}
    made = []
    for i, (kind, inputs, attributes) in enumerate(nodes):
        attributes = dict(attributes)
        outputs = attributes.pop("_outputs", [f"y{i}"])
        made.append(helper.make_node(kind, inputs, outputs, name=f"{kind}_{i}", **attributes))
    result = made[-1].output[0]
    x = random.integers(0, ids, shape) if ids else random.normal(size=shape).astype(np.float32)
    y = write(name, shape, made, constants, result, opset, batch, x)
    if batch:
        return
    renamed = [helper.make_node(node.op_type, [{"x": "k"}.get(each, each) for each in node.input], node.output, name=node.name)
               for node in made]
    for node, original in zip(renamed, made):
        node.attribute.extend(original.attribute)
    flat = [helper.make_node("Reshape", [result, "flat"], ["row"], name="row"), helper.make_node("Add", ["x", "row"], ["sum"], name="sum")]
    write(f"{name}__constant", (2, y.size), renamed + flat, {**constants, "k": x, "flat": np.array([1, -1], np.int64)}, "sum", opset, None,
          random.normal(size=(2, y.size)).astype(np.float32))


def f(*shape, scale=1.0):
    return (random.normal(size=shape) * scale).astype(np.float32)


def i(*values):
    return np.array(values, np.int64)


def one(name, shape, kind, constants=None, opset=17, extra=(), **attributes):
    inputs = ["x", *(constants or {}), *extra]
    case(name, shape, [(kind, inputs, attributes)], constants, opset)


# Convolutions
number = 0
for groups, cin, cout in [(1, 3, 5), (2, 4, 6), (4, 4, 4), (4, 4, 8), (1, 1, 1)]:
    for kernel, strides, dilations, pads in [([3, 3], [1, 1], [1, 1], [1, 1, 1, 1]), ([3, 2], [2, 1], [1, 2], [0, 1, 2, 0]),
                                             ([1, 1], [1, 1], [1, 1], [0, 0, 0, 0]), ([1, 1], [2, 2], [1, 1], [0, 0, 0, 0]),
                                             ([2, 5], [1, 3], [2, 1], [1, 2, 1, 2])]:
        number += 1
        one(f"conv_{number}", (2, cin, 7, 9), "Conv", {"w": f(cout, cin // groups, *kernel), "b": f(cout)}, group=groups,
            kernel_shape=kernel, strides=strides, dilations=dilations, pads=pads)
for auto in ["SAME_UPPER", "SAME_LOWER", "VALID"]:
    one(f"conv_{auto}", (2, 3, 8, 7), "Conv", {"w": f(4, 3, 3, 2)}, auto_pad=auto, strides=[2, 3])
one("conv_1d", (2, 3, 11), "Conv", {"w": f(4, 3, 3), "b": f(4)}, pads=[2, 1], strides=[2], dilations=[2])
one("conv_1d_depthwise", (2, 3, 11), "Conv", {"w": f(3, 1, 4)}, group=3, pads=[2, 1])
number = 0
for groups, cin, cout in [(1, 3, 5), (2, 4, 6), (4, 4, 4)]:
    for attributes in [{}, {"strides": [2, 2]}, {"strides": [2, 3], "pads": [1, 0, 2, 1], "dilations": [1, 2]},
                       {"strides": [3, 2], "output_padding": [1, 1]}, {"strides": [2, 2], "output_shape": [9, 10]},
                       {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, {"strides": [2, 2], "auto_pad": "SAME_LOWER"}]:
        number += 1
        one(f"conv_transpose_{number}", (2, cin, 4, 5), "ConvTranspose", {"w": f(cin, cout // groups, 3, 2), "b": f(cout)},
            group=groups, **attributes)
one("conv_transpose_1d", (2, 3, 6), "ConvTranspose", {"w": f(3, 4, 5)}, strides=[3], pads=[1, 2])

# Pooling
number = 0
for kernel, strides, pads in [([2, 2], [2, 2], [0, 0, 0, 0]), ([3, 3], [2, 2], [1, 1, 1, 1]), ([3, 2], [1, 3], [1, 0, 0, 1]),
                              ([3, 3], [2, 2], [0, 0, 0, 0])]:
    for ceil in [0, 1]:
        number += 1
        common = dict(kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=ceil)
        one(f"max_pool_{number}", (2, 3, 8, 7), "MaxPool", **common)
        one(f"average_pool_{number}", (2, 3, 8, 7), "AveragePool", **common)
        if not ceil:  # ONNX Runtime counts what lies beyond the padding up to opset 18, against ONNX
            one(f"average_pool_padded_{number}", (2, 3, 8, 7), "AveragePool", count_include_pad=1, **common)
one("max_pool_dilated", (2, 3, 9, 9), "MaxPool", kernel_shape=[3, 2], dilations=[2, 3])
one("max_pool_1d", (2, 3, 9), "MaxPool", kernel_shape=[3], strides=[2], pads=[1, 1])
one("average_pool_same", (2, 3, 9, 8), "AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
one("global_average_pool", (2, 3, 5, 4), "GlobalAveragePool")
one("global_max_pool", (2, 3, 5, 4), "GlobalMaxPool")

# Element-wise
for kind, attributes in [("Relu", {}), ("Tanh", {}), ("Sigmoid", {}), ("LeakyRelu", {}), ("LeakyRelu", {"alpha": 0.3}), ("Elu", {}),
                         ("HardSigmoid", {}), ("HardSwish", {}), ("Softplus", {}), ("Erf", {}), ("Exp", {}), ("Abs", {}), ("Neg", {}),
                         ("Reciprocal", {})]:
    one(f"{kind.lower()}_{len(cases)}", (2, 3, 4), kind, **attributes)
case("sqrt_log", (2, 5), [("Exp", ["x"], {}), ("Sqrt", ["y0"], {}), ("Log", ["y1"], {})])
case("pow", (2, 5), [("Pow", ["x", "e"], {})], {"e": np.float32(2)})
one("clip", (2, 3, 4), "Clip", {"low": np.float32(-0.3), "high": np.float32(0.6)})
one("clip_attributes", (2, 3, 4), "Clip", opset=10, min=-0.3, max=0.6)
one("prelu", (2, 3, 4, 4), "PRelu", {"slope": f(3, 1, 1)})
for kind in ["Add", "Sub", "Mul", "Div"]:
    for shape in [(3, 4, 5), (4, 1), (5,), (), (1, 3, 1, 1), (1,)]:
        one(f"{kind.lower()}_{len(cases)}", (2, 3, 4, 5), kind, {"c": np.abs(f(*shape)) + np.float32(0.5)})
    case(f"{kind.lower()}_from", (2, 3, 4), [(kind, ["c", "x"], {})], {"c": f(4)})
    case(f"{kind.lower()}_number_from", (2, 3, 4), [(kind, ["c", "x"], {})], {"c": np.float32(1.5)})
case("identity", (2, 3), [("Relu", ["x"], {}), ("Identity", ["y0"], {})])
case("sum_min_max", (2, 3), [("Sum", ["x", "a", "b"], {}), ("Min", ["y0", "x"], {}), ("Max", ["y1", "a", "x"], {})],
     {"a": f(3), "b": f(1)})
case("silu", (2, 3, 4), [("Sigmoid", ["x"], {}), ("Mul", ["x", "y0"], {})])
case("gelu", (2, 3, 4), [("Div", ["x", "r"], {}), ("Erf", ["y0"], {}), ("Add", ["y1", "one"], {}), ("Mul", ["x", "y2"], {}),
                         ("Mul", ["y3", "half"], {})], {"r": np.float32(2 ** 0.5), "one": np.float32(1), "half": np.float32(0.5)})

# Normalisation
one("batch_norm", (2, 3, 4, 5), "BatchNormalization", {"s": f(3), "b": f(3), "m": f(3), "v": np.abs(f(3))}, epsilon=1e-3)
one("batch_norm_2d", (4, 3), "BatchNormalization", {"s": f(3), "b": f(3), "m": f(3), "v": np.abs(f(3))}, opset=9)
one("instance_norm", (2, 3, 4, 5), "InstanceNormalization", {"s": f(3), "b": f(3)})
one("layer_norm", (2, 3, 6), "LayerNormalization", {"s": f(6), "b": f(6)}, axis=-1)
one("layer_norm_wide", (2, 3, 6), "LayerNormalization", {"s": f(3, 6)}, axis=1, epsilon=1e-2)
case("layer_norm_decomposed", (2, 3, 6),
     [("ReduceMean", ["x"], {"axes": [-1]}), ("Sub", ["x", "y0"], {}), ("Pow", ["y1", "two"], {}), ("ReduceMean", ["y2"], {"axes": [-1]}),
      ("Add", ["y3", "e"], {}), ("Sqrt", ["y4"], {}), ("Div", ["y1", "y5"], {}), ("Mul", ["y6", "s"], {}), ("Add", ["y7", "b"], {})],
     {"two": np.float32(2), "e": np.float32(1e-5), "s": f(6), "b": f(6)})
case("group_norm", (2, 6, 4, 5),
     [("Shape", ["x"], {}), ("Reshape", ["x", "groups"], {}), ("InstanceNormalization", ["y1", "ones", "zeros"], {}),
      ("Reshape", ["y2", "y0"], {}), ("Mul", ["y3", "s"], {}), ("Add", ["y4", "b"], {})],
     {"groups": i(0, 3, -1), "ones": np.ones(3, np.float32), "zeros": np.zeros(3, np.float32), "s": f(6, 1, 1), "b": f(6, 1, 1)})
one("lrn", (2, 7, 3, 2), "LRN", size=5, alpha=0.3, beta=0.6, bias=1.5)
for axis in [-1, 1, 2]:
    one(f"softmax_{axis}", (2, 3, 4), "Softmax", axis=axis)
    one(f"softmax_old_{axis}", (2, 3, 4), "Softmax", opset=11, axis=axis)
one("log_softmax", (2, 3, 4), "LogSoftmax", axis=1)
one("log_softmax_old", (2, 3, 4), "LogSoftmax", opset=11, axis=1)
# Probabilities below float32's smallest number.
case("log_softmax_wide", (2, 3, 4), [("Mul", ["x", "s"], {}), ("LogSoftmax", ["y0"], {"axis": 2})], {"s": np.float32(300)})

# Shapes
one("reshape", (2, 3, 4), "Reshape", {"s": i(0, 2, -1)})
one("reshape_channels", (2, 4, 3, 3), "Reshape", {"s": i(0, 2, 2, 9)})
for axis in [1, 2, -1]:
    one(f"flatten_{axis}", (2, 3, 4), "Flatten", axis=axis)
one("transpose", (2, 3, 4, 5), "Transpose", perm=[0, 2, 3, 1])
one("transpose_back", (2, 3, 4), "Transpose")
one("squeeze", (2, 1, 3, 1), "Squeeze", {"a": i(1)})
one("squeeze_old", (2, 1, 3, 1), "Squeeze", opset=11, axes=[1, -1])
one("unsqueeze", (2, 3), "Unsqueeze", {"a": i(1, -1)})
one("slice", (2, 5, 6), "Slice", {"s": i(1, -1), "e": i(4, -9), "a": i(1, 2), "t": i(2, -2)})
one("slice_old", (2, 5, 6), "Slice", opset=9, starts=[1], ends=[9223372036854775807], axes=[1])
for mode in ["constant", "reflect", "edge"]:
    one(f"pad_{mode}", (2, 3, 4, 5), "Pad", {"p": i(0, 0, 2, 1, 0, 0, 1, 3)}, mode=mode)
one("pad_value", (2, 3, 4), "Pad", {"p": i(0, 1, -1, 0, 2, 1), "v": np.float32(1.5)})
one("pad_old", (2, 3, 4), "Pad", opset=10, pads=[0, 1, 0, 0, 0, 2], value=0.5)
one("gather", (2, 5, 4), "Gather", {"i": i(3, 0, -1, 1, 2)}, axis=1)
one("gather_one", (2, 5, 4), "Gather", {"i": np.int64(2)}, axis=1)
one("gather_matrix", (2, 5, 4), "Gather", {"i": i(3, 0, 1, 1).reshape(2, 2)}, axis=2)
one("concat", (2, 3, 4), "Concat", extra=["x", "x"], axis=2)
case("concat_constant", (2, 3, 4), [("Mul", ["x", "two"], {}), ("Concat", ["x", "y0"], {"axis": 1})], {"two": np.float32(2)})
case("split", (2, 6, 4), [("Split", ["x", "s"], {"axis": 1, "_outputs": ["a", "b"]}), ("ReduceSum", ["a", "axes"], {}), ("Add", ["y1", "b"], {})],
     {"s": i(2, 4), "axes": i(1)})
case("split_equal", (2, 6, 4), [("Split", ["x"], {"axis": 1, "_outputs": ["a", "b", "c"]}), ("Sub", ["c", "a"], {})])
for kind in ["ReduceMean", "ReduceMax", "ReduceMin"]:
    for axes in [[1], [2, 3], [1, 3]]:
        for keep in [0, 1]:
            one(f"{kind.lower()}_{len(cases)}", (2, 3, 4, 5), kind, axes=axes, keepdims=keep)
one("reduce_sum", (2, 3, 4), "ReduceSum", {"a": i(-1)}, keepdims=0)
for kind in ["ReduceL1", "ReduceL2", "ReduceSumSquare"]:
    one(f"{kind.lower()}", (2, 3, 4, 5), kind, axes=[1, 3], keepdims=0)
for mode in ["DCR", "CRD"]:
    one(f"depth_to_space_{mode}", (2, 8, 3, 2), "DepthToSpace", blocksize=2, mode=mode)
one("space_to_depth", (2, 3, 4, 6), "SpaceToDepth", blocksize=2)
case("weight_norm", (2, 4), [("ReduceL2", ["v"], {"axes": [1]}), ("Div", ["v", "y0"], {}), ("Mul", ["y1", "g"], {}), ("Gemm", ["x", "y2"], {"transB": 1})],
     {"v": f(5, 4), "g": f(5, 1)})
case("shape_arithmetic", (2, 6, 4),
     [("Shape", ["x"], {}), ("Gather", ["y0", "zero"], {}), ("Unsqueeze", ["y1", "first"], {}), ("Gather", ["y0", "one"], {}),
      ("Div", ["y3", "two"], {}), ("Cast", ["y4"], {"to": TensorProto.INT64}), ("Unsqueeze", ["y5", "first"], {}),
      ("Concat", ["y2", "y6", "rest"], {"axis": 0}), ("Reshape", ["x", "y7"], {})],
     {"zero": np.int64(0), "one": np.int64(1), "two": np.int64(2), "first": i(0), "rest": i(-1)})
case("where_range", (2, 4),
     [("Range", ["zero", "four", "one"], {}), ("Equal", ["y0", "two"], {}), ("Where", ["y1", "big", "small"], {}), ("Add", ["x", "y2"], {})],
     {"zero": np.int64(0), "four": np.int64(4), "one": np.int64(1), "two": np.int64(2), "big": np.float32(9), "small": np.float32(-1)})
case("constant_of_shape", (2, 4), [("ConstantOfShape", ["s"], {}), ("Add", ["x", "y0"], {})], {"s": i(4)})

for mode in ["nearest", "linear", "cubic"]:
    for coordinates in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]:
        for sizes in [(7, 9), (3, 2)]:
            case(f"resize_{mode}_{coordinates}_{sizes[0]}", (2, 3, 4, 5), [("Resize", ["x", "", "scales"], {
                "mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": "floor"})],
                {"scales": np.array([1, 1, sizes[0] / 4, sizes[1] / 5], np.float32)})

# Products
one("gemm", (3, 4), "Gemm", {"b": f(4, 5), "c": f(5)}, alpha=0.5, beta=2.0)
one("gemm_transposed", (3, 4), "Gemm", {"b": f(5, 4), "c": f(1, 5)}, transB=1)
one("gemm_number", (3, 4), "Gemm", {"b": f(4, 5), "c": f(1)})
one("matmul", (2, 3, 4), "MatMul", {"b": f(4, 5)})
case("matmul_self", (2, 3, 4), [("Transpose", ["x"], {"perm": [0, 2, 1]}), ("MatMul", ["x", "y0"], {})])
one("matmul_batched", (2, 3, 4), "MatMul", {"b": f(1, 4, 5)})

one("matmul_vector", (2, 3, 4), "MatMul", {"b": f(4)})
case("matmul_vectors", (2, 3, 4), [("MatMul", ["a", "x"], {}), ("MatMul", ["a", "a"], {}), ("Add", ["y0", "y1"], {})], {"a": f(3)})
one("matmul_matrices", (2, 3, 4, 5), "MatMul", {"b": f(3, 5, 6)})
for shape in [(5, 3), (1, 5, 3), (3,), (1, 3)]:
    case(f"matmul_left_{len(cases)}", (2, 3, 4), [("MatMul", ["w", "x"], {}), ("Relu", ["y0"], {}), ("MatMul", ["y1", "v"], {})],
         {"w": f(*shape), "v": f(4, 6)})
case("matmul_left_of_samples", (3, 4), [("Transpose", ["x"], {}), ("MatMul", ["w", "y0"], {}), ("Transpose", ["y1"], {})], {"w": f(5, 4)})
case("matmul_left_and_right", (2, 3, 3), [("MatMul", ["w", "x"], {}), ("MatMul", ["y0", "w"], {})], {"w": f(3, 3)})
case("mixer", (2, 6, 4),
     [("MatMul", ["w1", "x"], {}), ("Add", ["y0", "b1"], {}), ("Relu", ["y1"], {}), ("MatMul", ["w2", "y2"], {}), ("Add", ["x", "y3"], {}),
      ("MatMul", ["y4", "v1"], {}), ("Relu", ["y5"], {}), ("MatMul", ["y6", "v2"], {}), ("Add", ["y4", "y7"], {})],
     {"w1": f(5, 6), "b1": f(5, 1), "w2": f(6, 5), "v1": f(4, 7), "v2": f(7, 4)})
for exchanged in [0, 1]:
    for shape in [(5, 1), (1, 1), (), None]:
        case(f"gemm_left_{len(cases)}", (3, 4),
             [*([("Transpose", ["x"], {})] if exchanged else [("Relu", ["x"], {})]),
              ("Gemm", ["w", "y0"] + (["c"] if shape is not None else []), {"transA": exchanged, "transB": 1 - exchanged, "alpha": 0.5, "beta": 2.0}),
              ("Transpose", ["y1"], {})],
             {"w": f(4, 5) if exchanged else f(5, 4), **({"c": f(*shape)} if shape is not None else {})})
case("gemm_of_two", (3, 4), [("Transpose", ["x"], {}), ("Gemm", ["y0", "x", "c"], {"alpha": 0.3, "beta": 0.7})], {"c": f(4, 4)})
case("gemm_value_added", (3, 4), [("Relu", ["x"], {}), ("Gemm", ["x", "w", "y0"], {"beta": 0.7})], {"w": f(4, 4)})

# Weights that the file works out, and what several nodes read
case("weight_standardisation", (2, 3, 6, 6),
     [("ReduceMean", ["w"], {"axes": [1, 2, 3]}), ("Sub", ["w", "y0"], {}), ("Mul", ["y1", "y1"], {}), ("ReduceMean", ["y2"], {"axes": [1, 2, 3]}),
      ("Add", ["y3", "e"], {}), ("Sqrt", ["y4"], {}), ("Div", ["y1", "y5"], {}), ("Conv", ["x", "y6"], {"pads": [1, 1, 1, 1]}),
      ("Conv", ["y7", "y6"], {}), ("Relu", ["y8"], {})],
     {"w": f(3, 3, 3, 3), "e": np.float32(1e-5)})
case("mean", (2, 3), [("Mean", ["x", "a", "x"], {})], {"a": f(3)})
case("min_of_three", (2, 3), [("Min", ["a", "b", "c"], {}), ("Max", ["b", "c", "a"], {}), ("Sum", ["a", "y0", "y1"], {}), ("Add", ["x", "y2"], {})],
     {"a": f(3), "b": f(3), "c": f(1)})
for kind in ["Sin", "Cos", "Tan", "Round", "Floor", "Ceil", "Sign"]:
    case(f"{kind.lower()}_of_constant", (2, 3), [(kind, ["c"], {}), ("Add", ["x", "y0"], {})], {"c": f(3, scale=3)})
case("integers", (2, 3),
     [("Neg", ["i"], {}), ("Split", ["y0"], {"axis": 0, "_outputs": ["p", "q"]}), ("ReduceMax", ["q"], {"axes": [0]}), ("Mod", ["p", "three"], {}),
      ("Tile", ["y3", "one"], {}), ("Add", ["y4", "y2"], {}), ("Flatten", ["y5"], {"axis": 0}), ("Cast", ["y6"], {"to": TensorProto.FLOAT}),
      ("Add", ["x", "y7"], {})],
     {"i": i(7, -5, 4, 9, -2, 1), "three": np.int64(3), "one": i(1)})

# Files for a fixed number of samples, which have it in their constants
for batch in [1, 2]:
    case(f"fixed_reshape_{batch}", (4, 3, 4, 4), [("Conv", ["x", "w"], {}), ("Reshape", ["y0", "s"], {}), ("MatMul", ["y1", "v"], {})],
         {"w": f(2, 3, 3, 3), "s": i(batch, 8), "v": f(8, 5)}, batch=batch)
    case(f"fixed_attention_{batch}", (4, 3, 8),
         [("Reshape", ["x", "heads"], {}), ("Transpose", ["y0"], {"perm": [0, 2, 1, 3]}), ("Reshape", ["y1", "joined"], {}),
          ("Transpose", ["y2"], {"perm": [0, 2, 1]}), ("MatMul", ["y2", "y3"], {}), ("Softmax", ["y4"], {"axis": -1}), ("MatMul", ["y5", "y2"], {}),
          ("Reshape", ["y6", "apart"], {}), ("Transpose", ["y7"], {"perm": [0, 2, 1, 3]}), ("Reshape", ["y8", "back"], {}), ("MatMul", ["y9", "v"], {})],
         {"heads": i(batch, 3, 2, 4), "joined": i(2 * batch, 3, 4), "apart": i(batch, 2, 3, 4), "back": i(batch, 3, 8), "v": f(8, 5)}, batch=batch)
case("fixed_flat", (3, 2, 3), [("Reshape", ["x", "s"], {}), ("MatMul", ["y0", "v"], {})], {"s": i(1, -1), "v": f(6, 4)}, batch=1)
for batch in [1, 2]:
    case(f"fixed_ids_{batch}", (4, 3), [("Gather", ["w", "x"], {}), ("ReduceSum", ["y0", "steps"], {"keepdims": 0}), ("MatMul", ["y1", "v"], {})],
         {"w": f(7, 8), "steps": i(1), "v": f(8, 5)}, batch=batch, ids=7)
case("fixed_without_batch", (3, 2, 3), [("Squeeze", ["x", "zero"], {}), ("Relu", ["y0"], {}), ("Unsqueeze", ["y1", "zero"], {}),
                                         ("Flatten", ["y2"], {"axis": 0}), ("MatMul", ["y3", "v"], {})], {"zero": i(0), "v": f(6, 4)}, batch=1)
case("fixed_token", (3, 4, 8), [("Concat", ["token", "x"], {"axis": 1}), ("Add", ["y0", "p"], {}), ("MatMul", ["y1", "v"], {})],
     {"token": f(1, 1, 8), "p": f(1, 5, 8), "v": f(8, 3)}, batch=1)
case("fixed_resize", (3, 2, 3, 3), [("Resize", ["x", "", "", "s"], {"mode": "nearest"}), ("Conv", ["y0", "w"], {})],
     {"s": i(1, 2, 6, 6), "w": f(2, 2, 3, 3)}, batch=1)

case("fixed_large", (3, 40), [("MatMul", ["x", "w"], {}), ("Add", ["y0", "b"], {}), ("Relu", ["y1"], {}), ("MatMul", ["y2", "v"], {})],
     {"w": f(40, 60), "b": f(60), "v": f(60, 30)}, batch=1)

# What mixes samples where the file is for one of them, and nobody notices there; what has none at all
case("mixed_mean", (3, 3, 4), [("ReduceMean", ["x"], {"axes": [0]}), ("Sub", ["x", "y0"], {}), ("MatMul", ["x", "w"], {}), ("Add", ["y2", "y1"], {})],
     {"w": f(4, 4)}, batch=1)
case("mixed_softmax", (3, 3, 4), [("Softmax", ["x"], {"axis": 0}), ("MatMul", ["y0", "w"], {})], {"w": f(4, 4)}, batch=1)
case("mixed_reshape", (3, 3, 4), [("Transpose", ["x"], {"perm": [1, 0, 2]}), ("Reshape", ["y0", "s"], {}), ("MatMul", ["y1", "w"], {})],
     {"s": i(3, 4), "w": f(4, 4)}, batch=1)
case("mixed_sequence", (3, 6, 4), [("Reshape", ["x", "s"], {}), ("LSTM", ["y0", "w", "r"], {"hidden_size": 3}), ("Squeeze", ["y1"], {}), ("MatMul", ["y2", "v"], {}),
                                   ("Relu", ["y3"], {}), ("MatMul", ["y4", "u"], {})],
     {"s": i(6, 1, 4), "w": f(1, 12, 4), "r": f(1, 12, 3), "v": f(3, 5), "u": f(5, 2)}, batch=1)
case("mixed_rows", (6, 5), [("MatMul", ["w", "x"], {}), ("Relu", ["y0"], {}), ("MatMul", ["y1", "v"], {})], {"w": f(4, 3), "v": f(5, 2)}, batch=3)
case("mixed_steps", (10, 1, 6), [("GRU", ["x", "w", "r"], {"hidden_size": 4, "direction": "bidirectional"}), ("ReduceMean", ["y0"], {"axes": [0]})],
     {"w": f(2, 12, 6), "r": f(2, 12, 4)}, batch=5)
case("mixed_to_number", (3, 4), [("ReduceSum", ["x"], {"keepdims": 0})], batch=1)

# Together
case("squeeze_and_excitation", (2, 4, 5, 5),
     [("Conv", ["x", "w"], {"pads": [1, 1, 1, 1]}), ("GlobalAveragePool", ["y0"], {}), ("Conv", ["y1", "w1"], {}), ("Relu", ["y2"], {}),
      ("Conv", ["y3", "w2"], {}), ("Sigmoid", ["y4"], {}), ("Mul", ["y0", "y5"], {}), ("Flatten", ["y6"], {}), ("Gemm", ["y7", "g"], {})],
     {"w": f(6, 4, 3, 3), "w1": f(2, 6, 1, 1), "w2": f(6, 2, 1, 1), "g": f(150, 3)})
case("shuffle", (2, 4, 3, 3),
     [("Conv", ["x", "w"], {"group": 2}), ("Reshape", ["y0", "s"], {}), ("Transpose", ["y1"], {"perm": [0, 2, 1, 3, 4]}),
      ("Reshape", ["y2", "t"], {}), ("Conv", ["y3", "v"], {"group": 2})],
     {"w": f(6, 2, 1, 1), "s": i(0, 2, 3, 3, 3), "t": i(0, 6, 3, 3), "v": f(4, 3, 1, 1)})
case("channels_last_pieces", (2, 3, 4, 4),
     [("Conv", ["x", "w"], {}), ("Transpose", ["y0"], {"perm": [0, 2, 3, 1]}), ("Add", ["y1", "b"], {}), ("Softmax", ["y2"], {"axis": -1}),
      ("Transpose", ["y3"], {"perm": [0, 3, 1, 2]}), ("Concat", ["y4", "x"], {"axis": 1}), ("Flatten", ["y5"], {})],
     {"w": f(5, 3, 1, 1), "b": f(5)})

# What is repeated, and what is chosen
one("expand", (2, 1, 4), "Expand", {"s": i(3, 1, 5, 1)})
one("expand_more", (2, 3, 1), "Expand", {"s": i(1, 1, 6)})
case("expand_for_each_sample", (3, 4, 8),
     [("Shape", ["x"], {"end": 1}), ("Concat", ["y0", "one", "size"], {"axis": 0}), ("Expand", ["token", "y1"], {}),
      ("Concat", ["y2", "x"], {"axis": 1}), ("MatMul", ["y3", "w"], {})],
     {"one": i(1), "size": i(8), "token": f(1, 1, 8), "w": f(8, 6)})
condition = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, False]])
case("where_masks", (2, 3, 4), [("Where", ["c", "x", "low"], {}), ("Softmax", ["y0"], {"axis": -1})],
     {"c": condition, "low": np.float32(-np.inf)})
case("where_constant_first", (2, 3, 4), [("Where", ["c", "k", "x"], {})], {"c": condition[:1], "k": f(3, 4)})
case("where_of_two", (2, 3, 4), [("Relu", ["x"], {}), ("Where", ["c", "x", "y0"], {})], {"c": condition})
case("class_token_of_zeros", (3, 4, 8),
     [("Shape", ["x"], {"end": 1}), ("Concat", ["y0", "one", "size"], {"axis": 0}), ("ConstantOfShape", ["y1"], {}),
      ("Add", ["y2", "token"], {}), ("Concat", ["y3", "x"], {"axis": 1}), ("MatMul", ["y4", "w"], {})],
     {"one": i(1), "size": i(8), "token": f(1, 1, 8), "w": f(8, 6)})

# Comparisons and truth values, which become numbers at the end
number_type = TensorProto.FLOAT
for kind in ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]:
    case(f"{kind.lower()}_data", (2, 3, 4), [("Round", ["x"], {}), (kind, ["y0", "c"], {}), ("Cast", ["y1"], {"to": number_type})],
         {"c": np.round(f(3, 4))})
    case(f"{kind.lower()}_first", (2, 3, 4), [("Round", ["x"], {}), (kind, ["c", "y0"], {}), ("Cast", ["y1"], {"to": number_type})],
         {"c": np.float32(0)})
for kind in ["And", "Or", "Xor"]:
    case(f"{kind.lower()}_data", (2, 3, 4),
         [("Greater", ["x", "zero"], {}), ("Less", ["x", "c"], {}), (kind, ["y0", "y1"], {}), ("Not", ["y2"], {}),
          ("Cast", ["y3"], {"to": number_type})], {"zero": np.float32(0), "c": f(4)})
case("where_data", (2, 3, 4), [("Greater", ["x", "c"], {}), ("Neg", ["x"], {}), ("Where", ["y0", "x", "y1"], {})], {"c": f(3, 1)})
case("where_data_constants", (2, 3, 4), [("Greater", ["x", "c"], {}), ("Where", ["y0", "a", "b"], {})],
     {"c": f(4), "a": f(3, 4), "b": np.float32(-1)})
case("mask_by_data", (2, 4, 4), [("Less", ["x", "zero"], {}), ("Where", ["y0", "low", "x"], {}), ("Softmax", ["y1"], {"axis": -1})],
     {"zero": np.float32(0), "low": np.float32(-1e9)})
case("is_nan", (2, 5), [("Sqrt", ["x"], {}), ("IsNaN", ["y0"], {}), ("Cast", ["y1"], {"to": number_type})])
for kind in ["Sin", "Cos", "Floor", "Ceil", "Round", "Sign"]:
    case(f"{kind.lower()}_data", (2, 3, 4), [("Mul", ["x", "three"], {}), (kind, ["y0"], {})], {"three": np.float32(3)})
case("integers_of_data", (2, 3, 4),
     [("Mul", ["x", "ten"], {}), ("Cast", ["y0"], {"to": TensorProto.INT64}), ("Div", ["y1", "three"], {}), ("Add", ["y2", "one"], {}),
      ("Cast", ["y3"], {"to": number_type})], {"ten": np.float32(10), "three": i(3), "one": i(1)})
case("cast_to_bool", (2, 3, 4), [("Round", ["x"], {}), ("Cast", ["y0"], {"to": TensorProto.BOOL}), ("Cast", ["y1"], {"to": number_type})])

# By indices and order
case("argmax", (2, 3, 4), [("ArgMax", ["x"], {"axis": 1}), ("Cast", ["y0"], {"to": number_type})])
case("argmax_last", (2, 3, 4), [("Round", ["x"], {}), ("ArgMax", ["y0"], {"axis": -1, "keepdims": 0, "select_last_index": 1}),
                                ("Cast", ["y1"], {"to": number_type})])
case("argmin", (2, 3, 4), [("Round", ["x"], {}), ("ArgMin", ["y0"], {"axis": 2, "keepdims": 0}), ("Cast", ["y1"], {"to": number_type})])
case("topk", (2, 3, 7), [("TopK", ["x", "count"], {"_outputs": ["values", "indices"]}), ("Relu", ["values"], {})], {"count": i(3)})
case("topk_indices", (2, 7, 3), [("TopK", ["x", "count"], {"_outputs": ["values", "indices"], "axis": 1, "largest": 0}),
                                 ("Cast", ["indices"], {"to": number_type}), ("Add", ["y1", "values"], {})], {"count": i(3)})
for attributes in [{}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}]:
    one(f"cumsum_{len(cases)}", (2, 3, 4), "CumSum", {"axis": np.int32(1)}, **attributes)
case("gather_table", (2, 5),
     [("Mul", ["x", "three"], {}), ("Clip", ["y0", "low", "high"], {}), ("Cast", ["y1"], {"to": TensorProto.INT64}),
      ("Gather", ["table", "y2"], {}), ("MatMul", ["y3", "w"], {})],
     {"three": np.float32(3), "low": np.float32(-6), "high": np.float32(5), "table": f(6, 8), "w": f(8, 3)})
case("gather_columns", (2, 5),
     [("Abs", ["x"], {}), ("Clip", ["y0", "low", "high"], {}), ("Cast", ["y1"], {"to": TensorProto.INT64}),
      ("Gather", ["table", "y2"], {"axis": 1})], {"low": np.float32(0), "high": np.float32(5), "table": f(3, 6)})
case("gather_elements", (2, 3, 4),
     [("ArgMax", ["x"], {"axis": 2}), ("GatherElements", ["x", "y0"], {"axis": 2})])
one("tile", (2, 3, 4), "Tile", {"repeats": i(1, 2, 3)})

# Sums of products
for equation, shape in [("bij,jk->bik", (4, 5)), ("bij,kj->bki", (5, 4)), ("bij,jkl->bkil", (4, 2, 3)), ("bij,ij->bi", (3, 4)),
                        ("bij,bkj->bik", None), ("bij,bij->b", None), ("bij,bik->bjk", None)]:
    constants = {"w": f(*shape)} if shape else {}
    case(f"einsum_{len(cases)}", (2, 3, 4), [("Einsum", ["x", "w" if shape else "x"], {"equation": equation})], constants)
case("einsum_first", (2, 3, 4), [("Einsum", ["w", "x"], {"equation": "kj,bij->bik"})], {"w": f(5, 4)})
case("einsum_one", (2, 3, 4), [("Einsum", ["x"], {"equation": "bij->bj"})])
case("einsum_turned", (2, 3, 4), [("Einsum", ["x"], {"equation": "b i j -> b j i"})])

# Levels
for kind, low, high in [(np.uint8, 0, 255), (np.int8, -128, 127)]:
    case(f"qdq_{kind.__name__}", (2, 3, 4),
         [("QuantizeLinear", ["x", "scale", "zero"], {}), ("DequantizeLinear", ["y0", "scale", "zero"], {})],
         {"scale": np.float32(0.013), "zero": kind(3)})
case("qdq_channels", (2, 3, 4),
     [("QuantizeLinear", ["x", "scale", "zero"], {"axis": 1}), ("DequantizeLinear", ["y0", "scale", "zero"], {"axis": 1})],
     {"scale": np.abs(f(3)) / 50 + np.float32(0.001), "zero": np.array([1, -2, 3], np.int8)})
case("qdq_weights", (2, 4),
     [("DequantizeLinear", ["levels", "scale", "zero"], {"axis": 1}), ("MatMul", ["x", "y0"], {})],
     {"levels": random.integers(-128, 128, (4, 5)).astype(np.int8), "scale": np.abs(f(5)), "zero": np.array([0, 1, 2, -3, 4], np.int8)})
# Dynamic levels, as onnxruntime.quantization.quantize_dynamic writes them: each sample is a batch of one.
dynamic = ("DynamicQuantizeLinear", ["x"], {"_outputs": ["q", "s", "z"]})
finish = [("Cast", ["i"], {"to": TensorProto.FLOAT, "_outputs": ["n"]}), ("Mul", ["s", "scale"], {"_outputs": ["both"]}),
          ("Mul", ["n", "both"], {})]
for name, zero, scale in [("one", np.int8(0), np.float32(0.02)), ("columns", random.integers(-9, 9, 6).astype(np.int8), np.abs(f(6)))]:
    case(f"dynamic_matmul_{name}", (3, 5, 4), [dynamic, ("MatMulInteger", ["q", "w", "z", "zero"], {"_outputs": ["i"]}), *finish],
         {"w": random.integers(-128, 128, (4, 6)).astype(np.int8), "zero": zero, "scale": scale}, batch=1)
case("dynamic_conv", (3, 2, 6, 5), [dynamic, ("ConvInteger", ["q", "w", "z", "zero"], {"pads": [1, 1, 1, 1], "_outputs": ["i"]}), *finish],
     {"w": random.integers(0, 256, (4, 2, 3, 3)).astype(np.uint8), "zero": np.uint8(121), "scale": np.float32(0.01)}, batch=1)
case("dynamic_data", (3, 5, 4),
     [dynamic, ("Transpose", ["q"], {"perm": [0, 2, 1], "_outputs": ["t"]}), ("MatMulInteger", ["q", "t", "z", "z"], {"_outputs": ["i"]}),
      ("Cast", ["i"], {"to": TensorProto.FLOAT, "_outputs": ["n"]}), ("Mul", ["s", "s"], {"_outputs": ["both"]}), ("Mul", ["n", "both"], {})],
     batch=1)
case("dynamic_zeros", (3, 5, 4), [("Mul", ["x", "nothing"], {"_outputs": ["none"]}), ("DynamicQuantizeLinear", ["none"], {"_outputs": ["q", "s", "z"]}),
     ("Cast", ["q"], {"to": TensorProto.FLOAT, "_outputs": ["n"]}), ("Add", ["n", "s"], {})], {"nothing": np.float32(0)}, batch=1)

levels = {"xs": np.float32(0.02), "xz": np.uint8(121), "ys": np.float32(0.05), "yz": np.uint8(130)}
into, out_of = ("QuantizeLinear", ["x", "xs", "xz"], {"_outputs": ["q"]}), ("DequantizeLinear", ["p", "ys", "yz"], {})
for name, scale, zero in [("one", np.float32(0.0113), np.int8(3)), ("columns", np.abs(f(6)) / 50, np.zeros(6, np.int8))]:
    case(f"qlinear_matmul_{name}", (3, 5, 4), [into, ("QLinearMatMul", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz"], {"_outputs": ["p"]}), out_of],
         {**levels, "w": random.integers(-128, 128, (4, 6)).astype(np.int8), "ws": scale, "wz": zero}, batch=1)
case("qlinear_conv", (2, 3, 6, 5),
     [into, ("QLinearConv", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], {"pads": [1, 1, 1, 1], "_outputs": ["p"]}), out_of],
     {**levels, "w": random.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8), "ws": np.abs(f(4)) / 100, "wz": np.zeros(4, np.int8),
      "b": random.integers(-900, 900, 4).astype(np.int32)}, batch=1)

# Volumes
number = 0
for groups, cin, cout in [(1, 2, 3), (2, 4, 4)]:
    for attributes in [{}, {"strides": [2, 1, 2], "pads": [1, 0, 1, 2, 1, 0]}, {"dilations": [2, 1, 1], "pads": [1, 1, 1, 1, 1, 1]}]:
        number += 1
        one(f"conv_3d_{number}", (2, cin, 6, 5, 4), "Conv", {"w": f(cout, cin // groups, 3, 2, 2), "b": f(cout)}, group=groups, **attributes)
    for attributes in [{}, {"strides": [2, 1, 2], "pads": [1, 0, 1, 1, 1, 0]}, {"strides": [3, 2, 1], "output_padding": [1, 1, 0]},
                       {"dilations": [2, 1, 1]}]:
        number += 1
        one(f"conv_transpose_3d_{number}", (2, cin, 3, 4, 3), "ConvTranspose", {"w": f(cin, cout // groups, 2, 3, 2), "b": f(cout)}, group=groups,
            **attributes)
one("conv_3d_flat", (2, 2, 3, 4, 4), "Conv", {"w": f(3, 2, 1, 3, 3)}, auto_pad="SAME_UPPER")
for kind in ["MaxPool", "AveragePool"]:
    one(f"{kind.lower()}_3d", (2, 3, 5, 6, 4), kind, kernel_shape=[3, 2, 2], strides=[2, 2, 1], pads=[1, 0, 1, 1, 0, 1])
for kind in ["GlobalMaxPool", "GlobalAveragePool"]:
    one(f"{kind.lower()}_3d", (2, 3, 3, 4, 2), kind)
case("norms_3d", (2, 3, 3, 4, 2), [("BatchNormalization", ["x", "s", "b", "m", "v"], {}), ("InstanceNormalization", ["y0", "s", "b"], {})],
     {"s": f(3), "b": f(3), "m": f(3), "v": np.abs(f(3)) + 0.5})

# Made of others
for kind, attributes in [("Selu", {}), ("Celu", {"alpha": 0.7}), ("Softsign", {}), ("ThresholdedRelu", {"alpha": 0.4}), ("Shrink", {"lambd": 0.3, "bias": 0.1}),
                         ("Tan", {}), ("LpNormalization", {"axis": 1, "p": 1}), ("LpNormalization", {"axis": -1, "p": 2}), ("ReduceLogSumExp", {"axes": [1]}),
                         ("ReduceLogSumExp", {"axes": [1, 2], "keepdims": 0}), ("Trilu", {"upper": 0}), ("Trilu", {})]:
    one(f"{kind.lower()}_{len(cases)}", (2, 3, 4), kind, **attributes)
case("reduce_log_sum", (2, 3, 4), [("Abs", ["x"], {}), ("ReduceLogSum", ["y0"], {"axes": [2]})])
case("mvn", (2, 3, 4, 2), [("MeanVarianceNormalization", ["x"], {"axes": [2, 3]})])
case("trilu_from", (2, 3, 4), [("Trilu", ["x", "diagonal"], {"upper": 1})], {"diagonal": np.array(1, np.int64)})
case("remainder", (2, 3, 4), [("Mul", ["x", "ten"], {}), ("Floor", ["y0"], {}), ("Mod", ["y1", "five"], {"fmod": 1})], {"ten": np.float32(10), "five": np.float32(5)})
case("one_hot", (2, 5), [("Mul", ["x", "two"], {}), ("Clip", ["y0", "low", "high"], {}), ("Cast", ["y1"], {"to": TensorProto.INT64}),
                         ("OneHot", ["y2", "depth", "values"], {"axis": 1})],
     {"two": np.float32(2), "low": np.float32(-3), "high": np.float32(3), "depth": np.array(4, np.int64), "values": f(2)})
for opset, size in [(18, 2), (21, 6)]:
    case(f"group_norm_{opset}", (2, 6, 3, 4), [("GroupNormalization", ["x", "s", "b"], {"num_groups": 2})], {"s": f(size), "b": f(size)}, opset=opset)

# Images read at places, which are a part of the images
places = [("Slice", ["x", "zero", "two", "axes"], {"_outputs": ["part"]}), ("Transpose", ["part"], {"perm": [0, 2, 3, 1], "_outputs": ["places"]})]
for mode in ["bilinear", "nearest"]:
    for outside in ["zeros", "border", "reflection"]:
        for align in [0, 1]:
            case(f"grid_sample_{mode}_{outside}_{align}", (2, 3, 4, 5),
                 [*places, ("GridSample", ["x", "places"], {"mode": mode, "padding_mode": outside, "align_corners": align})],
                 {"zero": i(0), "two": i(2), "axes": i(1)})
for align in [0, 1]:
    case(f"affine_grid_{align}", (2, 2, 3), [("AffineGrid", ["x", "size"], {"align_corners": align})], {"size": i(2, 3, 4, 5)}, opset=20, batch=2)

# Newer and older operator sets
# Recurrent layers: [steps, samples, width] of the input [samples, steps, width]
steps, width, hidden = 5, 3, 4


def recurrent(name, kind, gates, output=0, initial=False, bias=True, layout=0, **attributes):
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    constants = {"w": f(directions, gates * hidden, width), "r": f(directions, gates * hidden, hidden)}
    if bias:
        constants["b"] = f(directions, 2 * gates * hidden)
    if initial:
        constants["h"] = f(directions, 2, hidden)
        constants["c"] = f(directions, 2, hidden)
    names = ["t" if layout == 0 else "x", "w", "r", "b" if bias else "", "", *(["h"] if initial else []), *(["c"] if initial and kind == "LSTM" else [])]
    outputs = ["y", "yh", "yc"][:3 if kind == "LSTM" else 2]
    chain = [] if layout else [("Transpose", ["x"], {"perm": [1, 0, 2], "_outputs": ["t"]})]
    if initial:  # states that come with the samples
        del constants["h"], constants["c"]
        constants["hw"], constants["axes"] = f(directions, width, hidden), i(0)
        chain = [*chain, ("ReduceMean", ["x"], {"axes": [1], "keepdims": 0, "_outputs": ["mean"]}), ("Unsqueeze", ["mean", "axes"], {"_outputs": ["means"]}),
                 ("MatMul", ["means", "hw"], {"_outputs": ["h"]}), ("Tanh", ["h"], {"_outputs": ["c"]})]
    chain.append((kind, names, {"hidden_size": hidden, "layout": layout, "_outputs": outputs, **attributes}))
    chain.append(("Neg", [outputs[output]], {}))
    case(name, (2, steps, width), chain, constants)


for kind, gates in [("LSTM", 4), ("GRU", 3), ("RNN", 1)]:
    for direction in ["forward", "reverse", "bidirectional"]:
        for output in range(3 if kind == "LSTM" else 2):
            recurrent(f"{kind.lower()}_{direction}_{output}", kind, gates, output, direction=direction)
        recurrent(f"{kind.lower()}_{direction}_states", kind, gates, initial=True, direction=direction)
    recurrent(f"{kind.lower()}_plain", kind, gates, bias=False)
for direction in ["forward", "bidirectional"]:
    recurrent(f"gru_behind_{direction}", "GRU", 3, initial=True, direction=direction, linear_before_reset=1)
recurrent("gru_behind_plain", "GRU", 3, bias=False, linear_before_reset=1)
recurrent("rnn_relu", "RNN", 1, activations=["Relu"])

# The only sample of a file for one is picked.
case("only_sample", (3, 2, 4), [("Relu", ["x"], {}), ("Gather", ["y0", "first"], {"axis": 0}), ("Neg", ["y1"], {})],
     {"first": np.array(0, np.int64)}, batch=1)
case("gelu_new", (2, 5), [("Gelu", ["x"], {}), ("Gelu", ["y0"], {"approximate": "tanh"})], opset=20)
case("mish_new", (2, 5), [("Mish", ["x"], {})], opset=18)
case("split_uneven", (2, 7), [("Split", ["x"], {"num_outputs": 3, "axis": 1, "_outputs": ["a", "b", "c"]}), ("Concat", ["c", "a"], {"axis": 1})],
     opset=18)
case("reduce_axes_as_input", (2, 3, 4), [("ReduceMax", ["x", "axes"], {"keepdims": 0}), ("ReduceMean", ["y0", "last"], {})],
     {"axes": i(1), "last": i(-1)}, opset=18)
case("pad_axes", (2, 3, 4), [("Pad", ["x", "pads", "", "axes"], {})], {"pads": i(1, 2), "axes": i(-1)}, opset=18)
case("resize_axes", (2, 3, 4, 5), [("Resize", ["x", "", "scales"], {"axes": [2, 3], "mode": "linear"})],
     {"scales": np.array([2, 1.5], np.float32)}, opset=18)
case("layer_21", (2, 5), [("Gemm", ["x", "w"], {}), ("Relu", ["y0"], {})], {"w": f(5, 3)}, opset=21)
case("upsample_7", (2, 3, 4, 5), [("Upsample", ["x"], {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "nearest"})], opset=7)
case("gemm_7", (2, 5), [("Gemm", ["x", "w", "b"], {"transB": 1}), ("Relu", ["y0"], {})], {"w": f(3, 5), "b": f(3)}, opset=7)
case("batch_in_name_only", (1, 3, 4), [("Reshape", ["x", "s"], {}), ("MatMul", ["y0", "w"], {})], {"s": i(1, 12), "w": f(12, 5)})

(folder / "cases.json").write_text(json.dumps(cases))
