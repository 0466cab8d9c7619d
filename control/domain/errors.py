"""What can go wrong, as the services say it; `control/api/errors.py` maps each to a status once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of one field. `code` is for programs (client-contract.md 1.10)."""

    field: str
    message: str
    code: str = "invalid"


class TalkootError(Exception):
    """A known error: its text is a sentence for people."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())

    @property
    def message(self) -> str:
        """The sentence."""
        return str(self.args[0])


class NotFound(TalkootError):
    """Not found."""


class Forbidden(TalkootError):
    """You do not have permission to do this."""


class Unauthenticated(TalkootError):
    """Authentication credentials were not provided."""


class Conflict(TalkootError):
    """The object has changed meanwhile; read it again."""


class QuotaExceeded(TalkootError):
    """The quota is used up."""


class TooLarge(TalkootError):
    """The request is too large."""


class Fenced(TalkootError):
    """This attempt has ended or belongs to another worker."""


class LogGap(TalkootError):
    """The log goes on from another line."""

    def __init__(self, expected: int) -> None:
        super().__init__(f"The log goes on from line {expected}.")
        self.expected = expected


class Invalid(TalkootError):
    """The request is not valid; holds every fault that was found, not only the first."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors

    @classmethod
    def one(cls, field: str, message: str, code: str = "invalid") -> Invalid:
        """Build the common case of a single fault."""
        return cls(FieldError(field, message, code))


class TemporaryError(TalkootError):
    """A plug-in could not do it now; the same call may succeed after `delay_s`."""

    def __init__(self, message: str, delay_s: float = 1.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class PermanentError(TalkootError):
    """A plug-in can not do it, however often it is asked."""
