"""jlcm.format, the reader and writer of artifacts in plain Python, against the C++ ones: every layout to the bit."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import SOURCE, call, need_assets, run_directory

need_packages("numpy")
need_assets()
import jlcm
import numpy as np
from drawn_matrix import drawn
from jlcm import encodings, packing, safetensors_file

# What the C++ writer makes, by how weights are grouped.
SOLVERS = {
    "row": ("per_row", 2, "rtn"),
    "matrix": ("per_tensor", 7, "nearest_codeword"),
    "columns": ("{type: column_groups, size: 24}", 3, "{type: rtn, fit: range}"),
    "rows in another order": ("{type: distribution, groups: 5}", 3, "nearest_codeword"),
    "scales of runs": ("{type: distribution, groups: 5, parts: scales}", 4, "nearest_codeword"),
    "vectors in stages": ("{type: vectors, dimension: 4, stages: 2}", 5, "aqlm"),
    "outliers": ("per_row", 3, "{type: squeezellm, outliers: 0.01}"),
}
SPEC = """version: 1
name: layout
model: {{source: stories260k}}
calibration: {{dataset: tinystories-4mb, sequences: 8, length: 64}}
compress:
  bits: {bits}
  grouping: {grouping}
  codebook_init: {{type: kmeans}}
  solver: {solver}
evaluate: []
"""


def same_bytes(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check_decoded(path, artifact):
    """Every tensor, as the library decodes it."""
    model = jlcm.open(path)
    for name, weight in model.items():
        assert same_bytes(weight.decode(), artifact.decode(name)), f"{path}: {name} decodes to other values"
    return model


def check_file(path):
    """Read, written to the same bytes, decoded to the same values, accounted for alike."""
    artifact = jlcm.format.read(path)
    jlcm.format.write("copy.safetensors", artifact)
    assert Path("copy.safetensors").read_bytes() == Path(path).read_bytes(), f"{path}: written to other bytes"
    model = check_decoded(path, artifact)
    said = json.loads(call("jlcm-inspect", path, "--json")[0])
    footprint = model.footprint
    assert vars(footprint.bytes) == said["bytes"] and footprint.bytes.total == Path(path).stat().st_size, path
    assert {each["name"]: each["bytes"] for each in said["tensors"]} == {
        n: vars(f) for n, f in footprint.tensors.items()
    }
    assert footprint.linear_bits_per_weight == said["linear_bits_per_weight"]
    return artifact


def made_by_programs():
    seen = []
    for what, (grouping, bits, solver) in SOLVERS.items():
        shutil.rmtree("runs", ignore_errors=True)
        Path("spec.yaml").write_text(SPEC.format(bits=bits, grouping=grouping, solver=solver))
        call("jlcm-run", "spec.yaml", "--out", "runs")
        artifact = check_file(run_directory("runs") / "artifact.safetensors")
        for matrix in artifact.matrices.values():
            assert matrix.layout.bits == bits, what
            assert np.array_equal(
                jlcm.format.Matrix.of_codes(matrix.layout, matrix.codes, matrix.codebooks).packed, matrix.packed
            )
        seen += artifact.matrices.values()
    assert any(each.layout.runs is not None for each in seen) and any(each.row_order is not None for each in seen)
    assert any(each.scales is not None for each in seen) and any(each.outliers is not None for each in seen)
    assert any(each.layout.residual > 1 and each.layout.dimension > 1 for each in seen)
    return artifact


def made_by_drawing(artifact):
    """Layouts beyond those that solvers make today, written in Python, read in C++."""
    random = np.random.default_rng(1)
    for _ in range(12):
        for name, matrix in list(artifact.matrices.items()):
            artifact.matrices[name], codes = drawn(random, matrix.layout.rows, matrix.layout.cols)
            assert np.array_equal(artifact.matrices[name].codes, codes)
        jlcm.format.write("drawn.safetensors", artifact)
        check_file("drawn.safetensors")


def packed():
    """Codes of every width, in rows of every length, come back."""
    random = np.random.default_rng(2)
    for bits in range(1, 9):
        for rows, codes in ((1, 1), (3, 5), (2, 32), (5, 96), (2, 512), (3, 1000), (2, 4096 + 32)):
            drawn_codes = random.integers(0, 1 << bits, (rows, codes)).astype(np.uint8)
            bytes_ = packing.pack(drawn_codes, bits)
            assert bytes_.size == packing.packed_bytes(rows, codes, bits)
            assert np.array_equal(packing.unpack(bytes_, rows, codes, bits), drawn_codes), (bits, rows, codes)


def blocks():
    """ggml's blocks decode to the values of its own Python package (tests/golden/make_dequant.py)."""
    _, tensors = safetensors_file.read(SOURCE / "tests/golden/dequant.safetensors")
    for encoding in [*encodings.BLOCKS, "F16", "BF16"]:
        expected = tensors[f"{encoding}.values"].data.view(np.float32)
        values = encodings.decode(encoding, expected.shape, tensors[f"{encoding}.blocks"].data)
        assert same_bytes(values, expected), encoding


def damaged(path):
    """A damaged file is an InputError that names it."""
    whole = Path(path).read_bytes()
    cases = {
        "cut": whole[:-1],
        "longer": whole + b"\0",
        "short": whole[:5],
        "other": whole.replace(b'"jlcm"', b'"jlxm"', 1),
    }
    cases["version"] = whole.replace(b'"version":"1"', b'"version":"9"', 1)
    for what, content in cases.items():
        Path("damaged.safetensors").write_bytes(content)
        try:
            jlcm.format.read("damaged.safetensors")
        except jlcm.InputError as error:
            assert "damaged.safetensors" in str(error), error
        else:
            raise AssertionError(what)


def mutated(path):
    """Whatever becomes of a file's header, an InputError says it, or the file can be read."""
    whole = Path(path).read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    random = np.random.default_rng(5)
    tokens = [b"[]", b"null", b"-5", b'"x"', b"1e9", b"{}", b"true", b"9" * 20]
    refused = 0
    for _ in range(600):
        content = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            place = int(random.integers(8, end))
            token = tokens[random.integers(len(tokens))] if random.integers(2) else bytes([random.integers(256)])
            content[place : place + len(token)] = token
        Path("mutated.safetensors").write_bytes(content)
        try:
            jlcm.format.read("mutated.safetensors")
        except jlcm.InputError:
            refused += 1
    assert refused > 300, refused


artifact = made_by_programs()
made_by_drawing(artifact)
packed()
blocks()
damaged("drawn.safetensors")
mutated("drawn.safetensors")
