"""The user data of a cloud machine, as cloud-init reads it: a pure function, and no secret in it.

The machine fetches the agent's release from the control service, checks its signature with the
key given here, and proves who it is by what its cloud signs (architecture.md part 4, "enrolment").
The scripts beside this file are what is written; they run unchanged wherever cloud-init does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

_HERE = Path(__file__).parent
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*")
_URL = re.compile(r"https?://[0-9A-Za-z.:\[\]-]+(/[0-9A-Za-z._/-]*)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PUBLIC_KEY = re.compile(r"[0-9A-Za-z+/]{40,}={0,2}")

LIMIT_BYTES = 16384
"""What EC2 takes as user data, before base64; the tightest of our clouds."""


@dataclass(frozen=True, slots=True)
class UserData:
    """What a machine must be told; everybody on it may read all of this."""

    group: str
    cloud: str
    control_url: str
    ca_fingerprint: str  # SHA-256 of the control service's CA, hex; "": public CAs
    channel: str
    agent_version: str  # "": the channel's newest
    release_public_key: str  # base64 of the ed25519 key's DER (`talkoot release key`)
    slots: int


def render(data: UserData) -> str:
    """Write the cloud-config. Raises ValueError naming the value that cannot be right."""
    data = replace(data, ca_fingerprint=data.ca_fingerprint.replace(":", "").lower())
    _check(data)
    files = [
        _file("/etc/talkoot/bootstrap.env", "0644", _environment(data)),
        _file("/etc/talkoot/release.pem", "0644", _pem(data.release_public_key)),
        _file("/usr/local/sbin/talkoot-bootstrap", "0755", _script("bootstrap.sh")),
        _file("/usr/local/sbin/talkoot-boot-watchdog", "0755", _script("boot-watchdog.sh")),
        _file(
            "/etc/systemd/system/talkoot-boot-watchdog.service",
            "0644",
            _script("boot-watchdog.service"),
        ),
    ]
    text = f"#cloud-config\nwrite_files:\n{''.join(files)}{_COMMANDS}"
    if len(text.encode()) > LIMIT_BYTES:
        raise ValueError(f"The user data is over {LIMIT_BYTES} bytes.")
    return text


# The watchdog first: it must live when the rest does not come up.
_COMMANDS = """\
runcmd:
- [systemctl, daemon-reload]
- [systemctl, enable, --now, --no-block, talkoot-boot-watchdog.service]
- [/usr/local/sbin/talkoot-bootstrap]
"""


def _check(data: UserData) -> None:
    rules = {
        "group": _NAME,
        "cloud": _NAME,
        "control_url": _URL,
        "channel": _NAME,
        "release_public_key": _PUBLIC_KEY,
    }
    if data.ca_fingerprint:
        rules["ca_fingerprint"] = _SHA256
    if data.agent_version:
        rules["agent_version"] = _VERSION
    for name, pattern in rules.items():
        if not pattern.fullmatch(getattr(data, name)):
            raise ValueError(f"{name} cannot be {getattr(data, name)!r}: see docs/clouds.")
    if data.slots < 1:
        raise ValueError("slots is 1 or more.")


def _environment(data: UserData) -> str:
    values = {
        "CONTROL_URL": data.control_url.rstrip("/"),
        "CA_FINGERPRINT": data.ca_fingerprint,
        "CHANNEL": data.channel,
        "AGENT_VERSION": data.agent_version,
        "GROUP": data.group,
        "CLOUD": data.cloud,
        "SLOTS": str(data.slots),
    }
    return "".join(f"{name}={quote(value)}\n" for name, value in values.items())


def _pem(key: str) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n"


def _script(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _file(path: str, mode: str, content: str) -> str:
    lines = "".join(f"    {line}\n" if line else "\n" for line in content.splitlines())
    return f"- path: {path}\n  owner: root:root\n  permissions: '{mode}'\n  content: |\n{lines}"
