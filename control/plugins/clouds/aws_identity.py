"""AWS's instance identity documents.

The signature is RSA with PKCS #1 v1.5 and SHA-256 over the document, by a key of the region whose
certificate AWS publishes. Source: "Instance identity documents for Amazon EC2 instances", EC2 user
guide, and its page "Instance identity document public certificates".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from control.domain.errors import Forbidden, PermanentError, Unauthenticated
from control.domain.identities import InstanceIdentity

NOT_SIGNED = "AWS has not signed this identity document."
LONGEST_DOCUMENT = 16384


class AwsIdentity:
    """Checks documents with the certificates of the regions; see docs/settings.md."""

    def __init__(
        self, keys: Mapping[str, RSAPublicKey], accounts: frozenset[str] = frozenset()
    ) -> None:
        self._keys = keys
        self._accounts = accounts

    @classmethod
    def from_folder(cls, folder: Path, *, accounts: frozenset[str]) -> Self:
        """Read `<region>.pem` files. Raises PermanentError naming one that is no certificate."""
        keys: dict[str, RSAPublicKey] = {}
        try:
            for path in sorted(folder.glob("*.pem")):
                key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
                if not isinstance(key, RSAPublicKey):
                    raise PermanentError(f"{path} holds no RSA key: take the RSA certificate.")
                keys[path.stem] = key
        except (OSError, ValueError) as error:
            raise PermanentError(f"A certificate in {folder} cannot be read: {error}.") from error
        if not keys:
            raise PermanentError(
                f"{folder} holds no certificate: put AWS's there as <region>.pem, such as "
                "eu-west-1.pem."
            )
        return cls(keys, accounts)

    def read(self, document: str, signature: str) -> InstanceIdentity:
        """Check and read a document."""
        values = _parse(document)
        region = str(values.get("region", ""))
        key = self._keys.get(region)
        if key is None:
            raise PermanentError(
                f"There is no certificate of the AWS region {region[:40]!r} here: "
                "TALKOOT_AWS_IDENTITY_CERTIFICATES needs one of each region with worker groups."
            )
        try:
            raw = base64.b64decode(signature.replace("\n", ""), validate=True)
            key.verify(raw, document.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise Unauthenticated(NOT_SIGNED) from error
        identity = _identity(values)
        if self._accounts and identity.account not in self._accounts:
            raise Forbidden(f"AWS account {identity.account} is not one of this installation's.")
        return identity


def _parse(document: str) -> dict[str, Any]:
    try:
        values = json.loads(document) if len(document) <= LONGEST_DOCUMENT else None
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise Unauthenticated(NOT_SIGNED)
    return values


def _identity(values: Mapping[str, Any]) -> InstanceIdentity:
    try:
        return InstanceIdentity(
            cloud="aws",
            account=str(values["accountId"]),
            region=str(values["region"]),
            instance_id=str(values["instanceId"]),
            instance_type=str(values["instanceType"]),
            image=str(values["imageId"]),
            started_at=datetime.fromisoformat(str(values["pendingTime"])).astimezone(UTC),
        )
    except (KeyError, ValueError) as error:
        raise Unauthenticated(f"The identity document lacks something: {error}.") from error
