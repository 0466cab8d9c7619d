"""A real image registry (Debian's docker-registry), on the loopback of an engine apart."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient

from tests.engines import apt
from tests.engines.container_engine import DockerEngine
from tests.engines.processes import Server

PORT = 5000  # nobody else is in that namespace
CONFIG = """\
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True)
class Registry:
    """`address` begins the name of every image in it; engines believe loopback without TLS."""

    address: str

    def put(self, client: DockerClient, image: str, name: str, *, says: str) -> str:
        """Push `image` as `name`, with a variable SAYS that tells its versions apart.

        What the engine itself has by that name stays as it was.
        """
        full = f"{self.address}/{name}"
        repository, _, tag = full.rpartition(":")
        before = [one.id for one in client.images.list(full)]
        made = client.api.create_container_from_config({"Image": image, "Cmd": ["true"]})["Id"]
        client.api.commit(made, repository, tag, changes=[f"ENV SAYS={says}"])
        client.api.remove_container(made)
        said = str(client.api.push(repository, tag=tag))
        if "digest: sha256:" not in said:
            raise RuntimeError(f"{full} was not taken: {said[-500:]}")
        client.api.remove_image(full, force=True)
        for image_id in before:
            client.api.tag(image_id, repository, tag)
        return full


@contextmanager
def registry(beside: DockerEngine) -> Iterator[Registry]:
    """Start an empty one in the network namespace of an engine."""
    program = apt.program("docker-registry", "docker-registry")

    def answers() -> bool:
        listening = Path(f"/proc/{beside.pid}/net/tcp").read_text()
        return f"0100007F:{PORT:04X} 00000000:0000 0A" in listening

    with tempfile.TemporaryDirectory(prefix="talkoot-registry-") as folder:
        config = Path(folder) / "config.yml"
        config.write_text(CONFIG.format(folder=folder, port=PORT))
        server = Server(
            ["nsenter", f"--net=/proc/{beside.pid}/ns/net", program, "serve", config],
            log=Path(folder) / "registry.log",
            is_ready=answers,
        )
        server.start()
        try:
            yield Registry(f"127.0.0.1:{PORT}")
        finally:
            server.stop()
