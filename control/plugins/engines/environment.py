"""The whole environment of an engine run: what its stack needs, and no other cloud's credentials.

The Automation API hands everything on to the program and its providers (infrastructure.md 1.6), so
what is not named here does not reach them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

SYSTEM = (
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)
ENGINE_PREFIX = "PULUMI_"
CLOUD_PREFIXES = {
    "aws": ("AWS_",),
    "azure": ("ARM_", "AZURE_"),
    "gcp": ("GOOGLE_", "GCLOUD_", "CLOUDSDK_"),
    "openstack": ("OS_",),
}
_CLOUD_OF_SCHEME = {
    "s3": "aws",
    "awskms": "aws",
    "azblob": "azure",
    "azurekeyvault": "azure",
    "gs": "gcp",
    "gcpkms": "gcp",
}
"""Whose credentials the state's back end and the secrets provider need, by URL scheme."""

_POSTGRES = ("postgres", "PG")
"""Scheme of a state in PostgreSQL, and how the variables that its driver reads begin."""

_SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "PASSPHRASE", "PRIVATE", "CREDENTIALS")
_SHORTEST_SECRET = 6
HIDDEN = "[secret]"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def scrubbed(
    environ: Mapping[str, str], *, clouds: frozenset[str], home: Path, secrets_provider: str = ""
) -> dict[str, str]:
    """Choose the variables of one run.

    `clouds`: of the stack; those of its back end and secrets provider are added. HOME is a folder
    of its own, so that no credentials file of another cloud is found there; AWS's is named.
    """
    needed = set(clouds)
    for url in (environ.get("PULUMI_BACKEND_URL", ""), secrets_provider):
        cloud = _CLOUD_OF_SCHEME.get(url.partition(":")[0])
        if cloud:
            needed.add(cloud)
    prefixes = (ENGINE_PREFIX, *(one for cloud in sorted(needed) for one in CLOUD_PREFIXES[cloud]))
    chosen = {
        name: value
        for name, value in environ.items()
        if name in SYSTEM or name.startswith(prefixes)
    }
    if "aws" in needed:
        chosen |= _aws_files(environ)
    scheme, prefix = _POSTGRES
    if environ.get("PULUMI_BACKEND_URL", "").startswith(f"{scheme}:"):
        chosen |= {name: value for name, value in environ.items() if name.startswith(prefix)}
        chosen |= _named_file(environ, "PGPASSFILE", ".pgpass")
    return chosen | {
        # The program runs with our interpreter and its packages.
        "PATH": f"{Path(sys.executable).parent}:{environ.get('PATH', _SYSTEM_PATH)}",
        "HOME": str(home),
        "PULUMI_HOME": environ.get("PULUMI_HOME") or str(home / ".pulumi"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": environ.get(
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true"
        ),
        # Three objects a run would be kept for ever (infrastructure.md 1.4).
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "PYTHONDONTWRITEBYTECODE": "1",  # a checkout stays as it was checked out
    }


def _aws_files(environ: Mapping[str, str]) -> dict[str, str]:
    credentials = _named_file(environ, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")
    return credentials | _named_file(environ, "AWS_CONFIG_FILE", ".aws/config")


def _named_file(environ: Mapping[str, str], variable: str, path: str) -> dict[str, str]:
    """Name a file of the home folder, which a run does not have."""
    file = Path(environ.get("HOME", "/nonexistent")) / path
    return {variable: str(file)} if variable not in environ and file.exists() else {}


def secrets_in(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Name the values that must never be shown: of secret variables, and passwords in URLs."""
    found = {
        value
        for name, value in variables.items()
        if any(word in name for word in _SECRET_WORDS) and len(value) >= _SHORTEST_SECRET
    }
    for value in variables.values():
        if "://" in value and "@" in value:
            password = urlsplit(value).password
            if password:
                found.add(password)
    return tuple(sorted(found, key=len, reverse=True))


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """Put a mark where a secret stands."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
