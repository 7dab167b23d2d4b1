"""Codes of 1 to 8 bits as bytes.

A code is cut into planes whose widths are powers of two, the widest first and holding the lowest bits (7 = 4 + 2 + 1).
A plane is a sequence of little-endian 32-bit words. 16 words form a block, the last block has only as many words n as
are needed, and code t * n + l of a block of n words lies in word l at bit t * width. Every row of a matrix is a line of
its own if rows fill whole words in every plane; otherwise all codes of the matrix are one line.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_WORDS = 16


def _planes(bits: int) -> Iterator[tuple[int, int]]:
    """Width and lowest bit of each plane."""
    low = 0
    for width in (8, 4, 2, 1):
        if bits & width:
            yield width, low
            low += width


def _words(codes: int, width: int) -> int:
    return (codes * width + 31) // 32


def _line_bytes(codes: int, bits: int) -> int:
    return 4 * sum(_words(codes, width) for width, _ in _planes(bits))


def lines_of(rows: int, codes: int, bits: int) -> tuple[int, int]:
    """How `rows` rows of `codes` codes are cut: lines, and the codes of one."""
    return (rows, codes) if _line_bytes(codes, bits) * 8 == codes * bits else (1, rows * codes)


def packed_bytes(rows: int, codes: int, bits: int) -> int:
    """Bytes of a mapping of `rows` rows of `codes` codes."""
    lines, per_line = lines_of(rows, codes, bits)
    return lines * _line_bytes(per_line, bits)


def _blocks(words: int) -> list[tuple[int, int, int]]:
    """First word, number of blocks and words of one: those of 16 words, and what is left."""
    full = words // BLOCK_WORDS * BLOCK_WORDS
    return [each for each in ((0, full // BLOCK_WORDS, BLOCK_WORDS), (full, 1, words - full)) if each[1] * each[2]]


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """uint8 codes [rows, codes] as the bytes that hold them."""
    rows, per_row = codes.shape
    lines, per_line = lines_of(rows, per_row, bits)
    codes = codes.reshape(lines, per_line)
    planes = []
    for width, low in _planes(bits):
        words = _words(per_line, width)
        per_word = 32 // width
        plane = np.zeros((lines, words * per_word), np.uint32)
        plane[:, :per_line] = codes >> low & (1 << width) - 1
        shifts = (np.arange(per_word, dtype=np.uint32) * width)[:, None]
        for first, count, size in _blocks(words):
            block = plane[:, first * per_word : (first + count * size) * per_word]
            shifted = block.reshape(lines, count, per_word, size) << shifts
            planes.append(np.bitwise_or.reduce(shifted, axis=2).reshape(lines, -1))
    return np.concatenate(planes, axis=1).astype("<u4").view(np.uint8).reshape(-1)


def unpack(packed: np.ndarray, rows: int, codes: int, bits: int) -> np.ndarray:
    """The inverse of pack: uint8 [rows, codes]."""
    lines, per_line = lines_of(rows, codes, bits)
    words_of_line = packed.reshape(lines, -1).view("<u4")
    result = np.zeros((lines, per_line), np.uint8)
    begin = 0
    for width, low in _planes(bits):
        words = _words(per_line, width)
        per_word = 32 // width
        shifts = (np.arange(per_word, dtype=np.uint32) * width)[:, None]
        plane = []
        for first, count, size in _blocks(words):
            block = words_of_line[:, begin + first : begin + first + count * size].reshape(lines, count, 1, size)
            plane.append((block >> shifts & (1 << width) - 1).astype(np.uint8).reshape(lines, -1))
        result |= np.concatenate(plane, axis=1)[:, :per_line] << np.uint8(low)
        begin += words
    return result.reshape(rows, codes)
