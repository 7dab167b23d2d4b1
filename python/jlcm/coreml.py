"""Artifacts of vision models as Core ML packages, through coremltools.

    python -m jlcm.coreml ARTIFACT OUT.mlpackage [--form ios18] [--compute float16]

    >>> jlcm.coreml.export("artifact.safetensors", "model.mlpackage", form="ios18")

The package holds indices and tables of values (constexpr_lut_to_dense), which Core ML decodes. The graph is the one
that the artifact holds; the file that it was made of is not read.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Literal

import coremltools
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Function, Program, Var, types

from jlcm import coreml_operators, coreml_palette, format
from jlcm.coreml_palette import Palette
from jlcm.errors import InputError, require

Form = Literal["ios18", "ios16"]
Compute = Literal["float16", "float32"]
Shape = tuple[int, ...]

TARGETS = {"ios18": coremltools.target.iOS18, "ios16": coremltools.target.iOS16}
INDEX_WIDTHS = {"ios18": (1, 2, 3, 4, 6, 8), "ios16": (1, 2, 4, 6, 8)}


def export(
    artifact: str | os.PathLike[str] | format.Artifact,
    path: str | os.PathLike[str],
    form: Form = "ios18",
    compute: Compute = "float16",
) -> coremltools.models.MLModel:
    """Writes a package, for one sample at a time, and returns it (not loaded: only macOS can run it).

    Inputs and outputs have the names of the original; the dimension of samples comes first.

    form      ios18: a table for each group of rows or columns, as in the artifact. ios16: one a tensor, of at most 256
              values
    compute   the type of tables, other weights and products. Inputs and outputs are float32 in any case

    What Core ML has no form for (operators, residual codebooks, outliers) is an InputError that names all of it.
    """
    require(form in TARGETS, f"the form '{form}' is not known; expected one of {', '.join(TARGETS)}")
    require(compute in ("float16", "float32"), f"compute is '{compute}'; expected float16 or float32")
    require(os.fspath(path).endswith(".mlpackage"), f"{os.fspath(path)}: the name has to end in .mlpackage")
    if not isinstance(artifact, format.Artifact):
        artifact = format.read(artifact)
    program = _Translation(artifact, form, np.dtype(compute)).program()
    model = coremltools.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=TARGETS[form],
        compute_precision=coremltools.precision.FLOAT32,  # leave the types as they are
        skip_model_load=True,
    )
    bits = artifact.footprint().linear_bits_per_weight
    model.short_description = f"{artifact.extra.get('name', 'model')}, {bits:.2f} bits per compressed weight (jlcm)"
    model.save(os.fspath(path))
    return model


class _Translation:
    """Of an artifact's graph to a MIL program."""

    def __init__(self, artifact: format.Artifact, form: Form, type: np.dtype):
        config = artifact.config if isinstance(artifact.config, dict) else {}
        require(
            config.get("model_type") == "graph",
            "the artifact holds no graph of an ONNX file: language models have no Core ML package; "
            "jlcm-export writes them as Hugging Face folders and GGUF files",
        )
        self.artifact = artifact
        self.form = form
        self.type = type
        self.graph = config["graph"]
        self.outputs = self.graph.get("outputs", [])
        require(
            len(self.outputs) > 0,
            "the graph has no names of outputs: an older version made the artifact; make it again",
        )
        self.nodes = self.needed()
        self.made: dict[tuple[str, Shape], Var] = {}
        self.contents: dict[tuple[str, Shape], Palette | np.ndarray] = {}

    def needed(self) -> dict[int, dict[str, Any]]:
        """The nodes that outputs are made of, by the number of the value that each makes."""
        nodes = dict(enumerate(self.graph["nodes"], start=1))
        values = {output["value"] for output in self.outputs}
        for value in reversed(nodes):
            if value in values:
                values.update(nodes[value]["inputs"])
        return {value: node for value, node in nodes.items() if value in values}

    def program(self) -> Program:
        self.read_contents()
        shapes = {each["name"]: [1, *each["shape"]] for each in self.graph.get("inputs", [])}
        if not shapes:
            shapes = {self.graph["input"]["name"]: self.graph["input"]["shape"]}
        placeholders = {name: mb.placeholder(shape=shape, dtype=types.fp32) for name, shape in shapes.items()}
        program = Program()
        with Function(placeholders, opset_version=TARGETS[self.form]) as function:
            values = {0: self.input(list(function.inputs.values()))}
            for value, node in self.nodes.items():
                weights = [self.weight(key) for key in self.weights_of(node)]
                inputs = [values[i] for i in node["inputs"]]
                values[value] = coreml_operators.OPERATORS[node["operator"]](inputs, weights, node["attributes"])
            named = mb.identity if self.type == np.float32 else lambda **all: mb.cast(**all, dtype="fp32")
            function.set_outputs([named(x=values[each["value"]], name=each["name"]) for each in self.outputs])
        program.add_function("main", function)
        return program

    def input(self, given: list[Var]) -> Var:
        """What the graph reads: the one input, or the record of several."""
        parts = given if self.type == np.float32 else [mb.cast(x=each, dtype="fp16") for each in given]
        if "inputs" not in self.graph:
            return parts[0]
        return mb.concat(values=[mb.reshape(x=each, shape=[1, -1]) for each in parts], axis=1)

    def read_contents(self) -> None:
        """Weights in the form that the package has them in; an InputError names all that has none."""
        problems: dict[str, str] = {}
        for node in self.nodes.values():
            try:
                coreml_operators.check(node["operator"], node["attributes"])
            except InputError as error:
                problems.setdefault(str(error), f" (as in {node['name']})")
            for name, shape in self.weights_of(node):
                try:
                    self.contents[name, shape] = self.content(name, shape)
                except InputError as error:
                    problems[f"{name}: {error}"] = ""
        lines = "".join(f"\n  {problem}{place}" for problem, place in problems.items())
        require(not problems, f"Core ML's form {self.form} does not express:{lines}")

    def content(self, name: str, shape: Shape) -> Palette | np.ndarray:
        matrix = self.artifact.matrices.get(name)
        if matrix is None:
            return coreml_palette.finite(self.artifact.decode(name).reshape(shape), self.type)
        return coreml_palette.palette(matrix, shape, INDEX_WIDTHS[self.form], self.type, self.form == "ios16")

    def weights_of(self, node: dict[str, Any]) -> list[tuple[str, Shape]]:
        """The parameters that a node reads, and their shapes there."""
        found = [self.graph["parameters"][i] for i in node["parameters"]]
        keys = [(each["name"], tuple(each["shape"])) for each in found]
        if node["operator"] == "convolution":
            (name, (rows, cols)), *bias = keys
            kernel = node["attributes"]["windows"]["kernel"]
            keys = [(name, (rows, cols // int(np.prod(kernel)), *kernel)), *bias]
        return keys

    def weight(self, key: tuple[str, Shape]) -> Var:
        """Once for all nodes that read it."""
        if key not in self.made:
            self.made[key] = self.make_weight(key)
        return self.made[key]

    def make_weight(self, key: tuple[str, Shape]) -> Var:
        name, shape = key
        content = self.contents[key]
        if isinstance(content, np.ndarray):
            return mb.const(val=content, name=name)
        if self.form == "ios16":
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m jlcm.coreml", description="An artifact as a Core ML package.")
    parser.add_argument("artifact")
    parser.add_argument("out", help="a name that ends in .mlpackage")
    parser.add_argument("--form", choices=TARGETS, default="ios18")
    parser.add_argument("--compute", choices=("float16", "float32"), default="float16")
    given = parser.parse_args(arguments)
    try:
        export(given.artifact, given.out, given.form, given.compute)
    except InputError as error:
        print(f"jlcm.coreml: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"jlcm.coreml: {given.out} cannot be written: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
