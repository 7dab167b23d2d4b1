#!/usr/bin/env python3
"""See scripts/zoo.sh."""
import argparse
import collections
import hashlib
import json
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--bin", type=Path, required=True)
parser.add_argument("--bits", default="4")
arguments = parser.parse_args()
known = json.loads((Path(__file__).resolve().parent / "zoo_inputs.json").read_text())
random = np.random.default_rng(1)
samples = 4
numpy_types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(int64)": np.int64,
               "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_}


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def sizes_of(shape):
    """Of one sample: what the file leaves open is 64, or the square that images of an open size get."""
    open_ones = [size for size in shape[1:] if not isinstance(size, int) or size <= 0]
    guess = 224 if len(shape) == 4 and len(open_ones) == 2 else 64
    return [size if isinstance(size, int) and size > 0 else guess for size in shape[1:]]


def draw(input_, shape, below):
    kind = numpy_types[input_.type]
    if np.issubdtype(kind, np.floating):
        return random.normal(size=shape).astype(kind)
    return random.integers(0, 2 if kind is np.bool_ else below, size=shape).astype(kind)


def samples_axis(shape):
    """As jlcm has it: the first dimension if it is open or 1, else the first that is."""
    is_open = [not isinstance(size, int) or size <= 0 for size in shape]
    if is_open[0] or shape[0] == 1:
        return 0
    return is_open.index(True) if True in is_open else list(shape).index(1) if 1 in shape else 0


def run(session, feeds, names):
    """Outputs sample by sample, each as a flat list."""
    parts = []
    for i in range(samples):
        one = {key: value if axis is None else value[i] if axis == "whole" else np.moveaxis(value[i:i + 1], 0, axis)
               for key, (value, axis) in feeds.items()}
        parts.append([np.asarray(each, np.float64).reshape(-1) for each in session.run(names, one)])
    return [np.stack([part[k] for part in parts]) for k in range(len(names))]


def difference(ours, theirs):
    """The largest, relative to the largest element."""
    if ours.size != theirs.size:
        return None
    return float(np.abs(ours.reshape(-1) - theirs.reshape(-1)).max() / max(np.abs(theirs).max(), 1e-30))


def call(program, *given):
    done = subprocess.run([arguments.bin / program, *map(str, given)], capture_output=True, text=True, timeout=1200)
    return done.returncode, done.stdout + done.stderr


def placeless(text):
    """Without the folders of the file."""
    return re.sub(r"\S*/(?=[^/ ]+\.onnx)", "", text)


def error_of(text):
    """What a program said last, without its name and the place of the file."""
    said = text[text.rfind("jlcm-"):] if "jlcm-" in text else text
    return placeless(re.sub(r"^jlcm-\w+: ", "", said.strip()))[:400]


def examine(path, work):
    record = {"file": path.name, "bytes": path.stat().st_size}
    model = onnx.load(path, load_external_data=False)
    record["opset"] = max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    record["operators"] = dict(collections.Counter(node.op_type for node in model.graph.node).most_common())
    session = session_of(path)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    said = known.get(path.name, {})
    choices, feeds = {}, {}
    # A shape of all dimensions: none is that of samples.
    whole = any(len(said.get(each.name, {}).get("shape", [])) == len(each.shape) for each in inputs if each.shape)
    for each in inputs:
        choice = said.get(each.name, {})
        if whole and "value" not in choice:
            sizes = choice.get("shape", each.shape)
            feeds[each.name] = draw(each, [samples, *sizes], choice.get("below", 200)), "whole"
            if sizes != each.shape:
                choices[each.name] = {"shape": sizes}
            continue
        axis = samples_axis(each.shape) if each.shape and "value" not in choice else None
        rest = [size for d, size in enumerate(each.shape) if d != (axis or 0)]
        sizes = choice.get("shape", sizes_of([0, *rest]))
        if axis is None:
            fixed = bool(each.shape) and isinstance(each.shape[0], int) and each.shape[0] > 0
            first = [each.shape[0] if fixed else 1] if each.shape else []
            feeds[each.name] = np.full([*first, *sizes] if each.shape else [], choice.get("value", 0), numpy_types[each.type]), None
            choices[each.name] = {"value": choice.get("value", 0), **({"shape": sizes} if each.shape[1:] else {})}
        else:
            feeds[each.name] = draw(each, [samples, *sizes], choice.get("below", 200)), axis
            if rest != sizes:
                choices[each.name] = {"shape": sizes}
    record["inputs"] = choices
    data = work / "samples.npz"
    np.savez(data, **{key: value.astype(np.float32) for key, (value, axis) in feeds.items() if axis is not None})
    given = ["--inputs", json.dumps(choices)] if choices else []
    record["outputs"] = []

    def compare(names):
        """Whether these outputs can be had; their differences are recorded, or why not."""
        chosen = [argument for name in names for argument in ("--output", name)]
        code, text = call("jlcm-eval", path, "--task", "outputs", "--dataset", f"{{type: tensors, path: {data}}}", "--set",
                          f"write={work}/outputs.npz", *chosen, "--meaning", "values", "--compute", "float32", "--json", work / "eval.json", *given)
        if code:
            return error_of(text)
        ours = np.load(work / "outputs.npz")
        there = [each["name"] for each in json.loads((work / "eval.json").read_text())["model"]["outputs"]]
        for name, theirs in zip(there, run(session, feeds, there)):
            array = ours["model_0" if len(there) == 1 else f"model_0:{name}"]
            record["outputs"].append({"name": name, "difference": difference(array, theirs)})
        record["outputs"] += [{"name": name, "left_out": "a constant or an input"} for name in names if name not in there]
        return None

    names = [each.name for each in outputs]
    error = compare(names)
    if error and len(names) > 1:
        for name in names:
            if one := compare([name]):
                record["outputs"].append({"name": name, "error": one})
    elif error:
        record["outputs"].append({"name": names[0], "error": error})
    good = [each for each in record["outputs"] if "difference" in each]
    record["loads"] = bool(good)
    record["equal"] = bool(good) and all(each["difference"] is not None and each["difference"] < 1e-4 for each in good)
    record["all_outputs"] = not any("error" in each for each in record["outputs"])
    if record["equal"] and arguments.bits:
        chosen = [] if len(good) == len(outputs) else [{"name": each["name"]} for each in good]
        record["compressed"] = compress(path, data, chosen, choices, work)
    if not record["loads"]:
        record["error"] = error
    return record


def compress(path, data, outputs, choices, work):
    spec = work / "spec.yaml"
    spec.write_text(json.dumps({
        "version": 1, "name": "zoo", "model": {"source": str(path), "inputs": choices, "outputs": outputs},
        "compute": "float32", "calibration": {"dataset": {"type": "tensors", "path": str(data)}, "sequences": samples},
        "compress": {"bits": int(arguments.bits), "solver": "rtn", "learn": None},
        "evaluate": [{"type": "outputs", "dataset": {"type": "tensors", "path": str(data)}}]}))
    code, text = call("jlcm-run", spec, "--out", work / "runs")
    if code:
        return {"error": error_of(text)}
    run_folder = next((work / "runs").glob("zoo-*"))
    result = json.loads((run_folder / "result.json").read_text())
    artifact = run_folder / "artifact.safetensors"
    figures = result["evaluations"][0]
    return {"bits": int(arguments.bits), "file_bytes": artifact.stat().st_size, "relative_squared_error": figures["compressed"],
            **figures["models"]["compressed"]}


def table(records):
    lines = ["| network | opset | operators | loads | largest difference | bits | file | error or relative error |",
             "|---|---:|---:|---|---:|---:|---:|---|"]
    for each in records:
        differences = [out["difference"] for out in each["outputs"] if out.get("difference") is not None]
        packed = each.get("compressed") or {}
        error = each.get("error") or packed.get("error") or packed.get("relative_squared_error", "")
        lines.append(f"| {each['file']} | {each['opset']} | {sum(each['operators'].values())} | "
                     f"{'yes' if each['all_outputs'] and each['loads'] else 'in part' if each['loads'] else 'no'} | "
                     f"{f'{max(differences):.1e}' if differences else ''} | {packed.get('bits', '')} | "
                     f"{packed.get('file_bytes', '')} | {str(error)[:120].replace('|', '/')} |")
    return "\n".join(lines)


def main():
    records, seen = [], set()
    for path in sorted(arguments.folder.rglob("*.onnx")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        with tempfile.TemporaryDirectory() as work:
            try:
                record = examine(path, Path(work))
            except Exception as problem:  # one network does not keep the others from being looked at
                record = {"file": path.name, "opset": 0, "operators": {}, "outputs": [], "loads": False, "equal": False,
                          "all_outputs": False, "error": placeless(f"{type(problem).__name__}: {problem}")[:300]}
        records.append(record)
        print(f"{record['file']}: {'equal' if record['equal'] else 'loads' if record['loads'] else record.get('error')}", flush=True)
    count = lambda key: sum(bool(each.get(key)) for each in records)
    summary = (f"{len(records)} networks; {count('loads')} load, {count('equal')} of them equal ONNX Runtime (1e-4 of the largest output), "
               f"{sum(bool(each['equal'] and each['all_outputs']) for each in records)} on all outputs.")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".json").write_text(json.dumps(records, indent=1) + "\n")
    arguments.out.with_suffix(".md").write_text(f"# A zoo of ONNX networks\n\n{summary}\n\n{table(records)}\n")
    print(summary)


main()
