"""What the sync and the async client of Valkey or Redis have in common."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from redis import exceptions

from control.domain.errors import PermanentError, TemporaryError
from control.domain.ports import TailBlock

SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
}
ANSWER_LIMIT_S = 5.0
CONNECT_LIMIT_S = 2.0
MAX_CONNECTIONS = 10_000  # a waiting pop holds one; redis-py would stop at 100
OLDEST_VERSION = (6, 2)
FIRST, COUNT, TEXT = b"first", b"count", b"text"


def check_url(url: str) -> str:
    """Return the address as redis-py takes it, or say what one looks like without showing it."""
    scheme, separator, rest = url.partition("://")
    scheme = SCHEMES.get(scheme, "")
    if not scheme or not separator or not rest:
        raise PermanentError("A queue is written redis://, rediss:// or unix:///path/to/socket.")
    return f"{scheme}://{rest}"


def connection_settings(url: str, answer_limit_s: float | None) -> dict[str, Any]:
    """Say how to connect; `answer_limit_s` None waits for ever."""
    settings = {
        "socket_timeout": answer_limit_s,
        "socket_connect_timeout": CONNECT_LIMIT_S,
        "max_connections": MAX_CONNECTIONS,
        "protocol": 2,  # the older one: it connects with fewer questions
    }
    if not url.startswith("unix:"):  # which knows no such setting
        settings["socket_keepalive"] = True
    return settings


def read_block(fields: dict[bytes, bytes]) -> TailBlock:
    """Read one entry of a tail's stream."""
    return TailBlock(int(fields[FIRST]), int(fields[COUNT]), fields[TEXT])


def describe(answer: dict[str, Any]) -> str:
    """Name the server from its INFO; PermanentError when it is too old for us."""
    # Valkey says the Redis version it is compatible with in redis_version.
    name = "Valkey" if "valkey_version" in answer else "Redis"
    version = str(answer.get("valkey_version") or answer.get("redis_version", "0"))
    numbers = tuple(int(part) for part in str(answer.get("redis_version", "0")).split(".")[:2])
    if numbers < OLDEST_VERSION:
        raise PermanentError(f"The queue server is {name} {version}; 6.2 or newer is needed.")
    return f"{name} {version}"


def is_repeat(error: exceptions.ResponseError) -> bool:
    """Tell whether XADD refused an entry because the stream has gone as far already."""
    return "equal or smaller" in str(error)


@contextmanager
def reaching_the_server() -> Generator[None]:
    """Turn redis-py's errors into our two kinds; its own texts may name the address, ours do not.

    The next call connects again by itself, so a lost connection is temporary.
    """
    try:
        yield
    except (exceptions.AuthenticationError, exceptions.NoPermissionError) as error:
        raise PermanentError("The queue server refuses these credentials.") from error
    except exceptions.OutOfMemoryError as error:
        raise TemporaryError("The queue server's memory is full.", delay_s=5) from error
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
        raise TemporaryError("The queue server does not answer.") from error
    except exceptions.ResponseError as error:
        if str(error).startswith(("UNBLOCKED", "READONLY", "MASTERDOWN", "CLUSTERDOWN")):
            raise TemporaryError("The queue server is changing over.") from error
        raise
