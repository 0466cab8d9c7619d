"""The limits of a git process: time, output, size, addresses and names."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

import pytest

from control.domain.errors import PermanentError, TemporaryError
from control.domain.ports import GitRemote
from control.plugins.git.authority import make_deploy_key
from control.plugins.git.contract import MIRROR
from control.plugins.git.process import run
from control.plugins.git.program import ProgramGit
from tests.contract.git_repositories import RealRepository
from tests.contract.processes_seen import descendants, is_running
from tests.engines.git_servers import bare_repository
from tests.engines.processes import wait_until


@pytest.fixture
def git(tmp_path: Path) -> ProgramGit:
    return ProgramGit(tmp_path / "mirrors")


@pytest.fixture
def local(tmp_path: Path) -> RealRepository:
    path = bare_repository(tmp_path / "repository.git")
    return RealRepository(path, GitRemote(str(path)))


def test_a_server_that_says_nothing_is_given_up_and_leaves_no_process(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        git = ProgramGit(tmp_path / "mirrors", fetch_limit_s=1)
        remote = GitRemote(f"git://127.0.0.1:{mute.getsockname()[1]}/a.git")
        with pytest.raises(TemporaryError, match="longer than"):
            git.fetch(MIRROR, remote, ["main"])
    assert descendants() == []


def test_what_a_command_started_dies_with_it(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    script = f"sleep 1000 & echo $! > {marker}; wait"
    with pytest.raises(TemporaryError):
        run(["sh", "-c", script], env=dict(os.environ), limit_s=0.5)
    pid = int(marker.read_text())
    wait_until(lambda: not is_running(pid), what="the end of a grandchild")


def test_what_a_command_left_running_is_ended_too(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    script = f"sleep 1000 >/dev/null 2>&1 & echo $! > {marker}"
    assert run(["sh", "-c", script], env=dict(os.environ), limit_s=10).status == 0
    pid = int(marker.read_text())
    wait_until(lambda: not is_running(pid), what="the end of a grandchild")


def test_a_repository_that_is_too_large_is_refused(tmp_path: Path, local: RealRepository) -> None:
    local.commit({"a": secrets.token_bytes(2 << 20)})
    git = ProgramGit(tmp_path / "mirrors", pack_bytes=1 << 20)
    with pytest.raises(PermanentError, match="larger than"):
        git.fetch(MIRROR, local.remote, ["main"])
    assert ProgramGit(tmp_path / "mirrors").fetch(MIRROR, local.remote, ["main"]).commits


def test_too_much_output_is_refused() -> None:
    with pytest.raises(PermanentError, match="more than 1 MiB"):
        run(["sh", "-c", "yes"], env=dict(os.environ), limit_s=30, output_bytes=1 << 20)


def test_a_flood_of_errors_is_cut() -> None:
    done = run(["sh", "-c", "yes | head -c 9999999 >&2"], env=dict(os.environ), limit_s=30)
    assert len(done.error) == 64 << 10


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(PermanentError, match="no-such-program is not installed"):
        run(["no-such-program"], env={}, limit_s=1)


def test_a_port_that_nobody_listens_to_is_temporary(git: ProgramGit) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for url in (
            f"http://127.0.0.1:{port}/a.git",
            f"git://127.0.0.1:{port}/a.git",
            f"ssh://git@127.0.0.1:{port}/a.git",
        ):
            for host_key in (None, make_deploy_key("")[1]):
                with pytest.raises(TemporaryError, match="can not be reached"):
                    git.fetch(MIRROR, GitRemote(url, host_key=host_key), ["main"])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "--upload-pack=touch x",
        "-oProxyCommand=touch x",
        "ext::sh -c 'touch x'",
        "ext::true",
        "ssh://-oProxyCommand=true/a",
        "ssh://-oProxyCommand=true@host/a",
        "ftp://host/a.git",
        "https:///a.git",
        "https://host:port/a.git",
        "https://host/a b.git",
        "https://host/a\n.git",
        "./relative",
        "relative/path",
        "fd::7",
    ],
)
def test_an_address_that_could_do_harm_is_refused(git: ProgramGit, url: str) -> None:
    with pytest.raises(PermanentError):
        git.fetch(MIRROR, GitRemote(url), ["main"])


def test_a_path_of_this_machine_needs_leave(tmp_path: Path, local: RealRepository) -> None:
    local.commit({"a": b"1"})
    options = {"data_dir": str(tmp_path), "allow_local": "false"}
    git = ProgramGit.from_url("program:", options=options)
    for url in (local.remote.url, f"file://{local.remote.url}"):
        with pytest.raises(PermanentError, match="not allowed"):
            git.fetch(MIRROR, GitRemote(url), ["main"])


@pytest.mark.parametrize("mirror", ["", "../x", "a/b", ".hidden", "-x", "a\n"])
def test_a_mirror_has_a_plain_name(git: ProgramGit, local: RealRepository, mirror: str) -> None:
    with pytest.raises(PermanentError, match="name of a mirror"):
        git.fetch(mirror, local.remote, ["main"])
