"""Builds a release of the agent: the same sources and lock file give the same bytes.

The file holds `talkoot-agent` (the agent and its dependencies as one program for Python 3.11, any
architecture) and the scripts of agent/release that settle it on a machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control.domain.errors import PermanentError
from control.services.releases import AGENT_SOURCES, PROTOCOL

NAME = "talkoot-agent"
EPOCH_S = 315532800
"""1980-01-01, the first day a zip file knows."""

_MACHINE_DEPENDENT = ("*.so", "*.pyd", "*.dist-info/RECORD", "*.dist-info/WHEEL", "bin")
_NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "release", "requirements.*")


@dataclass(frozen=True, slots=True)
class Built:
    """A release on disk, not signed yet."""

    file: Path
    manifest: Path
    version: str


def source_version() -> str:
    """The version of the agent's sources here."""
    return (AGENT_SOURCES / "VERSION").read_text(encoding="utf-8").strip()


def build(out: Path, version: str, wheels: Path | None) -> Built:
    """Build into `out`; `wheels` is a folder to take packages from instead of the index.

    Raises PermanentError with what the package installer said.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="talkoot-release-") as folder:
        site = Path(folder) / "site"
        _install(site, wheels)
        shutil.copytree(AGENT_SOURCES, site / "agent", ignore=_NOT_SHIPPED)
        (site / "agent" / "VERSION").write_text(f"{version}\n", encoding="utf-8")
        program = Path(folder) / NAME
        _pack(site, program)
        contents = {NAME: program} | {
            path.name: path for path in (AGENT_SOURCES / "release").iterdir() if path.is_file()
        }
        archive = _archive(contents)
    file = out / f"{NAME}-{version}.tar.gz"
    file.write_bytes(archive.body)
    manifest = out / f"{NAME}-{version}.json"
    manifest.write_text(
        json.dumps(
            {
                "name": NAME,
                "version": version,
                "protocol": PROTOCOL,
                **_facts(archive.body),
                "files": archive.files,
            },
            sort_keys=True,
            separators=(",", ":"),
        ),
        encoding="utf-8",
    )
    return Built(file, manifest, version)


def _install(site: Path, wheels: Path | None) -> None:
    """Put the locked packages into a folder; what depends on this machine goes.

    PyYAML and charset-normalizer bring quicker versions of themselves in C and do without.
    """
    source = [] if wheels is None else ["--no-index", "--find-links", str(wheels)]
    _run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--no-deps", "--no-compile", "--only-binary", ":all:"),
            *(*source, "--target", str(site), "-r", str(AGENT_SOURCES / "requirements.lock")),
        ]
    )
    for pattern in _MACHINE_DEPENDENT:
        for path in site.rglob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _pack(site: Path, program: Path) -> None:
    _run(
        [
            *(sys.executable, "-m", "shiv", "--site-packages", str(site), "--reproducible"),
            *("--entry-point", "agent.__main__:program", "--python", "/usr/bin/env python3"),
            *("--output-file", str(program)),
        ],
        SOURCE_DATE_EPOCH=str(EPOCH_S),
    )


def _run(command: list[str], **environ: str) -> None:
    ran = subprocess.run(
        command,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if ran.returncode:
        last = (ran.stderr or ran.stdout).strip().splitlines()[-1:]
        raise PermanentError(f"The release cannot be built: {' '.join(last)}")


@dataclass(frozen=True, slots=True)
class _Archive:
    body: bytes
    files: dict[str, Any]


def _archive(contents: dict[str, Path]) -> _Archive:
    files: dict[str, Any] = {}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, path in sorted(contents.items()):
            body = path.read_bytes()
            files[name] = _facts(body)
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            entry.mtime = EPOCH_S
            entry.mode = 0o644 if path.suffix else 0o755
            tar.addfile(entry, io.BytesIO(body))
    return _Archive(gzip.compress(raw.getvalue(), mtime=0), files)


def _facts(body: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body)}
