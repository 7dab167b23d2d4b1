"""The tensors of an artifact as the constants of a Core ML program: look-ups of tables, or plain values."""

from __future__ import annotations

from typing import Literal

import coremltools
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from jlcm import coreml_palette
from jlcm.coreml_palette import Palette
from jlcm.errors import InputError, require
from jlcm.format import Artifact

Form = Literal["ios18", "ios16"]
Shape = tuple[int, ...]

TARGETS = {"ios18": coremltools.target.iOS18, "ios16": coremltools.target.iOS16}
INDEX_WIDTHS = {"ios18": (1, 2, 3, 4, 6, 8), "ios16": (1, 2, 4, 6, 8)}


class Weights:
    """First `read` all that a program needs, then `require_all`, then take them by `weights[name, shape]` inside of a
    MIL function: a constant each, however many operators read it."""

    def __init__(self, artifact: Artifact, form: Form, type: np.dtype):
        self.artifact = artifact
        self.form = form
        self.type = type
        self.problems: dict[str, str] = {}
        """What Core ML has no form for, and where."""
        self.contents: dict[tuple[str, Shape], Palette | np.ndarray] = {}
        self.made: dict[tuple[str, Shape], Var] = {}

    def read(self, name: str, shape: Shape) -> None:
        try:
            self.contents[name, shape] = self._content(name, shape)
        except InputError as error:
            self.problems[f"{name}: {error}"] = ""

    def require_all(self) -> None:
        """An InputError that names all problems."""
        lines = "".join(f"\n  {problem}{place}" for problem, place in self.problems.items())
        require(not self.problems, f"Core ML's form {self.form} does not express:{lines}")

    def __getitem__(self, key: tuple[str, Shape]) -> Var:
        if key not in self.made:
            name, shape = key
            content = self.contents[key]
            if isinstance(content, np.ndarray):
                self.made[key] = mb.const(val=content, name=name)
            else:
                self.made[key] = look_up(content, shape, self.form, name)
        return self.made[key]

    def _content(self, name: str, shape: Shape) -> Palette | np.ndarray:
        matrix = self.artifact.matrices.get(name)
        if matrix is None:
            return coreml_palette.finite(self.artifact.decode(name).reshape(shape), self.type)
        return coreml_palette.palette(matrix, shape, INDEX_WIDTHS[self.form], self.type, self.form == "ios16")


def look_up(content: Palette, shape: Shape, form: Form, name: str) -> Var:
    """A constant that Core ML decodes. In the form ios16 the palette has one table."""
    if form == "ios16":
        digits = (content.indices.reshape(-1, 1) >> np.arange(content.bits)) & 1
        return mb.constexpr_lut_to_dense(
            indices=np.packbits(digits.astype(np.uint8), bitorder="little"),
            lut=content.tables.reshape(-1),
            shape=np.array(shape, np.uint32),
            name=name,
        )
    index_type = types.nptype_from_builtin(types.string_to_builtin(f"uint{content.bits}"))
    vectors = {} if content.tables.shape[-1] == 1 else {"vector_axis": content.vector_axis}
    return mb.constexpr_lut_to_dense(
        indices=content.indices.astype(index_type), lut=content.tables, **vectors, name=name
    )
