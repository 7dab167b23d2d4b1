"""A Core ML package whose weights are those of its artifact."""

from pathlib import Path

import jlcm
import jlcm.coreml
import mil_reference
import numpy as np

CONSTANT_OVERHEAD = 128  # bytes of a constant in weight.bin: a header, and alignment to 64


def same(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, b.dtype, a.shape, b.shape)
    assert a.tobytes() == b.tobytes()


def program_of(path, package, masks=0, **options):
    """The package's program, its weights compared with the artifact's. masks: tables that are no weights."""
    artifact = jlcm.format.read(path)
    jlcm.coreml.export(path, package, **options)
    program = mil_reference.read(package)
    tables = mil_reference.tables(program)
    type = np.dtype(options.get("compute", "float16"))
    assert len(tables) == len(artifact.matrices) + masks, tables.keys()
    for name, matrix in artifact.matrices.items():
        decoded = tables[name.replace(".", "_").replace(":", "_")].materialized_val_inference()
        same(decoded.reshape(matrix.layout.rows, -1), matrix.decode().astype(type))
    return artifact, program


def weight_bytes(package):
    (file,) = Path(package).rglob("weight.bin")
    return file.stat().st_size


def bytes_of(package):
    return sum(file.stat().st_size for file in Path(package).rglob("*") if file.is_file())
