"""Safetensors files with their metadata and the order of their tensors, which the package `safetensors` does not keep."""

from __future__ import annotations

import json
import math
import os
import struct
import tempfile
from pathlib import Path

import numpy as np

from jlcm.errors import InputError, require

TYPES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "I32": 4}
"""Bytes of a value."""


class RawTensor:
    """A tensor of the file: type, shape and bytes (uint8), which may be a view of the mapped file."""

    def __init__(self, dtype: str, shape: tuple[int, ...], data: np.ndarray):
        self.dtype, self.shape, self.data = dtype, shape, data


def dump(value: object, *, sort: bool = True) -> str:
    """JSON as the files hold it."""
    return json.dumps(value, sort_keys=sort, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, RawTensor]]:
    """Metadata and tensors of a file, which is mapped, not read."""
    try:
        mapped = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened: {error}") from error
    whole = mapped.view(np.ndarray)
    require(whole.size >= 8, f"{path}: not a safetensors file: only {whole.size} bytes")
    (length,) = struct.unpack("<Q", whole[:8].tobytes())
    require(length <= whole.size - 8, f"{path}: not a safetensors file, or truncated: a header of {length} bytes")
    try:
        header = json.loads(whole[8 : 8 + length].tobytes())
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not a safetensors file: {error}") from error
    require(isinstance(header, dict), f"{path}: not a safetensors file: its header is no object")
    metadata = header.pop("__metadata__", {})
    is_text = isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    require(is_text, f"{path}: the metadata is no object of texts")
    places = {name: _place(f"{path}: tensor '{name}'", entry) for name, entry in header.items()}
    data = whole[8 + length :]
    tensors, last = {}, 0
    for name, (dtype, shape, begin, end) in sorted(places.items(), key=lambda item: item[1][2:]):
        require(dtype in TYPES, f"{path}: tensor '{name}' is {dtype}; expected one of {', '.join(TYPES)}")
        size = math.prod(shape) * TYPES[dtype]
        require(begin == last and end == begin + size <= data.size, f"{path}: tensor '{name}' is damaged or truncated")
        tensors[name] = RawTensor(dtype, shape, data[begin:end])
        last = end
    require(last == data.size, f"{path}: {data.size - last} bytes follow the last tensor")
    return metadata, tensors


def is_shape(value: object) -> bool:
    """Whether a value of JSON is a list of sizes."""
    return isinstance(value, list) and all(type(side) is int and side >= 0 for side in value)


def _place(what: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    """Type, shape, begin and end."""
    known = isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"}
    require(known, f"{what}: expected exactly dtype, shape and data_offsets")
    dtype, shape, offsets = (entry[key] for key in ("dtype", "shape", "data_offsets"))  # type: ignore[index]
    fits = isinstance(dtype, str) and is_shape(shape) and is_shape(offsets) and len(offsets) == 2
    require(fits, f"{what}: its type, shape or place is damaged")
    return dtype, tuple(shape), offsets[0], offsets[1]


def header_of(metadata: dict[str, str], tensors: dict[str, RawTensor]) -> bytes:
    """The beginning of a file, up to the first tensor's bytes."""
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    begin = 0
    for name, tensor in tensors.items():
        end = begin + math.prod(tensor.shape) * TYPES[tensor.dtype]
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = dump(header, sort=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def write(path: str | os.PathLike[str], metadata: dict[str, str], tensors: dict[str, RawTensor]) -> None:
    """Writes the tensors in their order. The file appears as a whole, or not at all."""
    path = Path(path)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        try:
            file.write(header_of(metadata, tensors))
            for tensor in tensors.values():
                file.write(np.ascontiguousarray(tensor.data).data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
