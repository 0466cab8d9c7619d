"""The account that the plug-in works in: boto3 clients, the world's own address, errors' words."""

from __future__ import annotations

import json
import os
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_LIMITS = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3}
)
_GONE = re.compile(r"NotFound|NoSuch|DoesNotExist|NonExistent|Malformed$")


class Refused(Exception):
    """The cloud, or the world, said no; the text is for people."""


class Account:
    """One region of one account."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.id = "123456789012"
        self.is_cancelled = threading.Event()
        self._endpoint = os.environ["AWS_ENDPOINT_URL"]
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, service: str) -> Any:
        """Answer the client of a service."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.client(
                    service, region_name=self.region, config=_LIMITS
                )
            return self._clients[service]

    def arn(self, service: str, rest: str, *, is_global: bool = False) -> str:
        region = "" if is_global else self.region
        return f"arn:aws:{service}:{region}:{self.id}:{rest}"

    def step(self, token: str, verb: str) -> None:
        """Be slow, or fail, if the world wants that of this step. Raises Refused."""
        asked = urllib.parse.urlencode({"type": token, "verb": verb})
        said = self.world("GET", f"provider?{asked}") or {}
        if self.is_cancelled.wait(said.get("seconds", 0)):
            raise Refused(f"{verb} of {token} was cancelled")
        if said.get("message"):
            raise Refused(said["message"])

    def world(self, method: str, path: str, given: Any = None) -> Any:
        """Ask the world at its own address; None when it has no such thing."""
        request = urllib.request.Request(
            f"{self._endpoint}/_world/{path}",
            method=method,
            data=None if given is None else json.dumps(given).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise Refused(error.read().decode()) from error


def is_gone(error: ClientError) -> bool:
    """Tell whether the cloud says that there is no such thing."""
    said = error.response.get("Error", {})
    return bool(_GONE.search(said.get("Code", ""))) or "not found" in said.get("Message", "")


def or_none(call: Callable[[], Any]) -> Any:
    """Answer what a call answers; None when there is no such thing."""
    try:
        return call()
    except ClientError as error:
        if is_gone(error):
            return None
        raise


def words(verb: str, title: str, name: str, error: Exception) -> str:
    """Say it as the real provider does."""
    start = f"{verb} {title} ({name})"
    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        about: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
        return (
            f"{start}: operation error {error.operation_name}, https response error StatusCode: "
            f"{about.get('HTTPStatusCode', 0)}, RequestID: {about.get('RequestId', '')}, "
            f"api error {said.get('Code', '')}: {said.get('Message', '')}"
        )
    if isinstance(error, BotoCoreError):
        return f"{start}: request send failed: {error}"
    return f"{start}: {error}"
