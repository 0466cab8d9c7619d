"""Signed, expiring paths on our own host for the local store: no other authority is asked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from control.domain.errors import Forbidden
from control.plugins.stores.keys import check_key

_NOT_VALID = "This address is not valid. Ask for a new one."
_EXPIRED = "This address has expired. Ask for a new one."


@dataclass(frozen=True, slots=True)
class Grant:
    """What one signed address allows. `size_bytes` is set for uploads alone."""

    method: str
    key: str
    expires_at: int  # seconds since 1970
    size_bytes: int | None = None
    file_name: str | None = None


class Signer:
    """Signs grants with HMAC-SHA256 over method, key, expiry, size and file name."""

    def __init__(self, signing_key: bytes, path_prefix: str) -> None:
        if len(signing_key) < 32:
            raise ValueError("A signing key has at least 32 bytes.")
        self._signing_key = signing_key
        self._path_prefix = path_prefix

    def sign(self, grant: Grant) -> str:
        """Make the path: `<prefix><key>?expires=…&size=…&name=…&signature=…`."""
        query = {"expires": str(grant.expires_at)}
        if grant.size_bytes is not None:
            query["size"] = str(grant.size_bytes)
        if grant.file_name is not None:
            query["name"] = grant.file_name
        query["signature"] = self._signature(grant)
        return f"{self._path_prefix}{quote(grant.key)}?{urlencode(query)}"

    def verify(self, method: str, key: str, query: Mapping[str, str], now: float) -> Grant:
        """Read a request back into its grant; `key` is the decoded path behind the prefix.

        HEAD goes with a GET's address. Raises Forbidden for whatever we did not sign, and for
        what has expired.
        """
        try:
            grant = Grant(
                method="GET" if method == "HEAD" else method,
                key=key,
                expires_at=int(query["expires"]),
                size_bytes=int(query["size"]) if "size" in query else None,
                file_name=query.get("name"),
            )
        except (KeyError, ValueError) as error:
            raise Forbidden(_NOT_VALID) from error
        expected = self._signature(grant).encode()
        given = query.get("signature", "").encode(errors="replace")
        if not hmac.compare_digest(expected, given):
            raise Forbidden(_NOT_VALID)
        if now >= grant.expires_at:
            raise Forbidden(_EXPIRED)
        check_key(key)
        return grant

    def _signature(self, grant: Grant) -> str:
        fields = (grant.method, grant.key, grant.expires_at, grant.size_bytes, grant.file_name)
        # repr quotes each field, so no two grants share a text.
        return hmac.new(self._signing_key, repr(fields).encode(), hashlib.sha256).hexdigest()
