"""Container images made here: one of busybox, one with Debian's Python.

The tests need no public registry, which may be out of reach or count pulls.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from docker import DockerClient
from docker.errors import ImageNotFound

from tests.engines import apt
from tests.engines.announce import say
from tests.engines.places import cache, only_one_at_a_time

BUSYBOX = "talkoot-test/busybox:1"
PYTHON = "talkoot-test/python:3.11"
_LOCK = Path(__file__).parents[2] / "requirements-dev.lock"


def busybox(client: DockerClient) -> str:
    """Make the small image once: a static busybox with a link for each of its applets."""
    if not _is_here(client, BUSYBOX):
        client.api.import_image_from_data(_busybox_tree(), *BUSYBOX.split(":"))
    return BUSYBOX


def python(client: DockerClient) -> str:
    """Make the image with Python 3.11 and the unmodified valohai-utils, once."""
    tree = cache() / f"python-3.11-utils-{version('valohai-utils')}.tar"
    with only_one_at_a_time("python-image"):
        label = f"{tree.stat().st_mtime_ns}" if tree.exists() else ""
        if label and _label(client) == label:
            return PYTHON
        if not tree.exists():
            _make_python_tree(tree)
        label = f"{tree.stat().st_mtime_ns}"
        client.api.import_image_from_file(
            str(tree), *PYTHON.split(":"), changes=[f"LABEL talkoot-tree={label}"]
        )
    return PYTHON


def _is_here(client: DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _label(client: DockerClient) -> str:
    return (
        client.images.get(PYTHON).labels.get("talkoot-tree", "") if _is_here(client, PYTHON) else ""
    )


def _busybox_tree() -> bytes:
    program = apt.present(_static_busybox, "a static busybox", "busybox-static")
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tree:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            tree.addfile(_entry(name, tarfile.DIRTYPE, mode))
        tree.add(program, "bin/busybox")
        for applet in applets.split():
            if applet != "busybox":
                link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
                link.linkname = "busybox"
                tree.addfile(link)
        for name, text in (
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\n"),
        ):
            entry = _entry(name, tarfile.REGTYPE, 0o644)
            entry.size = len(text)
            tree.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _static_busybox() -> Path | None:
    found = shutil.which("busybox")
    if found is None:
        return None
    # A busybox that needs the machine's libraries would not run in an empty tree.
    listed = subprocess.run(["ldd", found], capture_output=True, check=False)
    return Path(found) if listed.returncode else None


def _make_python_tree(tree: Path) -> None:
    if os.geteuid() != 0:
        apt.give_up("only root can make the Python image (debootstrap); run the tests as root")
    debootstrap = apt.program("debootstrap", "debootstrap", "debian-archive-keyring")
    say("Making the Python image with debootstrap (about a minute, once)")
    with tempfile.TemporaryDirectory(prefix="talkoot-image-", dir=cache()) as folder:
        root = Path(folder) / "root"
        _run(
            [
                str(debootstrap),
                "--variant=minbase",
                "--include=python3,ca-certificates",
                "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
                "bookworm",
                str(root),
            ]
        )
        _add_valohai_utils(root)
        for spare in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(root / spare, ignore_errors=True)
        (root / "usr/bin/python").symlink_to("python3")
        packed = Path(folder) / "tree.tar"
        _run(
            [
                "tar",
                "-C",
                str(root),
                "--numeric-owner",
                "--exclude=./dev/*",
                "-cf",
                str(packed),
                ".",
            ]
        )
        packed.rename(tree)


def _add_valohai_utils(root: Path) -> None:
    pins = root.with_name("pins.txt")
    # The lock's versions without its hashes: pip would ask for a hash on the command line too.
    locked = [line.split(" \\")[0] for line in _LOCK.read_text().splitlines()]
    pins.write_text("\n".join(line for line in locked if re.match(r"[\w.-]+==", line)))
    _run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"),
            *("--python-version", "3.11", "--only-binary=:all:", "--constraint", str(pins)),
            *("--target", str(root / "usr/local/lib/python3.11/dist-packages")),
            "valohai-utils",
        ]
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        words = (done.stdout + done.stderr).strip()[-1000:]
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {words}")
