"""Amazon S3 and what speaks its language, through obstore (Rust's object_store)."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import obstore
from obstore import exceptions
from obstore.store import S3Store as ObjectStore

from control.domain.errors import PermanentError, TemporaryError
from control.domain.ports import SignedRequest, StoredObject
from control.plugins.stores.keys import check_key, check_prefix
from control.plugins.stores.presign import Credentials, Presigner

_MULTIPART_BYTES = 64 << 20
_KNOWN_PARAMETERS = {"endpoint", "region"}
CHECK_S = 5
_RETRIES: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=8)}


class _Listing(Protocol):
    """What we need of `obstore.list`, whose own type is partly unknown."""

    def list(self, prefix: str | None) -> Iterable[Sequence[obstore.ObjectMeta]]: ...


class S3Store:
    """A bucket, or a part of one.

    With fixed credentials we sign addresses ourselves, so that they hold the size of an upload
    and the file name of a download; with a machine's role obstore signs, and holds neither.
    """

    def __init__(
        self, remote: ObjectStore, bucket: str, prefix: str, presigner: Presigner | None
    ) -> None:
        self.uri_prefix = f"s3://{bucket}/{prefix}"
        self._remote = remote
        self._listing: _Listing = remote
        self._prefix = prefix
        self._presigner = presigner

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build from `s3://bucket/prefix?endpoint=https://host:port&region=name`.

        Credentials come from the options, else the environment, under their usual names:
        AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; else from the machine's role.
        """
        parts = urlsplit(url)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(parameters.keys() - _KNOWN_PARAMETERS)
        if parts.scheme != "s3" or not parts.hostname or parts.username or unknown:
            raise PermanentError("An S3 store is written s3://bucket/prefix?endpoint=…&region=….")
        bucket, prefix = parts.hostname, unquote(parts.path).strip("/")
        prefix = f"{check_key(prefix)}/" if prefix else ""
        setting = {**os.environ, **options}.get
        region = parameters.get("region") or setting("AWS_REGION") or "us-east-1"
        endpoint = parameters.get("endpoint") or f"https://s3.{region}.amazonaws.com"
        credentials = _credentials(setting)
        remote = ObjectStore(
            bucket,
            config=_config(endpoint, region, credentials),
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=3),
                "timeout": timedelta(seconds=300),
            },
            retry_config=_RETRIES,
        )
        presigner = Presigner(endpoint, bucket, region, credentials) if credentials else None
        return cls(remote, bucket, prefix, presigner)

    def put_url(self, key: str, *, ttl_s: int, size_bytes: int) -> SignedRequest:
        """Sign one upload of exactly `size_bytes` that overwrites nothing."""
        path = self._path(key)
        headers = {"Content-Length": str(size_bytes), "If-None-Match": "*"}
        if self._presigner is None:
            return SignedRequest("PUT", self._sign("PUT", path, ttl_s), headers)
        url = self._presigner.sign("PUT", path, ttl_s=ttl_s, headers=headers)
        return SignedRequest("PUT", url, headers)

    def get_url(self, key: str, *, ttl_s: int, file_name: str | None = None) -> str:
        """Sign one download."""
        path = self._path(key)
        if self._presigner is None:
            return self._sign("GET", path, ttl_s)
        return self._presigner.sign("GET", path, ttl_s=ttl_s, file_name=file_name)

    def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes or a file; other bytes under a key that is taken are refused.

        Above 64 MiB, where S3 takes parts, what is there is found by a look before the upload.
        """
        path = self._path(key)
        size_bytes = body.stat().st_size if isinstance(body, Path) else len(body)
        with _explained(key, f"The bucket of {self.uri_prefix} is not there."):
            if size_bytes > _MULTIPART_BYTES:
                if self.stat(key) is None:
                    obstore.put(self._remote, path, body)
                    return
            else:
                try:
                    obstore.put(self._remote, path, body, mode="create", use_multipart=False)
                except exceptions.AlreadyExistsError:
                    pass
                else:
                    return
        self._refuse_others(key, body, size_bytes)

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        with _explained(key):
            return bytes(obstore.get(self._remote, self._path(key)).bytes())

    def stat(self, key: str) -> StoredObject | None:
        """Look an object up."""
        with _explained(key):
            try:
                meta = obstore.head(self._remote, self._path(key))
            except FileNotFoundError:
                return None
            return StoredObject(key, meta["size"])

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List by prefix, in key order."""
        folder, _, start = check_prefix(prefix).rpartition("/")
        parent = f"{self._prefix}{folder}/" if folder else self._prefix
        return self._walk(parent, f"{parent}{start}")

    def delete(self, key: str) -> None:
        """Remove an object; silent when it is not there."""
        with _explained(key):
            try:
                obstore.delete(self._remote, self._path(key))
            except FileNotFoundError:
                return

    def check(self) -> None:
        """Write, read and delete a small object; raises what is wrong."""
        key = f"talkoot-check/{os.urandom(8).hex()}"
        self.put(key, b"talkoot")
        try:
            if self.get(key) != b"talkoot":
                raise PermanentError(f"The store {self.uri_prefix} gave other bytes back.")
        finally:
            self.delete(key)

    def check_pages(self, origin: str) -> None:
        """Ask the bucket what a browser asks before an upload from another origin (CORS)."""
        request = self.put_url("talkoot-check/page", ttl_s=60, size_bytes=1)
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": request.method,
            "Access-Control-Request-Headers": "content-type,if-none-match",
        }
        try:
            answer = httpx.options(request.url, headers=asked, timeout=CHECK_S)
        except httpx.HTTPError as error:
            raise TemporaryError("The store does not answer as it should.", delay_s=5) from error
        allowed = answer.headers.get("Access-Control-Allow-Origin")
        if not answer.is_success or allowed not in (origin, "*"):
            raise PermanentError(f"The bucket of {self.uri_prefix} takes no upload from {origin}.")

    def _walk(self, parent: str, start: str) -> Iterator[StoredObject]:
        # object_store lists by whole parts, so the rest of the prefix is matched here.
        with _explained(start):
            for batch in self._listing.list(parent or None):
                for meta in batch:
                    if meta["path"].startswith(start):
                        yield StoredObject(meta["path"].removeprefix(self._prefix), meta["size"])

    def _refuse_others(self, key: str, body: bytes | Path, size_bytes: int) -> None:
        found = self.stat(key)
        same = found is not None and found.size_bytes == size_bytes
        if same and size_bytes <= _MULTIPART_BYTES:
            same = self.get(key) == (body.read_bytes() if isinstance(body, Path) else body)
        if not same:
            raise PermanentError(f"{key} is stored already, with other bytes.")

    def _sign(self, method: Any, path: str, ttl_s: int) -> str:
        with _explained(path):
            return obstore.sign(self._remote, method, path, timedelta(seconds=ttl_s))

    def _path(self, key: str) -> str:
        return f"{self._prefix}{check_key(key)}"


def _credentials(setting: Callable[[str], str | None]) -> Credentials | None:
    key_id, secret = setting("AWS_ACCESS_KEY_ID"), setting("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret:
        return None
    return Credentials(key_id, secret, setting("AWS_SESSION_TOKEN"))


def _config(endpoint: str, region: str, credentials: Credentials | None) -> Any:
    config: dict[str, Any] = {"endpoint": endpoint, "region": region}
    if credentials:
        config["access_key_id"] = credentials.key_id
        config["secret_access_key"] = credentials.secret
        if credentials.session_token:
            config["session_token"] = credentials.session_token
    return config


@contextmanager
def _explained(subject: str, missing: str = "") -> Generator[None]:
    """Turn what obstore raises into our two kinds; its texts may hold addresses, so we write ours.

    Rust's object_store has retried by itself before anything reaches us.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise PermanentError(missing or f"{subject} is not in the store.") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise PermanentError("The store refuses these credentials.") from error
    except PermissionError as error:
        raise PermanentError("The store refuses these credentials.") from error
    except exceptions.InvalidPathError as error:
        raise PermanentError(f"{subject!r} is not a key of a store.") from error
    except (exceptions.BaseError, OSError) as error:
        raise TemporaryError("The store does not answer as it should.", delay_s=5) from error
