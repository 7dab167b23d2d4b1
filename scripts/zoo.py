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


def draw(input_, shape):
    kind = numpy_types[input_.type]
    if np.issubdtype(kind, np.floating):
        return random.normal(size=shape).astype(kind)
    return random.integers(0, 2 if kind is np.bool_ else 200, size=shape).astype(kind)


def run(session, feeds, names, batch):
    """All samples, as many at once as the file takes."""
    parts = [session.run(names, {key: value[i:i + batch] if value.shape and len(value) == samples else value
                                 for key, value in feeds.items()}) for i in range(0, samples, batch)]
    return [np.concatenate([part[k] for part in parts]) for k in range(len(names))]


def difference(ours, theirs):
    """The largest, relative to the largest element."""
    if ours.size != theirs.size:
        return None
    return float(np.abs(ours.reshape(-1) - theirs.reshape(-1).astype(np.float64)).max() / max(np.abs(theirs).max(), 1e-30))


def call(program, *given):
    done = subprocess.run([arguments.bin / program, *map(str, given)], capture_output=True, text=True, timeout=1200)
    return done.returncode, done.stdout + done.stderr


def error_of(text):
    """What a program said last, without its name and the place of the file."""
    said = text[text.rfind("jlcm-"):] if "jlcm-" in text else text
    return re.sub(r"\S*/(?=[^/ ]+\.onnx)", "", re.sub(r"^jlcm-\w+: ", "", said.strip()))[:400]


def examine(path, work):
    record = {"file": path.name, "bytes": path.stat().st_size}
    model = onnx.load(path, load_external_data=False)
    record["opset"] = max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    record["operators"] = dict(collections.Counter(node.op_type for node in model.graph.node).most_common())
    session = session_of(path)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    said = known.get(path.name, {})
    main = next(each for each in inputs if "value" not in said.get(each.name, {}))
    choices, feeds = {}, {}
    for each in inputs:
        choice = said.get(each.name, {})
        sizes = choice.get("shape", sizes_of(each.shape))
        fixed = isinstance(each.shape[0], int) and each.shape[0] > 0 if each.shape else True
        if "value" in choice:
            first = [each.shape[0] if fixed else samples] if each.shape else []
            feeds[each.name] = np.full([*first, *sizes] if each.shape else [], choice["value"], numpy_types[each.type])
            choices[each.name] = {"value": choice["value"], **({"shape": sizes} if each.shape[1:] else {})}
        else:
            feeds[each.name] = draw(each, [samples, *sizes])
            if list(each.shape[1:]) != sizes:
                choices[each.name] = {"shape": sizes}
    batch = main.shape[0] if isinstance(main.shape[0], int) and main.shape[0] > 0 else samples
    record["inputs"] = choices
    data = work / "samples.npy"
    np.save(data, feeds[main.name].astype(np.float32))
    given = ["--inputs", json.dumps(choices)] if choices else []
    worst, record["outputs"] = 0.0, []
    for output in outputs:
        code, text = call("jlcm-eval", path, "--task", "outputs", "--dataset", f"{{type: tensors, path: {data}}}", "--set",
                          f"write={work}/outputs.npz", "--output", output.name, "--meaning", "values", "--compute", "float32", *given)
        if code:
            record["outputs"].append({"name": output.name, "error": error_of(text)})
            continue
        ours = np.load(work / "outputs.npz")["model_0"]
        try:
            theirs = run(session, feeds, [output.name], batch)[0]
        except Exception:  # the batch is open in name only
            theirs = run(session, {key: value[:, ...] for key, value in feeds.items()}, [output.name], 1)[0]
        record["outputs"].append({"name": output.name, "difference": difference(ours, theirs)})
    good = [each for each in record["outputs"] if "difference" in each]
    record["loads"] = bool(good)
    record["equal"] = bool(good) and all(each["difference"] is not None and each["difference"] < 1e-4 for each in good)
    record["all_outputs"] = len(good) == len(outputs)
    if record["equal"] and arguments.bits:
        record["compressed"] = compress(path, data, good[0]["name"], choices, work)
    if not record["loads"]:
        record["error"] = record["outputs"][0]["error"]
    return record


def compress(path, data, output, choices, work):
    spec = work / "spec.yaml"
    spec.write_text(json.dumps({
        "version": 1, "name": "zoo", "model": {"source": str(path), "inputs": choices, "outputs": [{"name": output}]},
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
                          "all_outputs": False, "error": f"{type(problem).__name__}: {problem}"[:300]}
        records.append(record)
        print(f"{record['file']}: {'equal' if record['equal'] else 'loads' if record['loads'] else record.get('error')}", flush=True)
    count = lambda key: sum(bool(each.get(key)) for each in records)
    summary = f"{len(records)} networks; {count('loads')} load, {count('equal')} of them equal ONNX Runtime (1e-4 of the largest output)."
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".json").write_text(json.dumps(records, indent=1) + "\n")
    arguments.out.with_suffix(".md").write_text(f"# A zoo of ONNX networks\n\n{summary}\n\n{table(records)}\n")
    print(summary)


main()
