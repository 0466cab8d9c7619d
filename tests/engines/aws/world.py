"""The fake AWS account as tests hold it: start it, break it, ask what happened in it."""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from tests.engines.aws.gate import KEY_ID, SECRET_KEY
from tests.engines.places import free_port
from tests.engines.processes import Server, wait_until

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class World:
    """One running world. `endpoint` is what AWS_ENDPOINT_URL wants."""

    endpoint: str
    region: str = "eu-west-1"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to be in this account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, *, attempts: int = 1) -> Any:
        """Answer a boto3 client; the caller closes it. One attempt a call unless it says more."""
        return boto3.client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET_KEY,
            config=Config(retries={"total_max_attempts": attempts}, connect_timeout=5),
        )

    # -- what goes wrong ------------------------------------------------------------------------
    def fault(
        self, kind: str, *, times: int | None = None, for_s: float | None = None, **facts: Any
    ) -> int:
        """Switch a fault on (faults.py lists the kinds), and answer its number."""
        asked = {"kind": kind, "times": times, "for_s": for_s, **facts}
        return int(self._say("POST", "faults", asked)["id"])

    def mend(self, fault_id: int | None = None) -> None:
        """Switch one fault off, or all of them."""
        self._say("DELETE", f"faults/{fault_id or ''}")

    def pace(self, **seconds: float) -> None:
        """Say how long things take: launch_s, end_s, retry_s, heal_s."""
        self._say("POST", "pace", seconds)

    def reclaim(self, instance_id: str, *, notice_s: float = 120) -> None:
        """Take a spot machine back, with a notice of so many seconds."""
        self._say("POST", "reclaim", {"instance_id": instance_id, "notice_s": notice_s})

    def power_off(self, instance_id: str) -> None:
        """Switch a machine off from its inside."""
        self._say("POST", "power-off", {"instance_id": instance_id})

    def write_console(self, instance_id: str, text: str) -> None:
        self._say("POST", "console", {"instance_id": instance_id, "text": text})

    def reset(self) -> None:
        """Forget every resource and every fault; what was called and what ran stays known."""
        self._say("POST", "reset")

    # -- what happened --------------------------------------------------------------------------
    def calls(self, operation: str = "", *, after: int = 0) -> Sequence[Mapping[str, Any]]:
        """List the calls to Amazon after call `after`, oldest first."""
        found = self._say("GET", f"calls?after={after}")
        return [call for call in found if operation in ("", call["operation"])]

    def machines(self, *, after: int = 0, wait_s: float = 0) -> Sequence[Mapping[str, Any]]:
        """List what happened to machines after event `after`: started, notice, ended.

        Waits up to `wait_s` seconds for the first. An event has n, instance_id, group, user_data,
        tags, boots (false under the fault no-boot) and more: clockwork.describe.
        """
        return self._say("GET", f"machines?after={after}&wait={wait_s}", limit_s=wait_s + 30)

    def metadata_url(self, instance_id: str) -> str:
        """Say where this machine's metadata service is, in place of http://169.254.169.254."""
        return f"{self.endpoint}/_imds/{instance_id}"

    def identity_certificate(self) -> str:
        """Answer the certificate (PEM) whose key signs the machines' identity documents."""
        return str(self._say("GET", "identity-certificate")["pem"])

    def group(self, name: str) -> Mapping[str, Any]:
        """Answer a group by its name or the start of it: min, max, desired, members."""
        found = [g for g in self._say("GET", "groups") if g["name"].startswith(name)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} groups are called {name}")
        return found[0]

    def groups(self) -> Sequence[Mapping[str, Any]]:
        return self._say("GET", "groups")

    def running(self, name: str) -> list[str]:
        """List the machines of a group that are in service."""
        members = self.group(name)["members"]
        return [member["instance_id"] for member in members if member["state"] == "InService"]

    def wait_for_running(self, name: str, count: int, *, limit_s: float = 20) -> list[str]:
        """Wait until so many machines of a group are in service, no more and no less."""
        what = f"{count} machines of {name}"
        wait_until(lambda: len(self.running(name)) == count, what=what, limit_s=limit_s)
        return self.running(name)

    def _say(self, method: str, path: str, given: Any = None, *, limit_s: float = 30) -> Any:
        answer = httpx.request(
            method, f"{self.endpoint}/_world/{path}", json=given, timeout=limit_s
        )
        if answer.is_error:
            raise ValueError(answer.text)
        return answer.json()


@contextmanager
def aws_world(*, seed: int = 0) -> Iterator[World]:
    """Start a world of its own."""
    port = free_port()
    world = World(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{world.endpoint}/_world/pace", timeout=2):
                return True
        except OSError:
            return False

    with tempfile.TemporaryDirectory(prefix="talkoot-aws-") as folder:
        server = Server(
            [
                *(sys.executable, "-m", "tests.engines.aws.serve"),
                *("--port", str(port), "--seed", str(seed)),
            ],
            log=Path(folder) / "world.log",
            is_ready=answers,
            environment={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
            },
        )
        server.start(limit_s=60)
        try:
            yield world
        finally:
            server.stop()
