"""Models and artifacts, opened to be looked at and to be run."""

from __future__ import annotations

import ctypes as c
import functools
import json
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from jlcm import _library, format
from jlcm._library import call, text
from jlcm.errors import InputError, require

Compute = Literal["auto", "float32", "bfloat16"]
_COMPUTE = {"auto": 0, "float32": 1, "bfloat16": 2}
_TYPES = {np.dtype(np.float32): 0, np.dtype(np.int32): 1}


@dataclass(frozen=True)
class Vocabulary:
    """What a model's tokenizer says of itself."""

    size: int
    """Ids are below."""
    begin: int | None
    """The token that begins texts, if one is named."""
    end: int | None
    """The token that ends texts, if one is named."""
    max_positions: int
    """Most tokens that the model reads at once."""
    sha256: str
    """Of the data that defines the tokenizer."""


@dataclass(frozen=True)
class Score:
    """How likely a model finds a continuation."""

    log_likelihood: float
    """Sum of its tokens' log-probabilities, nats."""
    greedy: bool
    """Whether each of its tokens is the most likely one."""


@dataclass(frozen=True)
class Tokens:
    """A context and what continues it, as ids."""

    ids: np.ndarray | Sequence[int]
    begin: int
    """Of the continuation; at least 1."""


class Weight:
    """A parameter of a model: name, shape, and how it is held. Compressed ones also have codes and codebooks."""

    def __init__(self, model: Model, info: _library.Tensor, stored: format.Matrix | format.Encoded | None):
        self._model = model
        self._stored = stored
        self.name = text(info.name)
        self.role = text(info.role)
        """ "attention.query", "norm", ..."""
        self.held = text(info.held)
        """ "packed 2-bit codes", "Q8_0", ...; "dense" for vectors."""
        self.shape = tuple(info.shape[: info.rank])
        self._key = info.name

    @property
    def is_compressed(self) -> bool:
        return isinstance(self._stored, format.Matrix)

    @property
    def matrix(self) -> format.Matrix:
        """The compressed matrix as the file holds it. An InputError if it is not compressed."""
        require(self.is_compressed, f"{self.name} is not compressed: it is held as {self.held}")
        return cast(format.Matrix, self._stored)

    @property
    def layout(self) -> format.Layout:
        return self.matrix.layout

    @property
    def bits(self) -> int:
        """Bits of one code."""
        return self.layout.bits

    @property
    def packed(self) -> np.ndarray:
        """The packed codes, a view of the mapped file."""
        return self.matrix.packed

    @property
    def codes(self) -> np.ndarray:
        """uint8 [residual, rows, codes per row], in stored order, unpacked."""
        return self.matrix.codes

    @property
    def codebooks(self) -> np.ndarray:
        """float16 [codebooks, residual, K, dimension], a view of the mapped file."""
        return self.matrix.codebooks

    @property
    def scales(self) -> np.ndarray | None:
        """float16 [groups], a view of the mapped file; None: 1."""
        return self.matrix.scales

    @property
    def row_order(self) -> np.ndarray | None:
        """The model's row of each stored row; None: rows in place."""
        return self.matrix.row_order

    def decode(self) -> np.ndarray:
        """Its values in float32, by the library."""
        values = np.empty(self.shape, np.float32)
        call("decode", self._model._handle, self._key, _pointer(values, c.c_float), values.size)
        return values

    def __repr__(self) -> str:
        return f"<{self.name}: {'x'.join(map(str, self.shape))}, {self.held}>"


class Model(Mapping[str, Weight]):
    """A model or an artifact: a mapping from names to its weights. Several threads may use one at once.

    >>> model = jlcm.open("runs/X/artifact.safetensors")
    >>> model.footprint.linear_bits_per_weight
    >>> model["model.layers.0.mlp.down_proj.weight"].codebooks
    """

    def __init__(self, path: str | os.PathLike[str]):
        handle = c.c_void_p()
        call("open", os.fsencode(path), c.byref(handle))
        self._handle = handle
        self._close = weakref.finalize(self, _library.value, "close", handle)
        self.path = os.fspath(path)
        self.description = text(self._value("description"))
        """ "artifact", "GGUF v3, Q4_1, F32, Q8_0", ..."""
        self.config: dict[str, Any] = json.loads(text(self._value("config")))
        """The keys of config.json."""
        self.provenance: dict[str, Any] | None = json.loads(text(self._value("provenance")))
        """How an artifact was made: spec, hashes, versions, seed."""
        self.artifact: format.Artifact | None = format.read(path) if self.description == "artifact" else None
        """What the file holds, by the reader of jlcm.format; None for a model that is no artifact."""
        self._weights = {}
        info = _library.Tensor()
        for index in range(cast(int, self._value("tensor_count"))):
            call("tensor_at", handle, index, c.byref(info))
            weight = Weight(self, info, self._stored(text(info.name)))
            self._weights[weight.name] = weight

    def _value(self, name: str) -> Any:
        return _library.value(name, self._handle)

    def _stored(self, name: str) -> format.Matrix | format.Encoded | None:
        if self.artifact is None:
            return None
        return self.artifact.matrices.get(name) or self.artifact.tensors.get(name)

    def __getitem__(self, name: str) -> Weight:
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def __repr__(self) -> str:
        return f"<jlcm.Model {self.path}: {self.description}, {len(self)} tensors>"

    @functools.cached_property
    def graph(self) -> dict[str, Any]:
        """What the model computes: "parameters" by name, role and shape, and "nodes", operators in their order, which read
        values (0 is the input, then a node's each). A language model's "head" is behind its "output"."""
        return json.loads(text(self._value("graph")))

    @property
    def footprint(self) -> format.ArtifactFootprint:
        """Where every byte of an artifact goes. An InputError for a model that is no artifact."""
        require(self.artifact is not None, f"{self.path} is no artifact, but {self.description}")
        return cast(format.Artifact, self.artifact).footprint()

    # ---- text

    @property
    def vocabulary(self) -> Vocabulary:
        """What the tokenizer says of itself. An InputError if the model reads no text."""
        found = _library.Vocabulary()
        call("vocabulary_of", self._handle, c.byref(found))
        begin, end = (None if token < 0 else token for token in (found.begin, found.end))
        return Vocabulary(found.size, begin, end, found.max_positions, text(found.sha256))

    def tokenize(self, prompt: str) -> np.ndarray:
        """int32 ids of a text as a prompt begins: with a token that begins texts if the model wants one."""
        return self._ids("tokenize", prompt)

    def encode(self, plain: str) -> np.ndarray:
        """int32 ids of a text as it stands, with nothing in front."""
        return self._ids("encode", plain)

    def _ids(self, function: str, of: str) -> np.ndarray:
        count = c.c_size_t()
        ids = np.empty(len(of.encode()) + 8, np.int32)  # more than one id a byte only in front of the text
        given = _text(of)
        call(function, self._handle, given, _pointer(ids, c.c_int32), ids.size, c.byref(count))
        if count.value > ids.size:
            ids = np.empty(count.value, np.int32)
            call(function, self._handle, given, _pointer(ids, c.c_int32), ids.size, c.byref(count))
        return ids[: count.value].copy()

    def detokenize(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of ids. Bytes that are no whole characters become U+FFFD."""
        given = _int32(ids)
        count = c.c_size_t()
        call("detokenize", self._handle, _pointer(given, c.c_int32), given.size, None, 0, c.byref(count))
        buffer = c.create_string_buffer(count.value)
        call("detokenize", self._handle, _pointer(given, c.c_int32), given.size, buffer, count.value, c.byref(count))
        return text(buffer.raw[: count.value])

    def text_files(self) -> dict[str, bytes]:
        """The files about text of the model's Hugging Face folder: tokenizer, chat templates, generation_config.json."""
        count = c.c_size_t()
        call("text_file_count", self._handle, c.byref(count))
        files, file = {}, _library.File()
        for index in range(count.value):
            call("text_file_at", self._handle, index, c.byref(file))
            files[text(file.name)] = c.string_at(file.bytes, file.size)
        return files

    # ---- forwards

    @property
    def inputs(self) -> list[str]:
        """The names of what the model reads."""
        return [
            text(cast(bytes, _library.value("input_name", self._handle, i))) for i in range(self._value("input_count"))
        ]

    def run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """What the model makes of its inputs, by name: `model.run(ids=ids)["logits"]`.

        Ids are int32 [sequences, length]; other inputs are float32. Products are made of float32, and are those of the
        decoded weights. The arrays of the result lie in the library's memory, which lives as long as they do.
        """
        values = (_library.Value * len(inputs))()
        arrays = {name: _input(name, array) for name, array in inputs.items()}
        for value, (name, array) in zip(values, arrays.items()):
            shape = (c.c_int64 * array.ndim)(*array.shape)
            value.name, value.type, value.shape, value.rank = name.encode(), _TYPES[array.dtype], shape, array.ndim
            value.data = array.ctypes.data
        made = c.c_void_p()
        call("run", self._handle, values, len(inputs), c.byref(made))
        owner = _Outputs(made)
        return dict(owner.arrays())

    def log_likelihoods(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """float64 [len(ids) - 1]: log p(ids[i] | those before), in nats, for i from 1."""
        given = _int32(ids)
        values = np.empty(max(0, given.size - 1), np.float64)
        call("log_likelihoods", self._handle, _pointer(given, c.c_int32), given.size, _pointer(values, c.c_double))
        return values

    def encode_continuation(self, context: str, continuation: str, *, begin_token: bool = False) -> Tokens:
        """The tokens of a context and its continuation, as lm-evaluation-harness makes them and jlcm-eval scores them."""
        count, begin = c.c_size_t(), c.c_size_t()
        arguments = (self._handle, _text(context), _text(continuation), int(begin_token))
        call("encode_continuation", *arguments, None, 0, c.byref(count), c.byref(begin))
        ids = np.empty(count.value, np.int32)
        call("encode_continuation", *arguments, _pointer(ids, c.c_int32), ids.size, c.byref(count), c.byref(begin))
        return Tokens(ids, begin.value)

    def score(self, continuations: Sequence[Tokens], *, compute: Compute = "auto") -> list[Score]:
        """How likely the model finds continuations. One call with all texts of a task gives jlcm-eval's figures to the
        bit; several calls give them up to rounding."""
        require(compute in _COMPUTE, f"compute is {compute!r}: expected one of {', '.join(_COMPUTE)}")
        given = (_library.Continuation * len(continuations))()
        arrays = [_int32(each.ids) for each in continuations]
        for one, ids, each in zip(given, arrays, continuations):
            one.ids, one.count, one.begin = _pointer(ids, c.c_int32), ids.size, each.begin
        values = np.empty(len(continuations), np.float64)
        greedy = np.empty(len(continuations), np.intc)
        pointers = (_pointer(values, c.c_double), _pointer(greedy, c.c_int))
        call("score_continuations", self._handle, given, len(continuations), _COMPUTE[compute], *pointers)
        return [Score(float(value), bool(likely)) for value, likely in zip(values, greedy)]

    # ---- generation

    def generate(
        self,
        prompt: str | Sequence[int] | np.ndarray,
        *,
        max_tokens: int = 0,
        context: int = 0,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        stop: Sequence[str] = (),
        exact: bool = False,
        on_text: Callable[[str], object] | None = None,
    ) -> str:
        """Goes on with a prompt, a text or ids; returns the answer.

        max_tokens: 0: as many as the context holds. context: most tokens of prompt and answer; 0: what the model is made
        for. temperature: 0: the most likely token. top_k: 0: all. stop: texts in front of which the answer ends. exact:
        products of the weights as they decode, in float32, in place of the fast kernels on codes. on_text: gets each
        piece of the text as it becomes certain; what it raises ends the work and is raised again.
        """
        options = _library.Generation()
        _library.value("generation_defaults", c.byref(options))
        options.max_tokens, options.context, options.temperature = max_tokens, context, temperature
        options.top_k, options.top_p, options.min_p = top_k, top_p, min_p
        options.repetition_penalty, options.seed, options.exact = repetition_penalty, seed, int(exact)
        stops = [_text(each) for each in stop]
        options.stop, options.stops = (c.c_char_p * len(stops))(*stops), len(stops)
        raised: list[BaseException] = []

        def take(piece: Any, count: int, _: object) -> int:
            if on_text is None:
                return 0
            try:
                on_text(piece[:count].decode())
            except BaseException as error:
                raised.append(error)
            return len(raised)

        answer = c.c_void_p()
        rest = (c.byref(options), _library.TextCallback(take), None, c.byref(answer))
        library = _library.library()
        if isinstance(prompt, str):
            status = library.jlcm_generate(self._handle, _text(prompt), *rest)
        else:
            ids = _int32(prompt)
            status = library.jlcm_generate_ids(self._handle, _pointer(ids, c.c_int32), ids.size, *rest)
        try:
            if raised:
                raise raised[0]
            _library.check(status)
            return text(c.string_at(answer) if answer else b"")
        finally:
            library.jlcm_text_free(answer)

    def stream(self, prompt: str | Sequence[int] | np.ndarray, **options: Any) -> Iterator[str]:
        """The pieces of the answer as they come; the options are those of generate(). Work ends if the iterator is closed.

        >>> for piece in model.stream("Once upon a time", max_tokens=40):
        ...     print(piece, end="", flush=True)
        """
        pieces: queue.Queue[str | BaseException | None] = queue.Queue()
        closed = threading.Event()

        def take(piece: str) -> None:
            if closed.is_set():
                raise _Closed
            pieces.put(piece)

        def work() -> None:
            try:
                self.generate(prompt, on_text=take, **options)
                pieces.put(None)
            except BaseException as error:
                pieces.put(error)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            closed.set()
            worker.join()


class _Closed(Exception):
    """Nobody wants the rest of a text."""


class _Outputs:
    """Owns what a forward made; arrays over its memory keep it."""

    def __init__(self, handle: c.c_void_p):
        self._handle = handle
        weakref.finalize(self, _library.value, "outputs_free", handle)

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        for index in range(cast(int, _library.value("output_count", self._handle))):
            value = _library.Value()
            call("output_at", self._handle, index, c.byref(value))
            yield text(value.name), np.asarray(_Memory(self, value.data, tuple(value.shape[: value.rank])))


class _Memory:
    """float32 values in memory that `owner` keeps, by numpy's array interface."""

    def __init__(self, owner: object, address: int, shape: tuple[int, ...]):
        self._owner = owner
        self.__array_interface__ = {"data": (address, True), "shape": shape, "typestr": "<f4", "version": 3}


def _pointer(array: np.ndarray, type_: Any) -> Any:
    return array.ctypes.data_as(c.POINTER(type_))


def _input(name: str, given: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(given)
    if array.dtype == np.int64:
        return _int32(array.reshape(-1)).reshape(array.shape)
    require(array.dtype in _TYPES, f"input {name} is {array.dtype}; expected float32 or int32")
    return array


def _int32(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(ids)
    if array.size == 0:
        return np.empty(0, np.int32)
    require(array.ndim == 1 and array.dtype.kind in "iu", "ids must be a list of whole numbers")
    require(-(2**31) <= array.min() and array.max() < 2**31, f"an id of {array.max()}")
    return np.ascontiguousarray(array, dtype=np.int32)


def _text(given: str) -> bytes:
    encoded = given.encode("utf-8", "surrogatepass")
    if b"\0" in encoded:
        raise InputError("the text holds a zero byte")
    return encoded


def open(path: str | os.PathLike[str]) -> Model:
    """Opens an artifact (*.safetensors), a GGUF file, a Hugging Face folder or an ONNX file. Codes stay in the mapped
    file: opening reads headers and codebooks."""
    return Model(path)


def generate(model: Model | str | os.PathLike[str], prompt: str | Sequence[int] | np.ndarray, **options: Any) -> str:
    """Goes on with a prompt; the options are those of Model.generate()."""
    return (model if isinstance(model, Model) else Model(model)).generate(prompt, **options)


def stream(
    model: Model | str | os.PathLike[str], prompt: str | Sequence[int] | np.ndarray, **options: Any
) -> Iterator[str]:
    """The pieces of the answer as they come; the options are those of Model.generate()."""
    return (model if isinstance(model, Model) else Model(model)).stream(prompt, **options)


def set_threads(threads: int) -> None:
    """Threads that all work uses from now on; 0: as many as there are cores."""
    call("set_threads", threads)


def version() -> str:
    """Of the library, e.g. "0.3.0"."""
    return text(cast(bytes, _library.value("version")))
