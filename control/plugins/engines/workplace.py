"""The work directory of one stack: made anew before each run, so that no old size is ever used.

It holds the checkout's Pulumi.yaml, a link to its programs, and the stack's config: Git's file,
or what the service knows where Git has none, and the service's own keys (infrastructure.md 1.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from control.domain.cloud_ports import StackOperation
from control.domain.errors import PermanentError
from stacks.inputs import PROJECT, SIZE

_SALT = ".salt"


def make(place: Path, checkout: Path, operation: StackOperation) -> str:
    """Fill `place`; answers the stack's secrets provider ("": a passphrase).

    Raises PermanentError when the repository is not one of ours, or a size is in Git.
    """
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    project = _read(checkout / "Pulumi.yaml")
    if project is None:
        raise PermanentError("The infrastructure repository has no Pulumi.yaml at its root.")
    if project.get("name") != PROJECT:
        raise PermanentError(f"Pulumi.yaml must say `name: {PROJECT}`.")
    main = str(project.get("main", "stacks/")).strip("/")
    link = place / main
    if not link.is_symlink() or link.resolve() != (checkout / main).resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(checkout / main)
    # Our interpreter runs the program, whatever people have on their machines.
    (place / "Pulumi.yaml").write_text(yaml.safe_dump(project | {"runtime": "python"}))
    settings = _settings(place, checkout, operation)
    _file(place, operation.stack).write_text(yaml.safe_dump(settings))
    return str(settings.get("secretsprovider", ""))


def git_config(checkout: Path, stack: str) -> dict[str, str]:
    """Read what Git's file of a stack says in plain text; what is sealed is left out."""
    settings: dict[str, Any] = _read(_file(checkout, stack)) or {}
    config: dict[str, Any] = settings.get("config") or {}
    plain = {key: value for key, value in config.items() if isinstance(value, str | int | float)}
    return {key.removeprefix(f"{PROJECT}:"): str(value) for key, value in plain.items()}


def keep_salt(place: Path, stack: str) -> None:
    """Keep the salt that the engine wrote for a stack without a file in Git: one for ever."""
    written = _read(_file(place, stack)) or {}
    salt = written.get("encryptionsalt")
    if salt and not (place / _SALT).exists():
        (place / _SALT).write_text(str(salt))


def _settings(place: Path, checkout: Path, operation: StackOperation) -> dict[str, Any]:
    settings: dict[str, Any] | None = _read(_file(checkout, operation.stack))
    if settings is None:
        settings = {"config": dict(_named(operation.unless_in_git))}
    config: dict[str, Any] = dict(settings.get("config") or {})
    if f"{PROJECT}:{SIZE}" in config and _file(checkout, operation.stack).exists():
        raise PermanentError(
            f"Pulumi.{operation.stack}.yaml in Git holds {SIZE}: take it out, for the size of a "
            "worker group is Talkoot's to choose."
        )
    salt = place / _SALT
    if "encryptionsalt" not in settings and "secretsprovider" not in settings and salt.exists():
        settings["encryptionsalt"] = salt.read_text()
    return settings | {"config": config | _named(operation.config)}


def _named(config: Mapping[str, str]) -> dict[str, str]:
    return {key if ":" in key else f"{PROJECT}:{key}": value for key, value in config.items()}


def _file(folder: Path, stack: str) -> Path:
    return folder / f"Pulumi.{stack}.yaml"


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        read = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise PermanentError(f"{path.name} is not valid YAML: {error}.") from error
    if not isinstance(read, dict):
        raise PermanentError(f"{path.name} must be a mapping.")
    return read
