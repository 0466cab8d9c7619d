"""The reader of the open page counts lines however the bytes are cut."""

from __future__ import annotations

import io

import pytest

from benchmarks.line_reader import count_lines


class Cut(io.BytesIO):
    """A stream that gives few bytes at a time, as a socket may."""

    def __init__(self, held: bytes, size: int) -> None:
        super().__init__(held)
        self._size = size

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self._size)


@pytest.mark.parametrize("size", [1, 2, 5, 7, 1000])
def test_a_marker_cut_in_two_is_counted_once(size: int) -> None:
    stream = Cut(b"data: a step=7 b\n\n" * 50, size)
    assert count_lines(stream, b"step=7", 50)["lines"] == 50


def test_a_stream_that_ends_early_tells_how_many_came() -> None:
    assert count_lines(Cut(b"step=7 step=7", 4), b"step=7", 3)["lines"] == 2
