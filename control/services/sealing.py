"""Secrets at rest: AES-256-GCM with a key that is outside the database (DB-2)."""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control.domain.errors import PermanentError

_VERSION = "v1."


class SecretBox:
    """Seals short texts; `purpose` binds a sealed text to its place, so rows cannot be swapped."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, *, purpose: str) -> str:
        """Encrypt a text."""
        nonce = os.urandom(12)
        sealed = self._cipher.encrypt(nonce, text.encode(), purpose.encode())
        return _VERSION + base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, purpose: str) -> str:
        """Decrypt a text. Raises PermanentError when the key or the purpose is another."""
        raw = base64.urlsafe_b64decode(sealed.removeprefix(_VERSION))
        try:
            return self._cipher.decrypt(raw[:12], raw[12:], purpose.encode()).decode()
        except InvalidTag as error:
            raise PermanentError(
                "A stored secret cannot be read with this key: is it the installation's key file?"
            ) from error
