"""Where the stacks' state lies, looked at past the engine: its locks, and what it recorded."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import psycopg


class State(Protocol):
    """One back end."""

    def locks(self) -> Sequence[str]: ...

    def recorded(self, stack: str) -> str:
        """Answer the state of a stack as text; "" before its first."""
        ...


class Files:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ".pulumi"

    def locks(self) -> Sequence[str]:
        return [str(path) for path in self._folder.glob("locks/**/*.json")]

    def recorded(self, stack: str) -> str:
        files = self._folder.glob(f"stacks/**/{stack}.json")
        return "".join(file.read_text() for file in files)


class Postgres:
    """A table, by the address that the engine has; keys begin with the database's name."""

    def __init__(self, url: str) -> None:
        self._url = url

    def locks(self) -> Sequence[str]:
        return list(self._like("%/.pulumi/locks/%.json"))

    def recorded(self, stack: str) -> str:
        return "".join(self._like(f"%/.pulumi/stacks/%/{stack}.json").values())

    def _like(self, pattern: str) -> Mapping[str, str]:
        with psycopg.connect(self._url) as connection:
            rows = connection.execute(
                "SELECT key, data->>'data' FROM pulumi_state WHERE key LIKE %s", [pattern]
            ).fetchall()
        return {key: base64.b64decode(data).decode() for key, data in rows}


def state_of(environment: Mapping[str, str]) -> State:
    """Look where the engine of this environment looks."""
    url = environment["PULUMI_BACKEND_URL"]
    return Postgres(url) if url.startswith("postgres:") else Files(Path(urlsplit(url).path))
