"""The whole application over a scene, and people of every kind who call it."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from control.app import create_app
from control.bootstrap import Wiring
from control.database.tables.base import metadata
from control.domain.roles import Caller
from control.services import datums, members, people
from control.settings import read_settings
from tests.factories import NOW, Scene

YAML = """\
- step:
    name: train
    image: python:3.12
    command: python train.py {parameters}
"""
REPOSITORY = "https://git.example.org/digits.git"
ROLES = ("nobody", "stranger", "reader", "member", "owner", "admin")


@dataclass
class Desk:
    """The API as people call it."""

    scene: Scene
    app: Flask
    tokens: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, *, role: str = "owner", **given: Any) -> Any:
        """Call the API as somebody."""
        headers = dict(given.pop("headers", {}))
        if role != "nobody":
            headers.setdefault("Authorization", f"Token {self.tokens[role]}")
        with self.app.test_client(use_cookies=False) as client:
            return client.open(f"/api/v0{path}", method=method, headers=headers, **given)

    def get(self, path: str, **given: Any) -> Any:
        """Read something that is there."""
        answer = self.call("GET", path, **given)
        assert answer.status_code == 200, answer.text
        return answer.json

    def post(self, path: str, body: Any = None, **given: Any) -> Any:
        """Send something."""
        return self.call("POST", path, json=body, **given)

    def stored(self, name: str = "model.bin", body: bytes = b"bytes") -> str:
        """Store a datum and answer its id."""
        scene, sha256 = self.scene, "0" * 64
        file = (name, len(body), sha256)
        view, upload = datums.start_upload(
            scene.world, scene.caller, scene.project_id, file, scene.now
        )
        store: Any = scene.world.store
        store.accept(upload, body)
        datums.confirm_upload(scene.world, scene.caller, view.row.id, scene.now)
        return view.row.id

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit to the repository of `REPOSITORY`."""
        git: Any = self.scene.world.git
        return git.commit(REPOSITORY, files)

    def everything(self) -> dict[str, list[Any]]:
        """Read every row there is, but for the moment a token was last used."""
        found: dict[str, list[Any]] = {}
        with self.scene.world.database.read() as connection:
            for table in metadata.sorted_tables:
                columns = [column for column in table.c if column.name != "used_at"]
                rows = connection.execute(select(*columns)).all()
                found[table.name] = sorted(map(str, rows))
        return found


@pytest.fixture
def desk(scene: Scene, tmp_path: Path) -> Desk:
    """One person of each kind, each with a token."""
    settings = read_settings({}, data_dir=tmp_path)
    made = Desk(scene, create_app(Wiring(settings, scene.world, None)))
    made.tokens["owner"] = people.add_token(scene.world, "ada", "test", NOW)
    for role in ("stranger", "reader", "member", "admin"):
        people.add_user(scene.world, role, None, role == "admin", NOW)
        made.tokens[role] = people.add_token(scene.world, role, "test", NOW)
        if role in ("reader", "member"):
            owner = Caller(scene.caller.user_id, "ada")
            members.set_member(scene.world, owner, scene.project_id, role, role, NOW)
    return made


def package(
    files: dict[str, str], change: Callable[[tarfile.TarInfo], None] | None = None
) -> io.BytesIO:
    """Make a package as clients do; `change` makes its members hostile."""
    target = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, text in sorted(files.items()):
            member = tarfile.TarInfo(name)
            body = text.encode()
            member.size = len(body)
            if change is not None:
                change(member)
            archive.addfile(member, io.BytesIO(body))
    target.seek(0)
    return target
