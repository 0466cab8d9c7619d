"""What this machine is: numbers for heartbeats, its GPUs, its identity in the state directory."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUERY = "index,name,memory.total,memory.used,utilization.gpu,driver_version,uuid"


@dataclass(frozen=True, slots=True)
class Identity:
    """What joining gave; `url` is the control service that gave it."""

    worker_id: str
    agent_token: str
    environment: str
    heartbeat_s: float
    url: str


def facts(state: Path) -> dict[str, Any]:
    """Read what changes and what does not; takes some milliseconds, with GPUs some more."""
    memory = _memory()
    disk = shutil.disk_usage(state)
    return {
        "cpus": os.cpu_count() or 1,
        "load": os.getloadavg()[0],
        "memory_bytes": memory.get("MemTotal", 0),
        "memory_free_bytes": memory.get("MemAvailable", 0),
        "disk_bytes": disk.total,
        "disk_free_bytes": disk.free,
        "gpus": gpus(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _memory() -> dict[str, int]:
    found: dict[str, int] = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        found[name] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return found


def gpus() -> list[dict[str, Any]]:
    """List NVIDIA GPUs as `nvidia-smi` sees them; none where there is no such program."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        ran = subprocess.run(
            [program, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [row for line in ran.stdout.splitlines() if (row := _gpu(line))]


def _gpu(line: str) -> dict[str, Any] | None:
    words = [word.strip() for word in line.split(",")]
    if len(words) != 7:
        return None
    return {
        "index": int(words[0]),
        "name": words[1],
        "memory_bytes": _mebibytes(words[2]),
        "memory_used_bytes": _mebibytes(words[3]),
        "utilisation": int(words[4]) if words[4].isdigit() else None,
        "driver": words[5],
        "uuid": words[6],
    }


def _mebibytes(text: str) -> int | None:
    return int(text) * 1024 * 1024 if text.isdigit() else None


def read_identity(state: Path, url: str) -> Identity | None:
    """Give the identity that was kept for this control service."""
    try:
        kept = Identity(**json.loads((state / "identity.json").read_bytes()))
    except FileNotFoundError:
        return None
    return kept if kept.url == url else None


def keep_identity(state: Path, identity: Identity) -> None:
    """Write the identity; only its owner may read it."""
    draft = state / "identity.new"
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as stream:
        names = Identity.__slots__
        json.dump({name: getattr(identity, name) for name in names}, stream)
    draft.replace(state / "identity.json")


def forget_identity(state: Path) -> None:
    """Drop an identity that is no longer accepted."""
    (state / "identity.json").unlink(missing_ok=True)
