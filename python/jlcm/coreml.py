"""Artifacts as Core ML packages, through coremltools: models that came as ONNX, and language models.

    python -m jlcm.coreml ARTIFACT OUT.mlpackage [--form ios18] [--compute float16] [--context 512]

    >>> jlcm.coreml.export("artifact.safetensors", "model.mlpackage", form="ios18")

The package holds indices and tables of values (constexpr_lut_to_dense), which Core ML decodes. The graph is the one
that the artifact holds, or that its configuration describes; the file that it was made of is not read.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from typing import Any, Literal

import coremltools
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Function, Program, Var, types

from jlcm import coreml_constants, coreml_operators, format
from jlcm.coreml_language import LanguageOperators
from jlcm.coreml_weights import TARGETS, Form, Shape, Weights
from jlcm.errors import InputError, require
from jlcm.model import Model

Compute = Literal["float16", "float32"]


def export(
    artifact: str | os.PathLike[str] | format.Artifact,
    path: str | os.PathLike[str],
    form: Form = "ios18",
    compute: Compute = "float16",
    context: int = 0,
) -> coremltools.models.MLModel:
    """Writes a package, for one sample at a time, and returns it (not loaded: only macOS can run it).

    Inputs and outputs have the names of the original; the dimension of samples comes first. A language model has `ids`,
    int32 [1, context], and `logits` [1, context, vocabulary]; a shorter text is filled up behind with any tokens. An
    encoder has `features` [1, context, width]; its texts are as long as the context.

    form      ios18: a table for each group of rows or columns, as in the artifact. ios16: one a tensor, of at most 256
              values
    compute   the type of tables, other weights and products. Inputs (but ids) and outputs are float32 in any case
    context   tokens that a language model takes; 0: 512, or all that it is made for if these are fewer

    What Core ML has no form for (operators, residual codebooks, outliers) is an InputError that names all of it.
    """
    require(form in TARGETS, f"the form '{form}' is not known; expected one of {', '.join(TARGETS)}")
    require(compute in ("float16", "float32"), f"compute is '{compute}'; expected float16 or float32")
    require(os.fspath(path).endswith(".mlpackage"), f"{os.fspath(path)}: the name has to end in .mlpackage")
    source = None if isinstance(artifact, format.Artifact) else artifact
    if not isinstance(artifact, format.Artifact):
        artifact = format.read(artifact)
    program = _program(Weights(artifact, form, np.dtype(compute)), source, context)
    model = coremltools.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=TARGETS[form],
        compute_precision=coremltools.precision.FLOAT32,  # leave the types as they are
        pass_pipeline=coreml_constants.pipeline(),
        skip_model_load=True,
    )
    bits = artifact.footprint().linear_bits_per_weight
    model.short_description = f"{artifact.extra.get('name', 'model')}, {bits:.2f} bits per compressed weight (jlcm)"
    model.save(os.fspath(path))
    return model


DEFAULT_CONTEXT = 512


def _program(weights: Weights, path: str | os.PathLike[str] | None, context: int) -> Program:
    """path: of the artifact; None if it lies in memory alone."""
    config = weights.artifact.config if isinstance(weights.artifact.config, dict) else {}
    if config.get("model_type") == "graph":
        require(context == 0, f"a context of {context}, but the artifact is no language model")
        return _Translation(weights, config["graph"]).program(_image_inputs(config["graph"]))
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = os.path.join(folder, "artifact.safetensors")
            format.write(path, weights.artifact)
        model = Model(path)
        longest = model.config["max_position_embeddings"]
        require(0 <= context <= longest, f"a context of {context}; the model is made for 1 to {longest} tokens")
        ids = mb.placeholder(shape=(1, context or min(DEFAULT_CONTEXT, longest)), dtype=types.int32)
        return _Translation(weights, model.graph).program({"ids": ids})


def _image_inputs(graph: dict[str, Any]) -> dict[str, Any]:
    shapes = {each["name"]: [1, *each["shape"]] for each in graph.get("inputs", [])}
    if not shapes:
        shapes = {graph["input"]["name"]: graph["input"]["shape"]}
    return {name: mb.placeholder(shape=shape, dtype=types.fp32) for name, shape in shapes.items()}


class _Translation:
    """Of a model's graph to a MIL program."""

    def __init__(self, weights: Weights, graph: dict[str, Any]):
        self.weights = weights
        self.graph = graph
        self.head: dict[str, Any] | None = graph.get("head")
        self.operators = {**coreml_operators.OPERATORS, **LanguageOperators(weights.form).by_kind()}
        self.outputs = graph.get("outputs", [])
        if graph["input"]["name"] == "ids":
            self.outputs = [{"name": "logits" if self.head else "features", "value": graph["output"]}]
        require(
            len(self.outputs) > 0,
            "the graph has no names of outputs: an older version made the artifact; make it again",
        )
        self.nodes = self.needed()

    def needed(self) -> dict[int, dict[str, Any]]:
        """The nodes that outputs are made of, by the number of the value that each makes."""
        nodes = dict(enumerate(self.graph["nodes"], start=1))
        values = {output["value"] for output in self.outputs}
        for value in reversed(nodes):
            if value in values:
                values.update(nodes[value]["inputs"])
        return {value: node for value, node in nodes.items() if value in values}

    def program(self, placeholders: dict[str, Any]) -> Program:
        self.read_weights()
        program = Program()
        with Function(placeholders, opset_version=TARGETS[self.weights.form]) as function:
            values = {0: self.input(list(function.inputs.values()))}
            for value, node in self.nodes.items():
                weights = [self.weights[key] for key in self.weights_of(node)]
                inputs = [values[i] for i in node["inputs"]]
                values[value] = self.operators[node["operator"]](inputs, weights, node["attributes"])
            if self.head:
                (output,) = self.outputs
                values[output["value"]] = self.logits(values[output["value"]])
            named = mb.identity if self.weights.type == np.float32 else lambda **all: mb.cast(**all, dtype="fp32")
            function.set_outputs([named(x=values[each["value"]], name=each["name"]) for each in self.outputs])
        program.add_function("main", function)
        return program

    def input(self, given: list[Var]) -> Var:
        """What the graph reads: the one input, or the record of several."""
        is_ids = types.is_int(given[0].dtype)
        stay = is_ids or self.weights.type == np.float32
        parts = given if stay else [mb.cast(x=each, dtype="fp16") for each in given]
        if "inputs" not in self.graph:
            return parts[0]
        return mb.concat(values=[mb.reshape(x=each, shape=[1, -1]) for each in parts], axis=1)

    def logits(self, features: Var) -> Var:
        made = mb.linear(x=features, weight=self.weights[self.weight_at(self.head["parameter"])])
        return coreml_operators.soft_cap(made, self.head["soft_cap"]) if self.head["soft_cap"] > 0 else made

    def read_weights(self) -> None:
        """An InputError names all operators and weights that Core ML has no form for."""
        for node in self.nodes.values():
            try:
                require(node["operator"] in self.operators, f"the operator '{node['operator']}'")
                coreml_operators.check(node["operator"], node["attributes"])
            except InputError as error:
                self.weights.problems.setdefault(str(error), f" (as in {node['name']})")
            for name, shape in self.weights_of(node):
                self.weights.read(name, shape)
        if self.head:
            self.weights.read(*self.weight_at(self.head["parameter"]))
        self.weights.require_all()

    def weight_at(self, parameter: int) -> tuple[str, Shape]:
        found = self.graph["parameters"][parameter]
        return found["name"], tuple(found["shape"])

    def weights_of(self, node: dict[str, Any]) -> list[tuple[str, Shape]]:
        """The parameters that a node reads, and their shapes there."""
        keys = [self.weight_at(parameter) for parameter in node["parameters"]]
        if node["operator"] == "convolution":
            (name, (rows, cols)), *bias = keys
            kernel = node["attributes"]["windows"]["kernel"]
            keys = [(name, (rows, cols // int(np.prod(kernel)), *kernel)), *bias]
        return keys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m jlcm.coreml", description="An artifact as a Core ML package.")
    parser.add_argument("artifact")
    parser.add_argument("out", help="a name that ends in .mlpackage")
    parser.add_argument("--form", choices=TARGETS, default="ios18")
    parser.add_argument("--compute", choices=("float16", "float32"), default="float16")
    parser.add_argument("--context", type=int, default=0, help="tokens of a language model (512, or all it can)")
    given = parser.parse_args(arguments)
    try:
        export(given.artifact, given.out, given.form, given.compute, given.context)
    except InputError as error:
        print(f"jlcm.coreml: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"jlcm.coreml: {given.out} cannot be written: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
