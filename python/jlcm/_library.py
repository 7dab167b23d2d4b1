"""The C interface (core/c_api/jlcm.h) by ctypes, which releases Python's lock during every call.

The library lies beside this file in a wheel; JLCM_PREFIX names another installation or a build tree, with `lib` and `bin`.
It is opened by the first call, so that what needs no library (jlcm.format) works without it.
"""

from __future__ import annotations

import ctypes as c
import functools
import os
from pathlib import Path

from jlcm.errors import Error, InputError, InternalError, Stopped, SystemRefused

API_VERSION = 2

TextCallback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_char), c.c_size_t, c.c_void_p)


class Tensor(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("role", c.c_char_p),
        ("held", c.c_char_p),
        ("shape", c.POINTER(c.c_int64)),
        ("rank", c.c_size_t),
    ]


class Vocabulary(c.Structure):
    _fields_ = [
        ("size", c.c_int32),
        ("begin", c.c_int32),
        ("end", c.c_int32),
        ("max_positions", c.c_int64),
        ("sha256", c.c_char_p),
    ]


class File(c.Structure):
    _fields_ = [("name", c.c_char_p), ("bytes", c.c_void_p), ("size", c.c_size_t)]


class Value(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("type", c.c_int),
        ("shape", c.POINTER(c.c_int64)),
        ("rank", c.c_size_t),
        ("data", c.c_void_p),
    ]


class Continuation(c.Structure):
    _fields_ = [("ids", c.POINTER(c.c_int32)), ("count", c.c_size_t), ("begin", c.c_size_t)]


class Generation(c.Structure):
    _fields_ = [
        ("size", c.c_size_t),
        ("max_tokens", c.c_int64),
        ("context", c.c_int64),
        ("temperature", c.c_double),
        ("top_k", c.c_int64),
        ("top_p", c.c_double),
        ("min_p", c.c_double),
        ("repetition_penalty", c.c_double),
        ("seed", c.c_uint64),
        ("stop", c.POINTER(c.c_char_p)),
        ("stops", c.c_size_t),
        ("exact", c.c_int),
    ]


_SIZE, _TEXT, _POINTER = c.c_size_t, c.c_char_p, c.c_void_p
_IDS, _SIZES, _TEXTS = c.POINTER(c.c_int32), c.POINTER(c.c_size_t), c.POINTER(c.c_void_p)
_RESULTS = {
    "api_version": c.c_int,
    "version": _TEXT,
    "error": _TEXT,
    "close": None,
    "description": _TEXT,
    "config": _TEXT,
    "provenance": _TEXT,
    "graph": _TEXT,
    "tensor_count": _SIZE,
    "input_count": _SIZE,
    "input_name": _TEXT,
    "output_count": _SIZE,
    "outputs_free": None,
    "generation_defaults": None,
    "text_free": None,
}
"""What functions return that do not return a status."""
_ARGUMENTS = {
    "api_version": [],
    "version": [],
    "error": [],
    "set_threads": [c.c_int],
    "open": [_TEXT, c.POINTER(_POINTER)],
    "close": [_POINTER],
    "description": [_POINTER],
    "config": [_POINTER],
    "provenance": [_POINTER],
    "graph": [_POINTER],
    "tensor_count": [_POINTER],
    "tensor_at": [_POINTER, _SIZE, c.POINTER(Tensor)],
    "decode": [_POINTER, _TEXT, c.POINTER(c.c_float), _SIZE],
    "tokenize": [_POINTER, _TEXT, _IDS, _SIZE, _SIZES],
    "encode": [_POINTER, _TEXT, _IDS, _SIZE, _SIZES],
    "detokenize": [_POINTER, _IDS, _SIZE, c.c_char_p, _SIZE, _SIZES],
    "vocabulary_of": [_POINTER, c.POINTER(Vocabulary)],
    "text_file_count": [_POINTER, _SIZES],
    "text_file_at": [_POINTER, _SIZE, c.POINTER(File)],
    "input_count": [_POINTER],
    "input_name": [_POINTER, _SIZE],
    "run": [_POINTER, c.POINTER(Value), _SIZE, c.POINTER(_POINTER)],
    "output_count": [_POINTER],
    "output_at": [_POINTER, _SIZE, c.POINTER(Value)],
    "outputs_free": [_POINTER],
    "log_likelihoods": [_POINTER, _IDS, _SIZE, c.POINTER(c.c_double)],
    "encode_continuation": [_POINTER, _TEXT, _TEXT, c.c_int, _IDS, _SIZE, _SIZES, _SIZES],
    "score_continuations": [
        _POINTER,
        c.POINTER(Continuation),
        _SIZE,
        c.c_int,
        c.POINTER(c.c_double),
        c.POINTER(c.c_int),
    ],
    "generation_defaults": [c.POINTER(Generation)],
    "generate": [_POINTER, _TEXT, c.POINTER(Generation), TextCallback, _POINTER, _TEXTS],
    "generate_ids": [_POINTER, _IDS, _SIZE, c.POINTER(Generation), TextCallback, _POINTER, _TEXTS],
    "text_free": [_POINTER],
}
_ERRORS: dict[int, type[Error]] = {1: InternalError, 2: InputError, 3: SystemRefused, 130: Stopped}
STOPPED = 130


def prefix() -> Path:
    """The folder with `lib` and `bin`."""
    given = os.environ.get("JLCM_PREFIX")
    return Path(given) if given else Path(__file__).parent


@functools.cache
def library() -> c.CDLL:
    """The library, opened."""
    path = prefix() / "lib" / "libjlcm_core.so"
    try:
        opened = c.CDLL(str(path))
    except OSError as error:
        raise SystemRefused(
            f"jlcm's library cannot be opened: {error}. Install jlcm, or name its folder by JLCM_PREFIX"
        ) from error
    found = opened.jlcm_api_version()
    if found // 100 != API_VERSION // 100 or found < API_VERSION:
        raise SystemRefused(f"{path} has version {found} of the C interface; this package needs {API_VERSION}")
    for name, arguments in _ARGUMENTS.items():
        function = getattr(opened, f"jlcm_{name}")
        function.argtypes = arguments
        function.restype = _RESULTS.get(name, c.c_int)
    return opened


def value(name: str, *arguments: object) -> object:
    """What jlcm_NAME returns that cannot fail."""
    return getattr(library(), f"jlcm_{name}")(*arguments)


def call(name: str, *arguments: object) -> None:
    """Calls jlcm_NAME, and raises what it reports."""
    check(getattr(library(), f"jlcm_{name}")(*arguments))


def check(status: int) -> None:
    """Raises the error of a status."""
    if status:
        raise _ERRORS.get(status, InternalError)(text(library().jlcm_error()))


def text(given: bytes | None) -> str:
    """A string of the library."""
    return (given or b"").decode("utf-8", "replace")
