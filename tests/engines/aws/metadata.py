"""The instance metadata service of each machine, below /_imds/<instance id>/latest.

A machine gets this address where a real one has 169.254.169.254. As there, a token comes first
(IMDSv2). The identity document is signed by the world's own key; its certificate is to be had at
/_world/identity-certificate, as Amazon's is on a page of its manual.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from moto.ec2.models import ec2_backends

from tests.engines.aws import clockwork
from tests.engines.aws.state import ACCOUNT, world

PREFIX = "/_imds/"
_TOKEN = "a-token-of-the-metadata-service"
_BYTES_A_LINE = 64


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    instance_id, _, path = environ["PATH_INFO"].removeprefix(PREFIX).partition("/")
    method = environ["REQUEST_METHOD"]
    with world.lock:
        status, text = _answer(
            instance_id, method, path, environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN")
        )
    start(f"{status} -", [("Content-Type", "text/plain")])
    return [text.encode()]


def _answer(instance_id: str, method: str, path: str, token: str | None) -> tuple[int, str]:
    if path == "latest/api/token" and method == "PUT":
        return 200, _TOKEN
    if token != _TOKEN:
        return 401, ""
    instance = find(instance_id)
    if instance is None or instance.state in ("terminated", "shutting-down"):
        return 404, ""
    answers: dict[str, Callable[[], str]] = {
        "dynamic/instance-identity/document": lambda: document(instance),
        "dynamic/instance-identity/signature": lambda: signature(instance),
        "dynamic/instance-identity/rsa2048": lambda: signed(instance),
        "meta-data/instance-id": lambda: instance.id,
        "meta-data/instance-type": lambda: instance.instance_type,
        "meta-data/ami-id": lambda: instance.image_id,
        "meta-data/local-ipv4": lambda: instance.private_ip,
        "meta-data/placement/region": lambda: instance.region_name,
        "meta-data/placement/availability-zone": lambda: instance.placement.zone,
        "meta-data/instance-life-cycle": lambda: instance.lifecycle or "on-demand",
        "user-data": lambda: clockwork.user_data(instance),
    }
    part = path.removeprefix("latest/")
    if part in answers:
        return 200, answers[part]()
    return _optional(instance, part)


def _optional(instance: Any, part: str) -> tuple[int, str]:
    if part == "meta-data/spot/instance-action" and instance.id in world.notices:
        return 200, json.dumps({"action": "terminate", "time": world.notices[instance.id]})
    if part.startswith("meta-data/tags/instance/"):
        tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
        key = part.removeprefix("meta-data/tags/instance/")
        return (200, tags[key]) if key in tags else (404, "")
    return 404, ""


def find(instance_id: str) -> Any:
    """Find moto's record of a machine, in any region."""
    for backend in list(ec2_backends[ACCOUNT].values()):
        for reservation in list(backend.reservations.values()):
            for instance in reservation.instances:
                if instance.id == instance_id:
                    return instance
    return None


def document(instance: Any) -> str:
    """Write the identity document as Amazon does, spaces and all."""
    facts = {
        "accountId": ACCOUNT,
        "architecture": "x86_64",
        "availabilityZone": instance.placement.zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "kernelId": None,
        "pendingTime": str(instance.launch_time)[:19] + "Z",
        "privateIp": instance.private_ip,
        "ramdiskId": None,
        "region": instance.region_name,
        "version": "2017-09-30",
    }
    return json.dumps(facts, indent=2, separators=(",", " : "))


@cache
def key_and_certificate() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """Make the key that signs identities here; it lives as long as this world."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The tests' Amazon")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def certificate_pem() -> str:
    return key_and_certificate()[1].public_bytes(serialization.Encoding.PEM).decode()


def signature(instance: Any) -> str:
    """Sign the document: base64 of RSA over SHA-256."""
    key, _ = key_and_certificate()
    made = key.sign(document(instance).encode(), padding.PKCS1v15(), hashes.SHA256())
    return _lines(base64.b64encode(made).decode())


def signed(instance: Any) -> str:
    """Answer the document inside its PKCS #7 signature, without the armour's lines."""
    key, certificate = key_and_certificate()
    made = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(document(instance).encode())
        .add_signer(certificate, key, hashes.SHA256())
        .sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    )
    return _lines(base64.b64encode(made).decode())


def _lines(text: str) -> str:
    return "\n".join(
        text[place : place + _BYTES_A_LINE] for place in range(0, len(text), _BYTES_A_LINE)
    )
