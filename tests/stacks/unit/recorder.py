"""Runs a stack's program as the engine would, on Pulumi's mocks, and keeps all it registers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

from stacks import __main__ as program
from stacks.inputs import PROJECT
from stacks.policy.planned import Planned
from tests.engines.event_loop import finish

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Registered(Planned):
    """A planned resource, with what the engine is told about it."""

    parent: str = ""
    ignore_changes: tuple[str, ...] = ()
    is_retained: bool = False
    secrets: tuple[str, ...] = ()  # properties that the engine encrypts


@dataclass
class Run:
    """What one run of a program asked for."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def only(self, type_: str, name: str = "") -> Registered:
        found = [r for r in self.resources if r.type == type_ and name in (r.name, "")]
        assert len(found) == 1, [r.name for r in self.resources if r.type == type_]
        return found[0]

    def all(self, type_: str) -> list[Registered]:
        return [r for r in self.resources if r.type == type_]


class _Cloud(mocks.Mocks):
    """Makes up what a cloud answers: ids and addresses from names; outputs of other stacks."""

    def __init__(self, run: Run, stacks: Mapping[str, Answer], calls: Mapping[str, Answer]) -> None:
        self.run = run
        self.stacks = stacks
        self.calls = calls

    def call(self, args: mocks.MockCallArgs) -> Any:
        self.run.calls.append(args.token)
        return self.calls[args.token]

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            name = str(args.inputs["name"])
            return name, {"name": name, "outputs": dict(self.stacks[name])}
        made = {
            "arn": f"arn:{args.typ.split(':')[1].partition('/')[0]}:{args.name}",
            "name": args.name,
            "latestVersion": 1,
            "certificateAuthority": {"data": "LS0tLS1CRUdJTg=="},
            **args.inputs,
        }
        return f"{args.name}-id", made


class _Monitor(mocks.MockMonitor):
    """Keeps each registration, with the options that mocks do not pass on."""

    def __init__(self, cloud: _Cloud) -> None:
        super().__init__(cloud)
        self.run = cloud.run

    def RegisterResource(self, request: Any) -> Any:
        if request.custom:
            self.run.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    properties=_plain(MessageToDict(request.object)),
                    is_protected=request.protect,
                    parent=request.parent,
                    provider=request.provider,
                    ignore_changes=tuple(request.ignoreChanges),
                    is_retained=request.retainOnDelete,
                    secrets=_secret(MessageToDict(request.object)),
                )
            )
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "pulumi:pulumi:Stack::" in request.urn:
            self.run.outputs = _plain(MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)


class _Warnings(logging.Handler):
    def __init__(self, run: Run) -> None:
        super().__init__(logging.WARNING)
        self.run = run

    def emit(self, record: logging.LogRecord) -> None:
        self.run.warnings.append(record.getMessage())


def run(
    stack: str,
    config: Mapping[str, Any],
    *,
    stacks: Mapping[str, Answer] | None = None,
    calls: Mapping[str, Answer] | None = None,
    preview: bool = False,
    secrets: tuple[str, ...] = (),
) -> Run:
    """Run the program of `stack`; `stacks` are the outputs of others, by short name."""
    kept = Run()
    whole = {f"organization/{PROJECT}/{name}": value for name, value in (stacks or {}).items()}
    logger = logging.getLogger(f"pulumi.{stack}")
    logger.propagate = False
    logger.handlers = [_Warnings(kept)]
    monitor = _Monitor(_Cloud(kept, whole, calls or {}))
    configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),
            engine=mocks.MockEngine(logger),
            project=PROJECT,
            stack=stack,
            dry_run=preview,
            organization="organization",
        )
    )
    pulumi.runtime.set_all_config(
        {f"{PROJECT}:{key}": str(value) for key, value in config.items()},
        [f"{PROJECT}:{key}" for key in secrets],
    )
    finish(_in_one_thread())
    return kept


async def _in_one_thread() -> None:
    """Run the program with one thread for its calls, whose event loop is closed at the end."""
    loop = asyncio.new_event_loop()
    calls = ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(loop,))
    asyncio.get_running_loop().set_default_executor(calls)
    try:
        await run_in_stack(program.main)
    finally:
        calls.submit(loop.close).result()


def _secret(properties: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        key
        for key, value in properties.items()
        if isinstance(value, dict) and value.get(rpc._special_sig_key) == rpc._special_secret_sig
    )


def _plain(value: Any) -> Any:
    """Whole floats as numbers, secrets as their value: as a reader thinks of them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def text(value: Any) -> str:
    """Write a value as golden text."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
