"""Artifacts of language models as Core ML packages: weights as coremltools decodes them, logits by a reference of MIL
in numpy, sizes, and what is refused."""

import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages, quick_artifact
from programs import SOURCE, call, need_assets, run_directory

need_packages("numpy", "coremltools")
import coremltools
import jlcm
import jlcm.coreml
import mil_reference
import numpy as np
from core_ml_package import CONSTANT_OVERHEAD, program_of, same, weight_bytes
from jlcm.format import Artifact, Encoded, Layout, Matrix

GOLDEN = SOURCE / "tests/golden/transformers"
CONTEXT = 40
random = np.random.default_rng(6)
text = Path("text.txt").resolve()
text.write_text("".join(f"Line {i}: the {i * i}th of {i + 7} words, and then another one. " for i in range(300)))


def compressed(folder, **compress):
    shutil.rmtree("out", ignore_errors=True)
    spec = {
        "version": 1, "name": "tiny", "compute": "float32", "model": {"source": str(folder)},
        "calibration": {"dataset": str(text), "sequences": 8, "length": 24},
        "compress": {"bits": 3, "grouping": "per_row", "solver": "rtn", "learn": None, **compress}, "evaluate": [],
    }  # fmt: skip
    Path("spec.json").write_text(json.dumps(spec))
    call("jlcm-run", "spec.json", "--out", "out")
    return run_directory("out") / "artifact.safetensors"


def check_logits(path, program, bound, type=np.float32):
    """Of a text as long as the context, and of a shorter one with anything behind."""
    model = jlcm.open(path)
    ids = random.integers(0, model.artifact.config["vocab_size"], (1, CONTEXT)).astype(np.int32)
    made = mil_reference.run(program, {"ids": ids}, type)["logits"]
    for length in (CONTEXT, CONTEXT // 2):
        expected = model.run(ids=ids[:, :length])["logits"]
        error = np.abs(made[:, :length] - expected).max() / np.abs(expected).max()
        assert np.isfinite(expected).all() and error < bound, (path, length, error)


def check_features(path, program):
    """Of an encoder, whose texts fill the context."""
    model = jlcm.open(path)
    ids = random.integers(5, model.artifact.config["vocab_size"], (1, CONTEXT)).astype(np.int32)
    made = mil_reference.run(program, {"ids": ids})["features"]
    (expected,) = model.run(ids=ids).values()
    assert np.abs(made - expected).max() < 1e-4 * np.abs(expected).max(), path


def stories():
    """The package is as large as the artifact: with tensors in float16, and what the context costs."""
    path = quick_artifact()
    for compute, bound in ("float32", 1e-5), ("float16", 5e-3):
        artifact, program = program_of(path, "stories.mlpackage", masks=1, compute=compute, context=CONTEXT)
        check_logits(path, program, bound)
    held = artifact.footprint().bytes
    head = artifact.config["head_dim"]
    expected = held.compressed + held.uncompressed // 2 + CONTEXT * CONTEXT // 8 + 2 * CONTEXT * head
    constants = 2 * len(artifact.matrices) + len(artifact.tensors) + 4
    assert expected <= weight_bytes("stories.mlpackage") < 1.05 * expected + CONSTANT_OVERHEAD * constants
    coremltools.optimize.coreml.decompress_weights(
        coremltools.models.MLModel("stories.mlpackage", skip_model_load=True)
    ).save("plain.mlpackage")
    plain = mil_reference.read("plain.mlpackage").functions["main"].find_ops(op_type="const")
    weights = {operation.outputs[0].name: operation.outputs[0].val for operation in plain}
    for name, matrix in artifact.matrices.items():
        same(weights[name.replace(".", "_")], matrix.decode().astype(np.float16))
    assert jlcm.coreml.main([str(path), "stories.mlpackage", "--context", "8"]) == 0
    assert mil_reference.read("stories.mlpackage").functions["main"].inputs["ids"].shape == (1, 8)
    os.environ.update(PYTHONPATH=str(SOURCE / "python"), JLCM_PYTHON=sys.executable)
    call("jlcm-export", path, "stories.mlpackage", "--format", "coreml")
    assert mil_reference.read("stories.mlpackage").functions["main"].inputs["ids"].shape == (1, 512)


def families():
    """Each family that jlcm reads, and what it is made of: biases, windows, norms of queries and keys, caps, learned
    positions, experts, compressed embeddings, an encoder."""
    embedding = {"bits": 4, "codebook_init": {"type": "kmeans", "weights": "none"}}
    for folder in sorted(GOLDEN.iterdir()):
        path = compressed(folder, embedding=embedding)
        graph = jlcm.open(path).graph
        attentions = [node["attributes"] for node in graph["nodes"] if node["operator"] == "attention"]
        masks = len({min(each["window"] or CONTEXT, CONTEXT) for each in attentions if each["causal"]})
        _, program = program_of(path, "family.mlpackage", masks=masks, compute="float32", context=CONTEXT)
        if "head" in graph:
            check_logits(path, program, 1e-4)
        else:
            check_features(path, program)


def scalings():
    for rope in (
        {"rope_type": "linear", "factor": 3.0},
        {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 40},
    ):  # fmt: skip
        shutil.rmtree("scaled", ignore_errors=True)
        shutil.copytree(GOLDEN / "llama_biased", "scaled")
        config = json.loads(Path("scaled/config.json").read_text())
        config["rope_parameters"] = {"rope_theta": 100.0, **rope}
        Path("scaled/config.json").write_text(json.dumps(config))
        path = compressed("scaled")
        _, program = program_of(path, "scaled.mlpackage", masks=1, compute="float32", context=CONTEXT)
        check_logits(path, program, 1e-4)


def one_table():
    path = compressed(GOLDEN / "mistral", grouping="per_tensor")
    _, program = program_of(path, "ios16.mlpackage", masks=1, form="ios16", compute="float32", context=CONTEXT)
    check_logits(path, program, 1e-4)


def large_values():
    """Norms of values whose squares are beyond float16, and of zeros."""
    artifact = jlcm.format.read(compressed(GOLDEN / "mistral"))
    name = "model.embed_tokens.weight"
    embedding = artifact.decode(name)
    embedding *= 2000 / np.abs(embedding).max()
    embedding[0] = 0
    artifact.tensors[name] = Encoded.of_values(embedding)
    jlcm.format.write("large.safetensors", artifact)
    jlcm.coreml.export(artifact, "large.mlpackage", context=CONTEXT)
    check_logits("large.safetensors", mil_reference.read("large.mlpackage"), 2e-2, np.float16)


def refusals():
    def refused(expected, artifact, **options):
        try:
            jlcm.coreml.export(artifact, "refused.mlpackage", **options)
        except jlcm.InputError as error:
            assert all(each in str(error) for each in expected), error
        else:
            raise AssertionError(f"not refused: {expected}")
        assert not Path("refused.mlpackage").exists()

    refused(["'unheard_of'"], Artifact(config={"model_type": "unheard_of"}))
    artifact = jlcm.format.read(compressed(GOLDEN / "llama_biased"))
    refused(["a context of 49", "1 to 48"], artifact, context=49)
    refused(["a context of -1"], artifact, context=-1)
    layout = Layout(24, 24, bits=8, row_groups=24, residual=2)
    codes = random.integers(0, 256, (2, 24, 24)).astype(np.uint8)
    books = np.sort(random.normal(size=(24, 2, 256, 1)).astype(np.float16), axis=2)
    for name in ("model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.q_proj.weight"):
        artifact.matrices[name] = Matrix.of_codes(layout, codes, books)
    refused(["layers.0.self_attn.q_proj.weight: 2 codebooks", "layers.1.self_attn.q_proj.weight: 2"], artifact)
    del artifact.tensors["model.norm.weight"]
    refused(["model.norm.weight"], artifact)


need_assets()
families()
scalings()
one_table()
large_values()
refusals()
stories()
