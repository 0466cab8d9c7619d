"""Where the page sends who asks for the first error."""

from __future__ import annotations

from control.domain.ports import TailBlock
from control.web.presenters import log_search


def block(first: int, *lines: str) -> TailBlock:
    text = "".join(f"2030-01-02T03:04:05.000000 {line}\n" for line in lines)
    return TailBlock(first, len(lines), text.encode())


def test_the_first_line_that_speaks_of_an_error_is_found() -> None:
    blocks = [block(1, "o 0 errors", "s The command failed"), block(3, "e ValueError: 3")]
    assert log_search.first_error(blocks) == 3


def test_a_failure_without_that_word_is_what_was_last_said_on_standard_error() -> None:
    blocks = [block(1, "e 10 %", "o on"), block(3, "e out of cheese"), block(4, "e bye", "s end")]
    assert log_search.first_error(blocks) is None
    assert log_search.last_complaint(blocks) == 3
