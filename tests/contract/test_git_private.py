"""Private repositories behind a real sshd and a real HTTP server: who is let in, what is seen."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from control.domain.errors import PermanentError, TalkootError
from control.domain.ports import GitRemote
from control.plugins.git import authority
from control.plugins.git.authority import make_deploy_key
from control.plugins.git.contract import MIRROR
from control.plugins.git.program import ProgramGit
from tests.contract.git_repositories import RealRepository
from tests.contract.processes_seen import watch_children
from tests.engines.git_servers import HttpGitServer, SshGitServer


@pytest.fixture
def git(tmp_path: Path) -> ProgramGit:
    return ProgramGit(tmp_path / "mirrors")


@pytest.fixture
def by_http(http_git_server: HttpGitServer) -> RealRepository:
    name = f"private-{secrets.token_hex(4)}"
    remote = GitRemote(
        http_git_server.url(name), username=http_git_server.user, token=http_git_server.token
    )
    made = RealRepository(http_git_server.repository(name), remote)
    made.commit({"a": b"1"})
    return made


@pytest.fixture
def by_ssh(ssh_git_server: SshGitServer) -> RealRepository:
    name = f"private-{secrets.token_hex(4)}"
    private, public = make_deploy_key(name)
    ssh_git_server.allow(public)
    remote = GitRemote(
        ssh_git_server.url(name), private_key=private, host_key=ssh_git_server.host_key
    )
    made = RealRepository(ssh_git_server.repository(name), remote)
    made.commit({"a": b"1"})
    return made


def test_on_first_contact_the_host_key_comes_back_to_be_pinned(
    git: ProgramGit, by_ssh: RealRepository, ssh_git_server: SshGitServer
) -> None:
    found = git.fetch(MIRROR, replace(by_ssh.remote, host_key=None), ["main"])
    assert found.host_key == ssh_git_server.host_key
    assert git.fetch(MIRROR, by_ssh.remote, ["main"]).host_key is None


def test_a_changed_host_key_is_refused(git: ProgramGit, by_ssh: RealRepository) -> None:
    _, other = make_deploy_key("")
    with pytest.raises(PermanentError, match="host key has changed"):
        git.fetch(MIRROR, replace(by_ssh.remote, host_key=other), ["main"])


@pytest.mark.parametrize("pinned", ["", "nonsense", "ssh-ed25519 AAAA\n* ssh-rsa AAAA"])
def test_a_pinned_key_that_is_none_is_refused_or_asked_for(
    git: ProgramGit, by_ssh: RealRepository, pinned: str
) -> None:
    if pinned:
        with pytest.raises(PermanentError, match="host key"):
            git.fetch(MIRROR, replace(by_ssh.remote, host_key=pinned), ["main"])
    else:
        assert git.fetch(MIRROR, replace(by_ssh.remote, host_key=pinned), ["main"]).host_key


@pytest.mark.parametrize("with_key", [True, False])
def test_a_key_that_the_server_does_not_know_is_refused(
    git: ProgramGit, by_ssh: RealRepository, *, with_key: bool
) -> None:
    stranger = make_deploy_key("")[0] if with_key else None
    with pytest.raises(PermanentError, match="refuses this key"):
        git.fetch(MIRROR, replace(by_ssh.remote, private_key=stranger), ["main"])


def test_a_repository_that_is_not_on_the_ssh_server_is_said_so(
    git: ProgramGit, by_ssh: RealRepository, ssh_git_server: SshGitServer
) -> None:
    with pytest.raises(PermanentError, match="not found"):
        git.fetch(MIRROR, replace(by_ssh.remote, url=ssh_git_server.url("nothing")), ["main"])


def test_a_repository_that_is_not_on_the_http_server_is_said_so(
    git: ProgramGit, by_http: RealRepository, http_git_server: HttpGitServer
) -> None:
    with pytest.raises(PermanentError, match="not found"):
        git.fetch(MIRROR, replace(by_http.remote, url=http_git_server.url("nothing")), ["main"])


def test_a_wrong_token_is_refused_and_never_shown(git: ProgramGit, by_http: RealRepository) -> None:
    with pytest.raises(PermanentError, match="refuses this key, user name or token") as caught:
        git.fetch(MIRROR, replace(by_http.remote, token="wrong-secret-7"), ["main"])
    assert "wrong-secret-7" not in shown(caught.value)


def test_no_token_is_asked_for(git: ProgramGit, by_http: RealRepository) -> None:
    with pytest.raises(PermanentError, match="deploy key or a token"):
        git.fetch(MIRROR, GitRemote(by_http.remote.url), ["main"])


def test_a_token_may_stand_in_the_address_and_does_not_stay_there(
    git: ProgramGit, by_http: RealRepository, tmp_path: Path
) -> None:
    remote = by_http.remote
    url = remote.url.replace("://", f"://{remote.username}:{remote.token}@")
    assert git.fetch(MIRROR, GitRemote(url), ["main"]).commits
    assert remote.token is not None
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert remote.token.encode() not in path.read_bytes()


def test_a_token_is_not_sent_without_encryption(git: ProgramGit) -> None:
    remote = GitRemote("http://git.example.test/a.git", token="secret")
    with pytest.raises(PermanentError, match="https alone"):
        git.fetch(MIRROR, remote, ["main"])


def test_a_token_does_not_follow_a_redirection_to_another_server(
    git: ProgramGit, by_http: RealRepository
) -> None:
    target = by_http.remote.url

    class Redirection(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", target + self.path.removeprefix("/a.git"))
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirection) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/a.git"
            with pytest.raises(PermanentError, match="deploy key or a token"):
                git.fetch(MIRROR, replace(by_http.remote, url=url), ["main"])
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", ["by_http", "by_ssh"])
def test_no_secret_is_in_a_command_or_an_environment_of_a_fetch(
    git: ProgramGit, kind: str, request: pytest.FixtureRequest
) -> None:
    repository: RealRepository = request.getfixturevalue(kind)
    secret = repository.remote.token or (repository.remote.private_key or "").splitlines()[1]
    seen: list[bytes] = []
    done = threading.Event()
    watcher = threading.Thread(target=lambda: watch_children(seen, done))
    watcher.start()
    try:
        for number in range(5):
            git.fetch(f"{MIRROR}-{number}", repository.remote, ["main"])
    finally:
        done.set()
        watcher.join()
    together = b"\n".join(seen)
    assert b"fetch" in together
    assert secret.encode() not in together


def test_keys_that_a_killed_fetch_left_are_taken_away(
    git: ProgramGit, by_http: RealRepository
) -> None:
    place = Path(authority._place())
    old, young = (place / f"talkoot-git-{secrets.token_hex(4)}" for _ in range(2))
    for folder in (old, young):
        folder.mkdir()
        (folder / "key").touch()
    os.utime(old, (1, 1))
    git.fetch(MIRROR, by_http.remote, ["main"])
    assert (old.exists(), young.exists()) == (False, True)
    shutil.rmtree(young)


def shown(error: TalkootError) -> str:
    """Everything that a log could hold of an error, its causes too."""
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        parts.append(repr(cause))
        cause = cause.__cause__ or cause.__context__
    return " ".join(parts)
