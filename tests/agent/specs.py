"""Executions for tests: an archive of code and a spec around it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import uuid
from typing import Any

from agent import wire
from tests.agent.fake_control import FakeControl


def archive_of(files: dict[str, str]) -> bytes:
    """Pack files as the control service does."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(raw.getvalue(), mtime=0)


def make_spec(control: FakeControl, *commands: str, **changes: Any) -> wire.ExecutionSpec:
    """Make an execution of `commands`; `code` maps file names to texts."""
    archive = archive_of(changes.pop("code", {"hello.txt": "hello\n"}))
    digest = hashlib.sha256(archive).hexdigest()
    values: dict[str, Any] = {
        "execution_id": str(uuid.uuid4()),
        "attempt_id": str(uuid.uuid4()),
        "attempt_number": 1,
        "claim_token": uuid.uuid4().hex,
        "counter": 1,
        "project_id": str(uuid.uuid4()),
        "step": "train",
        "lease_s": 60.0,
        "heartbeat_s": 0.1,
        "log_next": 1,
        "code": wire.CodeSource(
            control.add_file(f"code-{digest}.tar.gz", archive), digest, len(archive)
        ),
        "image": "python:3.11",
        "commands": commands,
        "stop_grace_s": 1.0,
    }
    return wire.ExecutionSpec(**(values | changes))
