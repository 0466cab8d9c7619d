"""What the engine's words mean: the class of a failure, the holder of a lock, the line to show.

The engine has no error codes: its diagnostics and the clouds' messages are matched here, and
nowhere else. Source: infrastructure.md 1.6 and 3.3 step 8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from control.domain.cloud_ports import FailureClass

_SIGNS: dict[FailureClass, str] = {
    # The order counts: "… quota exceeded, request limit …" is a quota, not a throttle.
    FailureClass.CAPACITY: r"""
        InsufficientInstanceCapacity | InsufficientHostCapacity | UnfulfillableCapacity
        | InsufficientReservedInstanceCapacity | SpotMaxPriceTooLow | MaxSpotInstanceCountExceeded
        | AllocationFailed | OverconstrainedAllocationRequest | SkuNotAvailable
        | RESOURCE_POOL_EXHAUSTED | stockout | No\ valid\ host | NoValidHost
    """,
    FailureClass.QUOTA: r"""
        VcpuLimitExceeded | InstanceLimitExceeded | ResourceLimitExceeded | VolumeLimitExceeded
        | LimitExceededException | QuotaExceeded | QUOTA_EXCEEDED | quotaExceeded
        | [Qq]uota\ exceeded | OperationNotAllowed.*[Qq]uota
    """,
    FailureClass.THROTTLE: r"""
        RequestLimitExceeded | ThrottlingException | \bThrottling\b | TooManyRequests
        | rateLimitExceeded | Rate\ exceeded | SlowDown | \b429\b
    """,
    FailureClass.CREDENTIALS: r"""
        InvalidClientTokenId | AuthFailure | ExpiredToken | UnrecognizedClientException
        | SignatureDoesNotMatch | NoCredentialProviders | [Nn]o\ valid\ credential\ sources
        | failed\ to\ refresh\ cached\ credentials | security\ token\ included\ in\ the\ request
        | InvalidAuthenticationToken | AADSTS\d+ | could\ not\ find\ default\ credentials
        | invalid_grant | [Aa]uthentication\ required | requires\ authentication
        | [Uu]nable\ to\ locate\ credentials | incorrect\ passphrase | passphrase\ must\ be\ set
        | UnauthorizedOperation | AccessDenied | AuthorizationFailed
        | is\ not\ authorized\ to\ perform
    """,
    FailureClass.CONFIGURATION: r"""
        InvalidAMIID | InvalidParameter | ValidationError | InvalidInstanceType | InvalidSubnet
        | InvalidLaunchTemplate | InvalidGroup | InvalidKeyPair | [Ii]nvalid\ IamInstanceProfile
        | instance\ type.*(not\ supported|does\ not\ exist) | [Ii]nvalid\ value\ for
        | unknown\ resource\ type | failed\ with\ an\ unhandled\ exception | SyntaxError
        | [Mm]issing\ required\ configuration\ variable | is\ not\ a\ valid | ModuleNotFoundError
        | ImportError | Program\ (exited\ with\ non-zero\ exit\ code|failed)
        | no\ resource\ plugin | load\ plugin | AlreadyExists | already\ exists
    """,
}
_PATTERNS = tuple((kind, re.compile(signs, re.VERBOSE)) for kind, signs in _SIGNS.items())
_LOCK = re.compile(
    r"^\s*(?P<place>\S+): created by (?P<user>[^@\s]*)@(?P<host>\S+) \(pid (?P<pid>\d+)\)"
    r"(?: at (?P<since>\S+))?",
    re.MULTILINE,
)
_NOISE = re.compile(
    r"^(error: )?(update failed|preview failed|update cancell?ed|Program exited with non-zero.*"
    r"|an unhandled error occurred:.*|one or more .* failed)\s*$",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"^error: ")


@dataclass(frozen=True, slots=True)
class StackLock:
    """A lock object of the state's back end: whose process wrote it, and when."""

    user: str
    host: str
    pid: int
    since: str = ""  # RFC 3339, as the engine says it; "" when it does not

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (process {self.pid})"


def classify(text: str) -> FailureClass | None:
    """Say what must be done about a failure; None when the words are not known."""
    return next((kind for kind, pattern in _PATTERNS if pattern.search(text)), None)


def locks_of(text: str) -> list[StackLock]:
    """Find the holders in "the stack is currently locked by N lock(s) …", in the engine's order."""
    return [
        StackLock(found["user"], found["host"], int(found["pid"]), found["since"] or "")
        for found in _LOCK.finditer(text)
    ]


def locked_sentence(text: str) -> str:
    """Say who holds the stack, as far as the engine knows."""
    holders = ", ".join(str(lock) for lock in locks_of(text))
    return f"The stack is locked by {holders or 'another update'}; it is tried again by itself."


def headline(errors: Sequence[str], fallback: str) -> str:
    """Pick the first error that a person must read, and cut it to its first paragraph."""
    for error in errors:
        lines = [line.strip() for line in error.strip().splitlines()]
        lines = [line for line in lines if line and not _NOISE.match(line)]
        if lines:
            return _PREFIX.sub("", " ".join(_paragraph(lines)))[:1000]
    return fallback.strip()[:1000]


def _paragraph(lines: Sequence[str]) -> Sequence[str]:
    """Keep a traceback's last line, which says what happened; else the first lines."""
    if any(line.startswith("Traceback") for line in lines):
        return lines[-1:]
    return lines[:3]
