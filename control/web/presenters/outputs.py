"""Stored files as people see them, with a look inside where that is safe and small."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from control.domain.errors import TalkootError
from control.services import datums
from control.services.datums import DatumView
from control.services.world import World
from control.web import security

PICTURES = (".png", ".jpg", ".jpeg", ".gif")
"""Shown as pictures. SVG is not among them: it may hold scripts."""
TEXTS = (".txt", ".md", ".json", ".csv", ".tsv", ".yaml", ".yml", ".log", ".py", ".toml")
MOST_TEXT_BYTES = 64 * 1024
MOST_TEXTS = 5
MOST_ROWS = 50
_NUMBERS = re.compile(r"\[\s+[-\d.eE+]+(?:,\s+[-\d.eE+]+)*\s+\]")


@dataclass(frozen=True, slots=True)
class File:
    """One file; `picture` is an address, `text` its content, `table` its rows."""

    id: str
    name: str
    url: str
    size_bytes: int
    ctime: datetime
    counter: int | None
    execution_id: str | None
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    is_purged: bool
    picture: str = ""
    text: str = ""
    table: tuple[tuple[str, ...], ...] = field(default=())


def files(world: World, views: Sequence[DatumView], *, with_text: bool = False) -> list[File]:
    """Present files; reads the bytes of the first few short texts when asked."""
    left = MOST_TEXTS if with_text else 0
    found: list[File] = []
    for view in views:
        one = present(world, view, with_text=left > 0)
        left -= bool(one.text or one.table)
        found.append(one)
    return found


def present(world: World, view: DatumView, *, with_text: bool) -> File:
    """Present one file."""
    row = view.row
    kind = PurePosixPath(row.name).suffix.lower()
    is_shown = not row.is_purged
    picture = datums.download_url(world, view) if is_shown and kind in PICTURES else ""
    if picture:
        security.allow_store(picture)
    text = _text(world, view) if is_shown and with_text and kind in TEXTS else ""
    table = _rows(text, kind) if kind in (".csv", ".tsv") else ()
    return File(
        id=row.id,
        name=row.name,
        url=f"/data/{row.id}/download/",
        size_bytes=row.size_bytes,
        ctime=row.ctime,
        counter=view.counter,
        execution_id=row.execution_id,
        aliases=view.aliases,
        tags=tuple(row.tags or ()),
        is_purged=row.is_purged,
        picture=picture,
        text="" if table else _tidy(text, kind),
        table=table,
    )


def _text(world: World, view: DatumView) -> str:
    if view.row.size_bytes > MOST_TEXT_BYTES:
        return ""
    try:
        return world.store.get(view.row.key).decode("utf-8")
    except (TalkootError, UnicodeDecodeError):
        return ""


def _tidy(text: str, kind: str) -> str:
    if kind != ".json":
        return text
    try:
        tidy = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
    return _NUMBERS.sub(lambda found: " ".join(found.group().split()), tidy)


def _rows(text: str, kind: str) -> tuple[tuple[str, ...], ...]:
    reader = csv.reader(io.StringIO(text), delimiter="\t" if kind == ".tsv" else ",")
    rows = [tuple(row[:20]) for row, _ in zip(reader, range(MOST_ROWS + 1), strict=False)]
    return tuple(rows)
