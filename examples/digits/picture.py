"""Draw the confusion matrix as a PNG file with the standard library alone.

A PNG is a header, the pixel rows packed by zlib, and an end mark, each with its checksum. The
letters come from a font of 5 x 7 dots written out below: only those that the picture needs.
"""

from __future__ import annotations

import struct
import zlib

Colour = tuple[int, int, int]

PAPER: Colour = (255, 255, 255)
INK: Colour = (38, 50, 56)
QUIET: Colour = (112, 128, 136)
EMPTY: Colour = (244, 247, 248)
RIGHT: Colour = (0, 105, 92)
WRONG: Colour = (198, 40, 40)

CELL = 46
GAP = 2
LEFT = 56
TOP = 112
MARGIN = 26

# Seven rows of five dots; a bit is a dot, the leftmost is the highest.
FONT = {
    " ": (0, 0, 0, 0, 0, 0, 0),
    "%": (0b11000, 0b11001, 0b00010, 0b00100, 0b01000, 0b10011, 0b00011),
    ".": (0, 0, 0, 0, 0, 0b01100, 0b01100),
    "0": (0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110),
    "1": (0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110),
    "2": (0b01110, 0b10001, 0b00001, 0b00010, 0b00100, 0b01000, 0b11111),
    "3": (0b11111, 0b00010, 0b00100, 0b00010, 0b00001, 0b10001, 0b01110),
    "4": (0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010),
    "5": (0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110),
    "6": (0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110),
    "7": (0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000),
    "8": (0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110),
    "9": (0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100),
    "a": (0, 0, 0b01110, 0b00001, 0b01111, 0b10001, 0b01111),
    "c": (0, 0, 0b01110, 0b10000, 0b10000, 0b10001, 0b01110),
    "d": (0b00001, 0b00001, 0b01101, 0b10011, 0b10001, 0b10001, 0b01111),
    "e": (0, 0, 0b01110, 0b10001, 0b11111, 0b10000, 0b01110),
    "f": (0b00110, 0b01001, 0b01000, 0b11100, 0b01000, 0b01000, 0b01000),
    "g": (0, 0b01111, 0b10001, 0b10001, 0b01111, 0b00001, 0b01110),
    "h": (0b10000, 0b10000, 0b10110, 0b11001, 0b10001, 0b10001, 0b10001),
    "i": (0b00100, 0, 0b01100, 0b00100, 0b00100, 0b00100, 0b01110),
    "l": (0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110),
    "m": (0, 0, 0b11010, 0b10101, 0b10101, 0b10101, 0b10101),
    "n": (0, 0, 0b10110, 0b11001, 0b10001, 0b10001, 0b10001),
    "o": (0, 0, 0b01110, 0b10001, 0b10001, 0b10001, 0b01110),
    "r": (0, 0, 0b10110, 0b11001, 0b10000, 0b10000, 0b10000),
    "s": (0, 0, 0b01110, 0b10000, 0b01110, 0b00001, 0b11110),
    "t": (0b01000, 0b01000, 0b11100, 0b01000, 0b01000, 0b01001, 0b00110),
    "u": (0, 0, 0b10001, 0b10001, 0b10001, 0b10011, 0b01101),
    "w": (0, 0, 0b10001, 0b10001, 0b10101, 0b10101, 0b01010),
}


class Canvas:
    """A picture of three bytes a pixel, rows from the top."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows = [bytearray(bytes(PAPER) * width) for _ in range(height)]

    def box(self, left: int, top: int, width: int, height: int, colour: Colour) -> None:
        line = bytes(colour) * width
        for y in range(top, top + height):
            self.rows[y][left * 3 : (left + width) * 3] = line

    def text(self, left: int, top: int, words: str, colour: Colour, scale: int = 2) -> None:
        for place, letter in enumerate(words):
            x = left + place * 6 * scale
            for row, dots in enumerate(FONT[letter]):
                for column in range(5):
                    if dots >> (4 - column) & 1:
                        self.box(x + column * scale, top + row * scale, scale, scale, colour)

    def png(self) -> bytes:
        # Each row starts with its filter: 0, the bytes as they are.
        pixels = b"".join(b"\0" + bytes(row) for row in self.rows)
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        return (
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", header)
            + _chunk(b"IDAT", zlib.compress(pixels, 9))
            + _chunk(b"IEND", b"")
        )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def text_width(words: str, scale: int = 2) -> int:
    return (len(words) * 6 - 1) * scale


def confusion_picture(confusion: list[list[int]], accuracy: float) -> bytes:
    """Draw rows for what was written and columns for what was read; answer the PNG's bytes."""
    size = len(confusion)
    side = size * (CELL + GAP) - GAP
    canvas = Canvas(LEFT + side + MARGIN, TOP + side + MARGIN)
    canvas.text(LEFT, 22, f"{accuracy:.1%} right of {sum(map(sum, confusion))} digits", INK, 3)
    canvas.text(LEFT, 58, "rows as written   columns as read", QUIET)
    for number in range(size):
        middle = number * (CELL + GAP) + CELL // 2
        canvas.text(LEFT + middle - 5, TOP - 24, str(number), INK)
        canvas.text(LEFT - 24, TOP + middle - 7, str(number), INK)
    for row, counts in enumerate(confusion):
        for column, count in enumerate(counts):
            _draw_cell(canvas, row, column, count, max(sum(counts), 1))
    return canvas.png()


def _draw_cell(canvas: Canvas, row: int, column: int, count: int, row_total: int) -> None:
    left, top = LEFT + column * (CELL + GAP), TOP + row * (CELL + GAP)
    strongest = RIGHT if row == column else WRONG
    # A single mistake in a row of forty would be invisible by its share alone.
    share = count / row_total if row == column else min(1.0, 0.4 + 4 * count / row_total)
    colour = _blend(EMPTY, strongest, share) if count else EMPTY
    canvas.box(left, top, CELL, CELL, colour)
    if count:
        words = str(count)
        ink = PAPER if share > 0.5 else INK
        canvas.text(left + (CELL - text_width(words)) // 2, top + CELL // 2 - 7, words, ink)


def _blend(start: Colour, end: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    return red, green, blue
