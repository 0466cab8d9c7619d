"""Real Git servers on loopback: sshd with keys, and HTTP with a name and a token."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engines import apt
from tests.engines.git_over_http import GitOverHttp
from tests.engines.places import free_port
from tests.engines.processes import Server


@dataclass(frozen=True)
class SshGitServer:
    """A real sshd that runs nothing but Git, for the keys in `authorized_keys`."""

    port: int
    folder: Path
    user: str
    host_key: str
    """The server's public key, as `ssh-ed25519 AAAA…`."""

    @property
    def authorized_keys(self) -> Path:
        return self.folder / "authorized_keys"

    @property
    def known_hosts_line(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key}"

    def allow(self, public_key: str) -> None:
        """Let one more key in."""
        with self.authorized_keys.open("a") as keys:
            keys.write(public_key.strip() + "\n")

    def allow_nobody(self) -> None:
        self.authorized_keys.write_text("")

    def repository(self, name: str) -> Path:
        """Make an empty bare repository; fill it by its path, read it by `url`."""
        return bare_repository(self.folder / "repositories" / f"{name}.git")

    def url(self, name: str) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self.folder}/repositories/{name}.git"


@dataclass(frozen=True)
class HttpGitServer:
    """A real HTTP Git server that answers 401 to whoever lacks the name and the token."""

    port: int
    folder: Path
    user: str
    token: str

    def repository(self, name: str) -> Path:
        """Make an empty bare repository; fill it by its path, read it by `url`."""
        return bare_repository(self.folder / f"{name}.git")

    def url(self, name: str) -> str:
        """Answer the address without a secret in it."""
        return f"http://127.0.0.1:{self.port}/{name}.git"


def bare_repository(path: Path) -> Path:
    """Make an empty bare repository whose first branch is `main`."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    return path


@contextmanager
def ssh_git_server() -> Iterator[SshGitServer]:
    """Start an sshd of our own; it knows no password and no key but the test's."""
    sshd = apt.program("sshd", "openssh-server")
    keygen = apt.program("ssh-keygen", "openssh-client")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # what it drops its privileges into
    with tempfile.TemporaryDirectory(prefix="talkoot-sshd-") as place:
        folder = Path(place)
        (folder / "repositories").mkdir()
        subprocess.run(
            [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "host", "-f", folder / "host"],
            check=True,
        )
        kind, key, _ = (folder / "host.pub").read_text().split()
        lent = SshGitServer(free_port(), folder, getpass.getuser(), f"{kind} {key}")
        lent.allow_nobody()
        (folder / "sshd_config").write_text(_sshd_settings(lent))
        server = Server(
            [sshd, "-D", "-e", "-f", folder / "sshd_config"],
            log=folder / "sshd.log",
            is_ready=lambda: _listens(lent.port),
        )
        server.start()
        try:
            yield lent
        finally:
            server.stop()


def _sshd_settings(lent: SshGitServer) -> str:
    git_shell = shutil.which("git-shell") or "git-shell"
    return f"""\
Port {lent.port}
ListenAddress 127.0.0.1
HostKey {lent.folder / "host"}
PidFile none
AuthorizedKeysFile {lent.authorized_keys}
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding no
PermitTTY no
ForceCommand {git_shell} -c "$SSH_ORIGINAL_COMMAND"
"""


@contextmanager
def http_git_server() -> Iterator[HttpGitServer]:
    """Start `git http-backend` behind a small HTTP server."""
    with tempfile.TemporaryDirectory(prefix="talkoot-http-git-") as place:
        lent_user, token = "talkoot", "test-token-5f1c"
        server = GitOverHttp(Path(place), user=lent_user, token=token)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield HttpGitServer(server.server_port, Path(place), lent_user, token)
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
