"""An S3 server on loopback (moto): real HTTP, in memory."""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.engines.places import free_port
from tests.engines.processes import Server


@dataclass(frozen=True)
class S3Server:
    """Where it answers, with one empty bucket to begin with."""

    endpoint: str
    bucket: str
    access_key: str = "talkoot-test"
    secret_key: str = "talkoot-test-secret"
    region: str = "us-east-1"

    def make_bucket(self) -> str:
        """Make one more empty bucket and answer its name."""
        name = f"talkoot-{uuid.uuid4().hex[:12]}"
        with self._client() as client:
            client.create_bucket(Bucket=name)
        return name

    def let_pages_in(self, bucket: str, origin: str) -> None:
        """Give a bucket the CORS rule of docs/settings.md."""
        rule = {
            "AllowedOrigins": [origin],
            "AllowedMethods": ["GET", "HEAD", "PUT"],
            "AllowedHeaders": ["*"],
        }
        with self._client() as client:
            client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})

    def _client(self) -> closing[Any]:
        return closing(
            boto3.client(
                "s3",
                endpoint_url=self.endpoint,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                region_name=self.region,
            )
        )


@contextmanager
def s3() -> Iterator[S3Server]:
    """Start a server."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    with tempfile.TemporaryDirectory(prefix="talkoot-s3-") as folder:
        server = Server(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            log=Path(folder) / "moto.log",
            is_ready=answers,
            # As a real one: a bucket's own rules say which pages may come.
            environment={**os.environ, "MOTO_DISABLE_GLOBAL_CORS": "true"},
        )
        server.start(limit_s=60)
        try:
            first = S3Server(endpoint, bucket="")
            yield S3Server(endpoint, bucket=first.make_bucket())
        finally:
            server.stop()
