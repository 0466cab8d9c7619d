"""Instance identity documents as EC2 signs them, by a key of the tests' own."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

ACCOUNT = "123456789012"


class Signer:
    """Stands in for the key of one region; AWS's own have 1024 bits in older regions, too."""

    def __init__(self) -> None:
        self._key: RSAPrivateKey = generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
        begin = datetime(2020, 1, 1, tzinfo=UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=365 * 170))
            .sign(self._key, SHA256())
        )

    def write_certificate(self, folder: Path, *regions: str) -> Path:
        """Put the certificate where TALKOOT_AWS_IDENTITY_CERTIFICATES looks; give the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for region in regions:
            (folder / f"{region}.pem").write_bytes(self._certificate.public_bytes(Encoding.PEM))
        return folder

    def sign(self, document: str) -> str:
        """Give what `instance-identity/signature` answers: base64 in lines."""
        raw = self._key.sign(document.encode(), PKCS1v15(), SHA256())
        return base64.encodebytes(raw).decode()


@cache
def signer() -> Signer:
    """Give the one signer of a test run: making a key takes a while."""
    return Signer()


def document(instance_id: str, started_at: datetime, **changes: Any) -> str:
    """Write a document as EC2 does; `changes` replace fields, None takes one away."""
    values: dict[str, Any] = {
        "accountId": ACCOUNT,
        "architecture": "x86_64",
        "availabilityZone": "eu-west-1a",
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": "ami-0123456789abcdef0",
        "instanceId": instance_id,
        "instanceType": "m5.large",
        "kernelId": None,
        "pendingTime": started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": "10.0.0.7",
        "ramdiskId": None,
        "region": "eu-west-1",
        "version": "2017-09-30",
    } | changes
    gone = [name for name, value in changes.items() if value is None]
    return json.dumps({name: values[name] for name in values if name not in gone}, indent=2)
