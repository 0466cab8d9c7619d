"""Finds an outside program, or installs its package where that is ours to do.

As root on Debian or Ubuntu what is missing is installed. Elsewhere one line says what to install
and the tests that asked are skipped; with CI=true they fail, for a suite that quietly leaves tests
out proves nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from tests.engines.announce import say
from tests.engines.places import only_one_at_a_time

T = TypeVar("T")

_NO_SERVICES = Path("/usr/sbin/policy-rc.d")


def give_up(sentence: str) -> NoReturn:
    """Skip the test that asks, or fail it when CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def program(name: str, *packages: str, folders: tuple[str, ...] = ()) -> Path:
    """Find a program on PATH or in `folders` (globs), installing `packages` if need be."""
    return present(lambda: _find(name, folders), name, *packages)


def present(find: Callable[[], T | None], what: str, *packages: str) -> T:
    """Answer what `find` finds, after installing `packages` if it finds nothing."""
    found = find()
    if found is None and _may_install():
        install(*packages)
        found = find()
    if found is None:
        give_up(f"{what} is missing; install it: sudo apt-get install {' '.join(packages)}")
    return found


def install(*packages: str) -> None:
    """Install Debian packages without starting any service they bring."""
    with only_one_at_a_time("apt"), _no_services_started():
        say(f"Installing {' '.join(packages)} (apt-get)")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        wait = ["-o", "DPkg::Lock::Timeout=300"]
        for arguments in (
            ["update", "-qq"],
            ["install", "-y", "-qq", "--no-install-recommends", *wait, *packages],
        ):
            done = subprocess.run(
                ["apt-get", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                give_up(f"apt-get {' '.join(arguments)} failed: {done.stderr.strip()[-500:]}")


def _find(name: str, folders: tuple[str, ...]) -> Path | None:
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    # A user's PATH often lacks sbin, and Debian keeps servers in versioned folders.
    for folder in ("usr/sbin", "sbin", *folders):
        for candidate in sorted(Path("/").glob(folder.lstrip("/")), reverse=True):
            if (candidate / name).is_file():
                return candidate / name
    return None


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Keep a package's own daemon from starting: Debian asks policy-rc.d first."""
    if _NO_SERVICES.exists():
        yield
        return
    _NO_SERVICES.write_text("#!/bin/sh\nexit 101\n")
    _NO_SERVICES.chmod(0o755)
    try:
        yield
    finally:
        _NO_SERVICES.unlink(missing_ok=True)
