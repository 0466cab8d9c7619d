"""Takes what a stack made into the service: groups as rows, stores and registries as settings.

Idempotent: a stack may be registered again after each change of its config in Git.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from control.database.rows import AnyRow
from control.database.tables.worker_groups import worker_groups as group_rows
from control.domain import worker_groups as rules
from control.domain.errors import Invalid
from control.domain.worker_groups import NewGroup
from control.services import worker_groups
from control.services.world import World

_STORES = {
    "artifactsBucket": "STORE_URL",
    "codeBucket": "CODE_STORE_URL",
    "logsBucket": "LOG_STORE_URL",
    "releasesBucket": "RELEASE_STORE_URL",
}
_STORE_SCHEMES = {"aws": "s3://{bucket}?region={region}"}
"""How a store's URL is written for a bucket of a cloud; other clouds come with their stores."""
_NUMBERS = {"min": "min", "max": "max", "slots": "slots"}


def settings_of(outputs: Mapping[str, Any]) -> list[str]:
    """Write the lines for `.env` that a base or control stack's outputs give; no secret."""
    lines: list[str] = []
    scheme = _STORE_SCHEMES.get(str(outputs.get("cloud")))
    if scheme is not None:
        lines += [
            f"{variable}={scheme.format(bucket=outputs[key], region=outputs['region'])}"
            for key, variable in _STORES.items()
            if outputs.get(key)
        ]
    if outputs.get("installation"):
        lines.append(f"TALKOOT_INSTALLATION={outputs['installation']}")
    if outputs.get("url"):
        lines.append(f"TALKOOT_PUBLIC_URL={outputs['url']}")
    return lines


def registries_of(outputs: Mapping[str, Any]) -> list[str]:
    """Name the registries that a base stack made, as images begin with them."""
    return [str(url) for url in outputs.get("repositoryUrls") or ()]


def register_group(
    world: World,
    stack: str,
    outputs: Mapping[str, Any],
    config: Mapping[str, str],
    *,
    environment: str,
    now: datetime,
) -> tuple[AnyRow, bool]:
    """Take a worker group's stack in; the group's row, and whether it is new.

    `outputs` are the stack's, `config` is Git's file. Raises Invalid when it is no group's stack.
    """
    _check(stack, outputs, config)
    row = _by_stack(world, stack)
    is_new = row is None
    if row is None:
        row = _add(world, stack, outputs, config, environment, now)
    values = _values(row, outputs, config, now, is_new=is_new)
    world.database.write(
        lambda connection: (
            connection.execute(
                update(group_rows).where(group_rows.c.stack == stack).values(**values)
            )
            and None
        )
    )
    found = _by_stack(world, stack)
    assert found is not None
    return found, is_new


def _check(stack: str, outputs: Mapping[str, Any], config: Mapping[str, str]) -> None:
    missing = [key for key in ("cloud", "region", "group", "resource") if key not in outputs]
    if missing:
        raise Invalid.one(
            "stack", f"{stack} has no output {', '.join(missing)}: is it a worker group's?"
        )
    unsaid = [key for key in ("baseStack", "instanceType", "image") if not config.get(key)]
    if unsaid:
        raise Invalid.one(
            "stack",
            f"Pulumi.{stack}.yaml in the infrastructure repository does not say "
            f"{', '.join(unsaid)}: commit the stack's config first.",
        )


def _add(
    world: World,
    stack: str,
    outputs: Mapping[str, Any],
    config: Mapping[str, str],
    environment: str,
    now: datetime,
) -> AnyRow:
    new = NewGroup(
        name=str(outputs["group"]),
        base_stack=config["baseStack"],
        instance_type=config["instanceType"],
        image=config["image"],
        markets=(config.get("market", "on-demand"),),
        environment=environment,
        minimum=int(config.get("min", 0)),
        maximum=int(config.get("max", 5)),
        slots=int(config.get("slots", 1)),
        price_per_hour_usd=float(outputs.get("pricePerHourUsd") or 0.0),
        channel=config.get("channel", "stable"),
        agent_version=config.get("agentVersion", ""),
        control_url=config.get("controlUrl", ""),
        ca_fingerprint=config.get("caFingerprint", ""),
        release_public_key=config.get("releasePublicKey", ""),
    )
    named = rules.offerings_of(rules.completed(new))[0].stack
    if named != stack:
        raise Invalid.one(
            "stack", f"{stack} says that it is group {new.name}, whose stack is named {named}."
        )
    return worker_groups.add(world, None, new, now)[0]


def _values(
    row: AnyRow,
    outputs: Mapping[str, Any],
    config: Mapping[str, str],
    now: datetime,
    *,
    is_new: bool,
) -> dict[str, Any]:
    inputs = {key: value for key, value in config.items() if ":" not in key}
    version = rules.config_version(inputs)
    values: dict[str, Any] = {
        "resource": str(outputs["resource"]),
        "inputs": inputs,
        "instance_type": config["instanceType"],
        "market": config.get("market", "on-demand"),
        "config_version": version,
        "mtime": now,
    }
    values |= {column: int(config[key]) for key, column in _NUMBERS.items() if key in config}
    if is_new or row.applied_at is None:
        size = outputs.get("size")
        applied = int(size) if size is not None else int(config.get("min", 0))
        values |= {"applied": applied, "applied_at": now, "applied_version": version}
        values |= {"wanted": max(applied, row.wanted)}
    return values


def _by_stack(world: World, stack: str) -> AnyRow | None:
    with world.database.read() as connection:
        return connection.execute(select(group_rows).where(group_rows.c.stack == stack)).first()
