"""Core ML's MIL programs in numpy, since Core ML itself runs on macOS alone: what the operators mean, by coremltools'
reference of them."""

import math

import numpy as np
from coremltools.converters.mil.frontend.milproto.load import load
from numpy.lib.stride_tricks import sliding_window_view


def read(package):
    """The program of a package on disk, its weights included."""
    import coremltools

    model = coremltools.models.MLModel(str(package), skip_model_load=True)
    spec = model.get_spec()
    return load(spec, spec.specificationVersion, model.weights_dir)


def tables(program):
    """The operations that decode weights, by the weights' names."""
    operations = program.functions["main"].find_ops(op_type="constexpr_lut_to_dense")
    return {operation.outputs[0].name: operation for operation in operations}


def run(program, inputs, type=np.float32):
    """The outputs by name, of the inputs by name. Each operator's result is rounded to a type."""
    function = program.functions["main"]
    assert inputs.keys() == function.inputs.keys()
    values = {placeholder: inputs[name] for name, placeholder in function.inputs.items()}

    def value(var):
        if isinstance(var, (list, tuple)):
            return [value(each) for each in var]
        if var in values:
            return values[var]
        return bool(var.val) if isinstance(var.val, np.bool_) else var.val

    for operation in function.operations:
        if operation.op_type == "const":
            continue
        if operation.op_type.startswith("constexpr"):
            values[operation.outputs[0]] = operation.materialized_val_inference()
            continue
        inputs = {key: value(var) for key, var in operation.inputs.items() if var is not None}
        made = OPERATORS[operation.op_type](**inputs)
        for output, result in zip(operation.outputs, made if isinstance(made, list) else [made]):
            assert tuple(output.shape) == result.shape, (operation.op_type, output.shape, result.shape)
            values[output] = np.asarray(result, type)
    return {output.name: values[output] for output in function.outputs}


def windows(x, kernel, strides, dilations):
    """[images, channels, rows, columns, taps]."""
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    seen = sliding_window_view(x, extents, axis=(2, 3))
    seen = seen[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    return seen.reshape(*seen.shape[:4], -1)


def padded(x, pad, value):
    return np.pad(x, [(0, 0), (0, 0), (pad[0], pad[1]), (pad[2], pad[3])], constant_values=value)


def conv(x, weight, strides, pad, dilations, groups, pad_type, bias=0.0):
    assert pad_type == "custom"
    seen = windows(padded(x, pad, 0), weight.shape[2:], strides, dilations)
    n, channels, rows, columns, taps = seen.shape
    seen = seen.reshape(n, groups, channels // groups, rows, columns, taps)
    parts = weight.reshape(groups, -1, channels // groups, taps)
    made = np.einsum("ngchwt,goct->ngohw", seen, parts, optimize=True).reshape(n, -1, rows, columns)
    return made + np.reshape(bias, (-1, 1, 1))


def pool(x, kernel_sizes, strides, pad, pad_type, ceil_mode, fill, reduced):
    assert pad_type == "custom" and not ceil_mode
    return reduced(windows(padded(x, pad, fill), kernel_sizes, strides, (1, 1)), axis=-1)


def avg_pool(exclude_padding_from_average, **shared):
    return pool(**shared, fill=np.nan if exclude_padding_from_average else 0, reduced=np.nanmean)


def layer_norm(x, axes, epsilon, gamma=1.0, beta=0.0):
    axes = tuple(axes)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon) * gamma + beta


def batch_norm(x, mean, variance, gamma, beta, epsilon):
    mean, variance, gamma, beta = (each.reshape(-1, *[1] * (x.ndim - 2)) for each in (mean, variance, gamma, beta))
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def softmax(x, axis):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def slice_by_index(x, begin, end, stride=None, begin_mask=None, end_mask=None, squeeze_mask=None):
    absent = [False] * x.ndim
    places = []
    for i in range(x.ndim):
        step = 1 if stride is None else stride[i]
        first = None if (begin_mask if begin_mask is not None else absent)[i] else begin[i]
        last = None if (end_mask if end_mask is not None else absent)[i] else end[i]
        squeezed = (squeeze_mask if squeeze_mask is not None else absent)[i]
        places.append(int(begin[i]) if squeezed else slice(first, last, step))
    return x[tuple(places)]


def matmul(x, y, transpose_x=False, transpose_y=False):
    return np.matmul(np.swapaxes(x, -1, -2) if transpose_x else x, np.swapaxes(y, -1, -2) if transpose_y else y)


def topk(x, k, axis, ascending=False, sort=True, return_indices=True, output_indices_dtype=None):
    order = np.argsort(x if ascending else -x, axis, kind="stable").take(range(int(k)), axis)
    return [np.take_along_axis(x, order, axis), order]


def one_hot(indices, one_hot_vector_size, axis=-1, on_value=1, off_value=0):
    assert axis == -1
    return np.where(indices[..., None] == np.arange(one_hot_vector_size), on_value, off_value)


def erf(x):
    return np.vectorize(math.erf)(x)


def gelu(x, mode):
    if mode == "EXACT":
        return x * (1 + erf(x / np.sqrt(2))) / 2
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


OPERATORS = {
    "cast": lambda x, dtype: x,
    "identity": lambda x: x,
    "gather": lambda x, indices, axis, batch_dims=0, validate_indices=False: np.take(x, indices.astype(int), axis),
    "split": lambda x, axis, num_splits=None, split_sizes=None: np.split(x, num_splits or np.cumsum(split_sizes)[:-1], axis),
    "expand_dims": lambda x, axes: np.expand_dims(x, tuple(axes)),
    "topk": topk,
    "one_hot": one_hot,
    "sign": lambda x: np.sign(x),
    "greater_equal": lambda x, y: x >= y,
    "select": lambda cond, a, b: np.where(cond, a, b),
    "sqrt": lambda x: np.sqrt(x),
    "transpose": lambda x, perm: np.transpose(x, perm),
    "reshape": lambda x, shape: x.reshape(shape),
    "conv": conv,
    "max_pool": lambda **shared: pool(**shared, fill=-np.inf, reduced=np.max),
    "avg_pool": avg_pool,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "linear": lambda x, weight, bias=0.0: x @ weight.T + bias,
    "matmul": matmul,
    "reduce_mean": lambda x, axes, keep_dims: x.mean(tuple(axes), keepdims=keep_dims),
    "reduce_sum": lambda x, axes, keep_dims: x.sum(tuple(axes), keepdims=keep_dims),
    "reduce_max": lambda x, axes, keep_dims: x.max(tuple(axes), keepdims=keep_dims),
    "reduce_log_sum_exp": lambda x, axes, keep_dims: np.log(np.exp(x).sum(tuple(axes), keepdims=keep_dims)),
    "softmax": softmax,
    "slice_by_index": slice_by_index,
    "concat": lambda values, axis, interleave=False: np.concatenate(values, axis),
    "tile": lambda x, reps: np.tile(x, reps),
    "pad": lambda x, pad, mode, constant_val: np.pad(x, np.reshape(pad, (-1, 2)), constant_values=constant_val),
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "real_div": lambda x, y: x / y,
    "minimum": lambda x, y: np.minimum(x, y),
    "maximum": lambda x, y: np.maximum(x, y),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(x), x),
    "clip": lambda x, alpha, beta: np.clip(x, alpha, beta),
    "sigmoid": sigmoid,
    "sigmoid_hard": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "silu": lambda x: x * sigmoid(x),
    "gelu": gelu,
    "tanh": lambda x: np.tanh(x),
    "softplus": lambda x: np.logaddexp(0, x),
    "pow": lambda x, y: np.power(x, y),
    "exp": lambda x: np.exp(x),
    "log": lambda x, epsilon: np.log(x + epsilon),
    "abs": lambda x: np.abs(x),
    "erf": erf,
}
