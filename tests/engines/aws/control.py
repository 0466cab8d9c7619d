"""The world's own address, /_world: where tests say what goes wrong and ask what happened."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from threading import Timer
from typing import Any
from urllib.parse import unquote

import orjson
from moto.events.models import events_backends
from moto.moto_api._internal.models import moto_api_backend
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Request, Response

from tests.engines.aws import clockwork, metadata
from tests.engines.aws.state import ACCOUNT, world

PREFIX = "/_world/"
_CONSOLE_BYTES = 64 * 1024


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    request = Request(environ)
    verb, _, rest = request.path.removeprefix(PREFIX).partition("/")
    try:
        handle = _HANDLERS.get(verb)
        if handle is None:
            raise NotFound(f"the world has no {verb!r}")
        said = handle(request, unquote(rest))
        response = Response(orjson.dumps(said, default=str), mimetype="application/json")
    except HTTPException as error:
        response = Response(error.description, status=error.code)
    except ValueError as error:
        response = Response(str(error), status=400)
    return response(environ, start)


def _given(request: Request) -> dict[str, Any]:
    return dict(orjson.loads(request.get_data() or b"{}"))


def _faults(request: Request, rest: str) -> Any:
    if request.method == "DELETE":
        world.faults.clear(int(rest) if rest else None)
        return {}
    given = _given(request)
    kind, times, for_s = given.pop("kind"), given.pop("times", None), given.pop("for_s", None)
    return {"id": world.faults.add(kind, given, times=times, for_s=for_s).id}


def _pace(request: Request, rest: str) -> Any:
    for name, seconds in _given(request).items():
        if not hasattr(world.pace, name):
            raise ValueError(f"the world's pace has no {name}")
        setattr(world.pace, name, float(seconds))
    return asdict(world.pace)


def _calls(request: Request, rest: str) -> Any:
    return world.calls(int(request.args.get("after", 0)))


def _machines(request: Request, rest: str) -> Any:
    wait_s = float(request.args.get("wait", 0))
    return world.machines(int(request.args.get("after", 0)), wait_s)


def _groups(request: Request, rest: str) -> Any:
    with world.lock:
        return [
            {
                "name": group.name,
                "region": group.region,
                "min": group.least,
                "max": group.most,
                "desired": group.wanted,
                "members": [
                    {
                        "instance_id": member.instance.id,
                        "state": member.lifecycle_state,
                        "zone": member.instance.placement.zone,
                        "version": (member.made_from or {}).get("Version", ""),
                    }
                    for member in group.members
                    if not member.is_leaving
                ],
            }
            for group in clockwork.groups()
        ]


def _reclaim(request: Request, rest: str) -> Any:
    """Take a spot machine back: a notice to who listens, the end after `notice_s` seconds."""
    given = _given(request)
    instance = _instance(given["instance_id"])
    notice_s = float(given.get("notice_s", 120))
    deadline = datetime.now(UTC) + timedelta(seconds=notice_s)
    with world.lock:
        world.notices[instance.id] = f"{deadline:%Y-%m-%dT%H:%M:%SZ}"
        _send_event(instance)
    world.tell_machine("notice", instance_id=instance.id, deadline=deadline.timestamp())
    timer = Timer(notice_s, _end, [instance.id])
    timer.daemon = True
    timer.start()
    return {}


def _send_event(instance: Any) -> None:
    """Say it as EventBridge does, to the targets of the rules that want it."""
    region = instance.region_name
    event: Any = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": datetime.now(UTC).timestamp(),
        "ingestion-time": datetime.now(UTC).timestamp(),
        "region": region,
        "resources": [f"arn:aws:ec2:{instance.placement.zone}:instance/{instance.id}"],
        "detail": {"instance-id": instance.id, "instance-action": "terminate"},
    }
    bus = events_backends[ACCOUNT][region].event_buses["default"]
    for rule in bus.rules.values():
        if rule.state == "ENABLED":
            rule.send_to_targets(event)


def _power_off(request: Request, rest: str) -> Any:
    """End a machine as its own `poweroff` would: its shut-down behaviour is to terminate."""
    _end(_given(request)["instance_id"])
    return {}


def _end(instance_id: str) -> None:
    with world.lock:
        instance = metadata.find(instance_id)
        if instance is None or instance.state == "terminated":
            return
        found = clockwork.find(instance_id)
        clockwork.stop(instance.ec2_backend, instance)
    group, member = found or (None, None)
    made_from = member.made_from if member else {}
    world.tell_machine("ended", **clockwork.describe(group, instance, made_from or {}))


def _instance(instance_id: str) -> Any:
    with world.lock:
        instance = metadata.find(instance_id)
    if instance is None:
        raise NotFound(f"no machine {instance_id}")
    return instance


def _console(request: Request, rest: str) -> Any:
    """Write to a machine's console; EC2's GetConsoleOutput reads it."""
    given = _given(request)
    before = world.console.get(given["instance_id"], "")
    world.console[given["instance_id"]] = (before + given["text"])[-_CONSOLE_BYTES:]
    return {}


def _certificate(request: Request, rest: str) -> Any:
    return {"pem": metadata.certificate_pem()}


def _provider(request: Request, rest: str) -> Any:
    """Tell the provider plug-in whether it is to be slow, or to fail, over this step."""
    fault = world.faults.take("provider", type=request.args["type"], verb=request.args["verb"])
    if fault is None:
        return {}
    return {"seconds": fault.number("seconds"), "message": fault.text("message")}


def _resources(request: Request, rest: str) -> Any:
    """Keep what moto has no records of, by type and id: a small model with memory."""
    kind, _, name = rest.partition("//")
    kept = world.resources.setdefault(kind, {})
    if request.method == "PUT":
        kept[name] = _given(request)
        return kept[name]
    if name not in kept:
        raise NotFound(f"no {kind} {name}")
    return kept.pop(name) if request.method == "DELETE" else kept[name]


def _reset(request: Request, rest: str) -> Any:
    with world.lock:
        world.faults.clear()
        world.resources.clear()
        world.console.clear()
        world.notices.clear()
        moto_api_backend.reset()
    return {}


_HANDLERS: Mapping[str, Callable[[Request, str], Any]] = {
    "faults": _faults,
    "pace": _pace,
    "calls": _calls,
    "machines": _machines,
    "groups": _groups,
    "reclaim": _reclaim,
    "power-off": _power_off,
    "console": _console,
    "identity-certificate": _certificate,
    "provider": _provider,
    "resources": _resources,
    "reset": _reset,
}
