"""Compressed matrices of any layout that the artifact's format has."""

import jlcm
import numpy as np


def drawn(random, rows, cols):
    """A matrix and its codes."""
    dimension = int(random.choice([each for each in (1, 1, 2, 4, 8) if cols % each == 0]))
    layout = jlcm.format.Layout(rows, cols, bits=int(random.integers(1, 9)), dimension=dimension)
    layout.residual = int(random.choice([1, 1, 2, 3]))
    layout.column_group = int(random.choice([0, 0, dimension, 3 * dimension, cols]))
    layout.shared_codebook = bool(random.integers(2))
    layout.row_groups = int(random.choice([1, rows, random.integers(1, min(9, rows) + 1)]))
    if layout.row_groups not in (1, rows) or random.integers(2):
        count = int(random.integers(layout.row_groups, rows + 1))
        starts = np.sort(np.append(0, 1 + random.choice(rows - 1, count - 1, replace=False))) if count > 1 else [0]
        groups = np.append(
            np.arange(layout.row_groups), random.integers(0, layout.row_groups, count - layout.row_groups)
        )
        layout.runs = np.stack([starts, random.permutation(groups)], axis=1).astype(np.int32)
    shape = (layout.codebooks, layout.residual, layout.codewords, dimension)
    codebooks = random.normal(size=shape).astype(np.float16)
    codebooks.flat[::7] *= np.float16(-0.0)
    if dimension == 1:
        codebooks = np.sort(codebooks, axis=2)
    more = {}
    for name in ("scales", "offsets"):
        if random.integers(2):
            more[name] = random.normal(size=layout.groups).astype(np.float16)
    if random.integers(2):
        more["row_order"] = random.permutation(rows).astype(np.uint16)
    if random.integers(2):
        places = np.sort(random.choice(rows * cols, max(1, rows * cols // 50), replace=False))
        start = np.searchsorted(places, np.arange(rows + 1) * cols).astype(np.int32)
        value = random.normal(size=places.size).astype(np.float16)
        more["outliers"] = jlcm.format.Outliers(start, (places % cols).astype(np.int32), value)
    codes = random.integers(0, layout.codewords, (layout.residual, rows, layout.codes_per_row)).astype(np.uint8)
    return jlcm.format.Matrix.of_codes(layout, codes, codebooks, **more), codes
