"""jlcm: neural networks compressed with jointly learnable codebooks and mappings.

    >>> import jlcm
    >>> model = jlcm.open("runs/X/artifact.safetensors")
    >>> for piece in model.stream("Once upon a time", max_tokens=40):
    ...     print(piece, end="")

Importing it needs numpy only. jlcm.format reads and writes artifacts in plain Python; jlcm.torch, jlcm.transformers and
jlcm.lm_eval need the packages that they are named after. docs/python.md tells all of it.
"""

from jlcm import format
from jlcm.errors import Error, InputError, InternalError, Stopped, SystemRefused
from jlcm.model import Model, Score, Tokens, Vocabulary, Weight, generate, open, set_threads, stream, version
from jlcm.runs import Run, evaluate, results, run, sweep

__all__ = [
    "Error",
    "InputError",
    "InternalError",
    "Model",
    "Run",
    "Score",
    "Stopped",
    "SystemRefused",
    "Tokens",
    "Vocabulary",
    "Weight",
    "evaluate",
    "format",
    "generate",
    "open",
    "results",
    "run",
    "set_threads",
    "stream",
    "sweep",
    "version",
]
