"""The one way this program gives up: a sentence for the user and an exit status."""

from __future__ import annotations

FAILED = 1
WRONG_USE = 2


class Failure(Exception):
    """Something known went wrong; `details` are lines that help, such as the end of a log."""

    def __init__(self, sentence: str, *, status: int = FAILED, details: list[str] | None = None):
        super().__init__(sentence)
        self.status = status
        self.details = details or []
