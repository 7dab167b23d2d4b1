"""GGUF without loss: matrices on even grids in ggml's integer types, the rest in floats; the `gguf` package reads the
artifact's values to the bit."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import ASSETS, call, need_assets, run_directory

need_assets()
need_packages("numpy", "gguf")
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader
from gguf.quants import dequantize


def compressed(bits, parts, solver="rtn", levels="whole"):
    shutil.rmtree("out", ignore_errors=True)
    grid = {"type": "uniform", "levels": levels}
    spec = {
        "version": 1, "name": "grid", "compute": "float32", "model": {"source": "stories260k"},
        "calibration": {"dataset": str(ASSETS / "data/text/tinystories-heldout.txt"), "sequences": 4, "length": 64},
        "compress": {"bits": bits, "grouping": {"type": "column_groups", "size": 32, "parts": parts},
                     "codebook_init": grid, "solver": {**grid, "type": "rtn"} if solver == "rtn" else solver,
                     "learn": None}, "evaluate": [],
    }  # fmt: skip
    Path("spec.json").write_text(json.dumps(spec))
    call("jlcm-run", "spec.json", "--out", "out")
    return run_directory("out") / "artifact.safetensors"


def values(path):
    """By tensor: its type, and what it decodes to."""
    return {
        tensor.name: (tensor.tensor_type, dequantize(tensor.data, tensor.tensor_type))
        for tensor in GGUFReader(path).tensors
    }


def perplexity(model):
    text = ASSETS / "data/text/tinystories-heldout.txt"
    call("jlcm-eval", model, "--dataset", text, "--context", 128, "--windows", 4, "--compute", "float32", "--json", "eval.json")
    return json.loads(Path("eval.json").read_text())["compressed"]


def check(artifact, expected, file_type):
    call("jlcm-export", artifact, "exact.gguf", "--format", "gguf", "--type", "exact")
    call("jlcm-export", artifact, "plain.gguf", "--format", "gguf", "--type", "f32")
    exact, plain = values("exact.gguf"), values("plain.gguf")
    assert exact.keys() == plain.keys()
    for name, (type, made) in exact.items():
        assert np.asarray(made, np.float32).reshape(-1).tobytes() == plain[name][1].reshape(-1).tobytes(), (name, type)
        # 172 columns of mlp.down are no whole blocks; the embedding is not compressed.
        if name.startswith("blk") and "norm" not in name:
            assert type in ([expected] if "ffn_down" not in name else [Type.F32, Type.F16]), (name, type)
    assert GGUFReader("exact.gguf").fields["general.file_type"].contents() == file_type
    assert perplexity("exact.gguf") == perplexity("plain.gguf")


check(compressed(4, "scales_and_offsets"), Type.Q4_1, 3)
check(compressed(2, "scales_and_offsets", solver="gptq"), Type.Q4_1, 3)
check(compressed(3, "scales"), Type.Q4_0, 2)
check(compressed(4, "scales"), Type.Q5_0, 8)
check(compressed(5, "scales_and_offsets"), Type.Q5_1, 9)
check(compressed(6, "scales"), Type.Q8_0, 7)
check(compressed(3, "scales", levels="unit"), Type.F32, 0)  # thirds and sevenths are rounded: no even grid
_, said = call("jlcm-export", "out", "folder", "--format", "hf", "--type", "exact", code=2)
assert "--type exact goes with --format gguf" in said, said
