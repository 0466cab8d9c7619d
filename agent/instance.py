"""What a machine of a cloud hears from its metadata service: who it is, and that it must go.

Source: "Use the Instance Metadata Service to access instance metadata" and "Spot Instance
interruption notices", EC2 user guide. Version 2: every question carries a session token.
"""

from __future__ import annotations

import json
import threading

import urllib3

TOKEN_LIFE_S = 21600
LIMIT_S = 5.0

IDENTITY_PATH = "/latest/dynamic/instance-identity"
RECLAIM_PATH = "/latest/meta-data/spot/instance-action"


class NoMetadata(Exception):
    """The metadata service does not answer as it should."""


class AwsInstance:
    """Asks the metadata service of EC2; safe between threads."""

    cloud = "aws"

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        timeout = urllib3.Timeout(connect=LIMIT_S, read=LIMIT_S)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False)
        self._lock = threading.Lock()
        self._token = ""

    def identity(self, group: str) -> dict[str, str]:
        """Give what wire.Join carries. Raises NoMetadata."""
        return {
            "cloud": self.cloud,
            "group": group,
            "document": self._must_get(f"{IDENTITY_PATH}/document"),
            "signature": self._must_get(f"{IDENTITY_PATH}/signature"),
        }

    def reclaim_at(self) -> str:
        """Say when the cloud takes the machine back, as it writes times; "" when it does not."""
        text = self._get(RECLAIM_PATH)
        if text is None:
            return ""
        try:
            return str(json.loads(text)["time"])
        except (ValueError, KeyError, TypeError) as error:
            raise NoMetadata(f"the notice cannot be read: {error}") from error

    def _must_get(self, path: str) -> str:
        text = self._get(path)
        if text is None:
            raise NoMetadata(f"{path} is not there")
        return text

    def _get(self, path: str) -> str | None:
        """Answer the text, or None for 404. The token is renewed when it is no longer taken."""
        with self._lock:
            status, text = self._ask_with_token(path)
            if status == 401:
                self._token = ""
                status, text = self._ask_with_token(path)
        if status == 404:
            return None
        if status != 200:
            raise NoMetadata(f"{path} answered {status}")
        return text

    def _ask_with_token(self, path: str) -> tuple[int, str]:
        self._token = self._token or self._new_token()
        return self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token})

    def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LIFE_S)}
        status, text = self._ask("PUT", "/latest/api/token", headers)
        if status != 200:
            raise NoMetadata(f"the session token is refused with {status}")
        return text

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        try:
            answer = self._pool.request(method, self._url + path, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise NoMetadata(f"no answer from {self._url}: {type(error).__name__}") from error
        return answer.status, answer.data.decode(errors="replace")
