"""Every setting, read once from the environment and `.env`; an unknown one of ours is an error."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dotenv import dotenv_values

OURS = "TALKOOT_"
LONGEST_SOCKET_PATH = 100
"""Linux takes 107 bytes; a deeper data directory has its socket among the temporary files."""
AGENTS = ("TALKOOT_AGENT_", "TALKOOT_ENROL_TOKEN")
"""Settings of the agent: not for the control service, and not an error here."""
INSTALLATION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
LOG_LEVELS = ("debug", "info", "warning", "error")
DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


class SettingsError(Exception):
    """A setting is wrong; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an installation chooses. docs/settings.md explains each."""

    data_dir: Path
    database_url: str
    queue_url: str
    store_url: str
    code_store_url: str
    log_store_url: str
    release_store_url: str  # releases of the agent
    key_file: Path
    key: str | None  # base64 or hex of 32 bytes; ranks above the key file
    public_url: str | None  # for addresses in mails and `urls.display`; None: the request's host
    trusted_proxies: int  # how many X-Forwarded-* hops to believe
    session_hours: int
    allow_local_git: bool  # repositories may be paths on this machine
    log_level: str
    aws_identity_certificates: Path | None  # None: no machine of AWS can join
    aws_accounts: frozenset[str]  # whose machines may join; empty: any that is in our list
    is_development: bool  # shows /dev/gallery
    infra_engine: str  # which plug-in runs stacks
    infra_repo: str  # Git repository of the stacks; "": none, no stack is run
    infra_commit: str  # commit, tag or branch; "": the repository's own branch
    infra_parallel: int  # engine runs at once; 0: as many as this machine carries
    infra_time_limit_s: int  # of one engine run
    installation: str  # value of the tag on everything of ours in a cloud; "": uses no cloud

    @property
    def queue_is_private(self) -> bool:
        """Say whether the queue server is our own child on a socket in the data directory."""
        return self.queue_url == _socket_url(self.data_dir)


def read_settings(
    environ: Mapping[str, str] | None = None, *, data_dir: str | Path | None = None
) -> Settings:
    """Read the settings; `data_dir` (of --data) ranks above TALKOOT_DATA.

    The data directory only gives defaults: variables that are set win (architecture.md part 4).
    Raises SettingsError.
    """
    given = _given(environ)
    data = Path(data_dir or given.pop("TALKOOT_DATA", "") or ".talkoot").absolute()
    given.pop("TALKOOT_DATA", None)
    store = given.pop("STORE_URL", "") or f"file://{quote(str(data / 'store'))}"
    settings = Settings(
        data_dir=data,
        database_url=_database_url(given, data),
        queue_url=given.pop("QUEUE_URL", "") or _socket_url(data),
        store_url=store,
        code_store_url=given.pop("CODE_STORE_URL", "") or store,
        log_store_url=given.pop("LOG_STORE_URL", "") or store,
        release_store_url=given.pop("RELEASE_STORE_URL", "") or store,
        key_file=Path(given.pop("TALKOOT_KEY_FILE", "") or data / "key"),
        key=given.pop("TALKOOT_KEY", "") or None,
        public_url=(given.pop("TALKOOT_PUBLIC_URL", "") or "").rstrip("/") or None,
        trusted_proxies=_number(given, "TALKOOT_TRUSTED_PROXIES", 0),
        session_hours=_number(given, "TALKOOT_SESSION_HOURS", 24 * 14),
        allow_local_git=_switch(given, "TALKOOT_ALLOW_LOCAL_GIT", default=True),
        log_level=_log_level(given),
        aws_identity_certificates=_path(given, "TALKOOT_AWS_IDENTITY_CERTIFICATES"),
        aws_accounts=_words(given, "TALKOOT_AWS_ACCOUNTS"),
        is_development=_switch(given, "TALKOOT_DEVELOPMENT", default=False),
        infra_engine=given.pop("TALKOOT_INFRA_ENGINE", "") or "pulumi",
        infra_repo=given.pop("TALKOOT_INFRA_REPO", ""),
        infra_commit=given.pop("TALKOOT_INFRA_COMMIT", ""),
        infra_parallel=_number(given, "TALKOOT_INFRA_PARALLEL", 0),
        infra_time_limit_s=_number(given, "TALKOOT_INFRA_TIME_LIMIT_S", 1800),
        installation=_installation(given),
    )
    unknown = sorted(name for name in given if name.startswith(OURS))
    if unknown:
        raise SettingsError(
            f"Unknown setting {', '.join(unknown)}: see docs/settings.md for the names."
        )
    return settings


def _given(environ: Mapping[str, str] | None) -> dict[str, str]:
    if environ is None:
        environ = {**{k: v or "" for k, v in dotenv_values(".env").items()}, **os.environ}
    return {name: value for name, value in environ.items() if not name.startswith(AGENTS)}


def _database_url(given: dict[str, str], data: Path) -> str:
    url = given.pop("DATABASE_URL", "") or f"sqlite:///{data / 'talkoot.db'}"
    if not url.startswith(DATABASES):  # the rest may hold a password: not repeated
        raise SettingsError(
            "DATABASE_URL is sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME."
        )
    return url


def _socket_url(data: Path) -> str:
    path = data / "queue" / "queue.sock"
    if len(str(path)) > LONGEST_SOCKET_PATH:
        name = hashlib.sha256(str(data).encode()).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"talkoot-{name}" / "queue.sock"
    return f"unix://{quote(str(path))}"


def _installation(given: dict[str, str]) -> str:
    name = given.pop("TALKOOT_INSTALLATION", "")
    if name and not INSTALLATION.fullmatch(name):
        raise SettingsError(
            "TALKOOT_INSTALLATION is up to 32 small letters, digits and -, as in the stacks."
        )
    return name


def _log_level(given: dict[str, str]) -> str:
    level = given.pop("TALKOOT_LOG_LEVEL", "").lower() or "info"
    if level not in LOG_LEVELS:
        raise SettingsError(f"TALKOOT_LOG_LEVEL is one of {', '.join(LOG_LEVELS)}.")
    return level


def _number(given: dict[str, str], name: str, default: int) -> int:
    text = given.pop(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise SettingsError(f"{name} must be a whole number, not {text!r}.")
    return int(text) if text else default


def _path(given: dict[str, str], name: str) -> Path | None:
    text = given.pop(name, "")
    return Path(text).absolute() if text else None


def _words(given: dict[str, str], name: str) -> frozenset[str]:
    return frozenset(given.pop(name, "").replace(",", " ").split())


def _switch(given: dict[str, str], name: str, *, default: bool) -> bool:
    text = given.pop(name, "").lower()
    if text in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
        return text in ("1", "true", "yes", "on") if text else default
    raise SettingsError(f"{name} must be true or false, not {text!r}.")
