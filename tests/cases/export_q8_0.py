"""GGUF in Q8_0: the file as the `gguf` package reads it, half as large as in float16, with the artifact's perplexity."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages, quick_artifact
from programs import ASSETS, call, need_assets

need_assets()
need_packages("numpy", "gguf")
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

artifact = quick_artifact()
call("jlcm-export", artifact, "exact.gguf", "--format", "gguf", "--type", "f32")
call("jlcm-export", artifact, "half.gguf", "--format", "gguf", "--type", "f16")
call("jlcm-export", artifact, "model.gguf", "--format", "gguf", "--type", "q8_0")
exact = {tensor.name: tensor.data for tensor in GGUFReader("exact.gguf").tensors}
reader = GGUFReader("model.gguf")
assert reader.fields["general.file_type"].contents() == 7
kinds = set()
for tensor in reader.tensors:
    values = exact[tensor.name]
    expected = GGMLQuantizationType.F32 if values.ndim == 1 else (
        GGMLQuantizationType.F16 if values.shape[1] % 32 else GGMLQuantizationType.Q8_0)
    assert tensor.tensor_type == expected, (tensor.name, tensor.tensor_type)
    kinds.add(expected)
    made = dequantize(tensor.data, tensor.tensor_type).reshape(values.shape)
    if expected == GGMLQuantizationType.Q8_0:
        largest = np.abs(values.reshape(-1, 32)).max(axis=1, keepdims=True)
        # Half a step, and what the scale's float16 adds at the ends.
        assert (np.abs(made - values).reshape(-1, 32) <= largest * (0.5 / 127 + 2**-10)).all(), tensor.name
    else:
        assert np.abs(made - values).max() <= 2**-11 * np.abs(values).max(), tensor.name
assert len(kinds) == 3, kinds  # the rows of mlp.down are no multiple of 32

weights = [tensor.data.nbytes for tensor in reader.tensors]
assert sum(weights) < 0.7 * sum(tensor.data.nbytes for tensor in GGUFReader("half.gguf").tensors)


def perplexity(model):
    text = ASSETS / "data/text/tinystories-heldout.txt"
    call("jlcm-eval", model, "--dataset", text, "--context", 256, "--windows", 8, "--compute", "float32", "--json", "eval.json")
    return json.loads(Path("eval.json").read_text())["compressed"]


ours, theirs, rounded = (perplexity(model) for model in (artifact, "exact.gguf", "model.gguf"))
assert abs(theirs / ours - 1) < 1e-6, (theirs, ours)
assert abs(rounded / ours - 1) < 0.01, (rounded, ours)
_, said = call("jlcm-export", artifact, "folder", "--format", "hf", "--type", "q8_0", code=2)
assert "--type q8_0 goes with --format gguf" in said, said
print(f"perplexity {ours:.4f}, in Q8_0 {rounded:.4f}")
