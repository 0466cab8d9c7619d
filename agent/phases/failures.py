"""How a step of an attempt can end early; each carries what a person reads."""

from __future__ import annotations


class PhaseFailed(Exception):
    """A step cannot succeed, however often it is tried.

    `reason` is a member of the control service's reasons, `sentence` is plain text for the log.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


class Interrupted(Exception):
    """Somebody wants the attempt to end; the cause is in its state."""


class Fenced(Exception):
    """The attempt belongs to nobody any more: kill, clean, forget."""


class Refused(Exception):
    """The agent cannot work with what it was given; a sentence for its operator."""


class WrongUse(Refused):
    """A setting is unknown or impossible."""
