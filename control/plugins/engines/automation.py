"""The Automation API, in the child process: the one module here that imports the engine's SDK.

Two savings over its plain use, each a documented method that we answer ourselves: a stack is not
selected before each run (every command names it), and `up` does not read outputs and history
back. Together four processes of the command-line program less.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pulumi import automation as auto
from pulumi.automation import events
from pulumi.automation._stack import StackInitMode

from control.domain.cloud_ports import StackEvent

_URN_NAME = re.compile(r"::([^:]+(?:::[^:]+)*)$")
_MARKUP = re.compile(r"<\{%[^%]*%\}>")
_BEGUN = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "replace": "replacing",
    "create-replacement": "creating its replacement",
    "delete-replaced": "deleting what was replaced",
    "read": "reading",
    "refresh": "reading",
    "import": "importing",
}
_TEXT_LIMIT = 2000
_NO_TIME = datetime.fromtimestamp(0, UTC)
OnEvent = Callable[[StackEvent], None]


class Workspace(auto.LocalWorkspace):
    """A work directory of ours; its stack is named by every command, never selected."""

    def select_stack(self, stack_name: str) -> None:
        """Leave the selection of this work directory alone."""


class Stack(auto.Stack):
    """A stack whose runs end with the engine: what came of them is in the events."""

    def outputs(self) -> auto.OutputMap:
        """Answer nothing: `outputs_of` reads them when somebody asks."""
        return {}

    def info(self, show_secrets: bool = True) -> auto.UpdateSummary:
        """Answer a summary that names nothing: the events hold it."""
        del show_secrets
        return auto.UpdateSummary("update", _NO_TIME, "", {}, {}, "")


def command() -> auto.PulumiCommand:
    """Find the command-line program on PATH. Raises FileNotFoundError."""
    return auto.PulumiCommand()


def work(
    spec: Mapping[str, Any],
    program: auto.PulumiCommand,
    *,
    on_event: OnEvent,
    on_sign: Callable[[], None],
) -> dict[str, Any]:
    """Do what a spec asks; answers outcome, engine's own words, changes or a value, seconds.

    `on_sign` is called at each sign of life of the engine, more often than `on_event`.
    """
    workspace = Workspace(
        work_dir=spec["work_dir"],
        pulumi_home=spec["environment"]["PULUMI_HOME"],
        secrets_provider=spec.get("secrets_provider") or None,
        pulumi_command=program,
    )
    stack = Stack(spec["stack"], workspace, StackInitMode.SELECT)
    changes: dict[str, int] = {}

    def heard(event: auto.EngineEvent) -> None:
        on_sign()
        if event.summary_event is not None:
            changes.update(_counted(event.summary_event.resource_changes))
        told = tell(event)
        if told is not None:
            on_event(told)

    began = time.monotonic()
    try:
        value = _do(stack, spec, heard)
        answer: dict[str, Any] = {"outcome": "succeeded", "value": value, "words": ""}
    except auto.ConcurrentUpdateError as error:
        answer = {"outcome": "conflict", "words": str(error)}
    except auto.StackNotFoundError as error:
        answer = {"outcome": "missing", "words": str(error)}
    except (auto.CommandError, RuntimeError) as error:
        answer = {"outcome": "failed", "words": str(error)}
    return answer | {"changes": changes, "engine_s": time.monotonic() - began}


def _do(stack: Stack, spec: Mapping[str, Any], on_event: auto.OnEvent) -> Any:
    match spec["verb"]:
        case "up":
            return _up(stack, spec, on_event)
        case "preview":
            stack.preview(message=spec["message"], on_event=on_event)
        case "refresh":
            stack.refresh(
                message=spec["message"],
                on_event=on_event,
                show_secrets=False,
                clear_pending_creates=True,
            )
        case "destroy":
            stack.destroy(message=spec["message"], on_event=on_event, show_secrets=False)
        case "outputs":
            found = stack.workspace.stack_outputs(stack.name)
            return {key: one.value for key, one in found.items() if not one.secret}
        case "pending":
            return _pending(_export(stack.workspace, stack.name))
        case "adopt":
            _adopt(stack.workspace, stack.name, spec["made"])
        case "cancel":
            stack.cancel()
        case "version":
            return stack.workspace.pulumi_version
        case verb:
            raise ValueError(f"no verb {verb!r}")
    return None


def _up(stack: Stack, spec: Mapping[str, Any], on_event: auto.OnEvent) -> None:
    def run() -> None:
        stack.up(message=spec["message"], on_event=on_event, show_secrets=False)

    try:
        run()
    except auto.StackNotFoundError:
        if not spec["may_create"]:
            raise
        stack.workspace.create_stack(stack.name)
        run()


def _export(workspace: auto.Workspace, stack: str) -> dict[str, Any]:
    """Read a stack's state, its secrets sealed: the SDK's own way opens them."""
    said = workspace.pulumi_command.run(
        ["stack", "export", "--stack", stack], workspace.work_dir, {}
    )
    return json.loads(said.stdout)


def _adopt(workspace: auto.Workspace, stack: str, made: Mapping[str, str]) -> None:
    """Record pending creations, URN to id, as made; a refresh then reads what they are.

    The engine's own `refresh --import-pending-creates` forgets them (seen with 3.259).
    """
    state = _export(workspace, stack)
    deployment = state["deployment"]
    resources = deployment.setdefault("resources", [])
    known = {one["urn"] for one in resources}
    left: list[Any] = []
    for one in deployment.get("pending_operations") or []:
        urn = one["resource"]["urn"]
        if one["type"] == "creating" and urn in made and urn not in known:
            resources.append(one["resource"] | {"id": made[urn]})
        else:
            left.append(one)
    deployment["pending_operations"] = left
    with tempfile.NamedTemporaryFile("w", dir=workspace.work_dir, suffix=".json") as file:
        json.dump(state, file)
        file.flush()
        workspace.pulumi_command.run(
            ["stack", "import", "--file", file.name, "--stack", stack], workspace.work_dir, {}
        )


def _pending(exported: Mapping[str, Any]) -> list[dict[str, str]]:
    operations = (exported.get("deployment") or {}).get("pending_operations") or []
    return [
        {
            "operation": str(one.get("type", "")),
            "type": str(one.get("resource", {}).get("type", "")),
            "urn": str(one.get("resource", {}).get("urn", "")),
            "name": _text(one.get("resource", {}).get("inputs", {}).get("name")),
        }
        for one in operations
    ]


def _text(value: Any) -> str:
    """Answer plain text only; a secret is an object here."""
    return value if isinstance(value, str) else ""


# -- events ---------------------------------------------------------------------------------------
def tell(event: auto.EngineEvent) -> StackEvent | None:
    """Put an engine's event into our words; None for what nobody need read.

    Debug diagnostics hold plain secrets (seen: every stack output), so they end here.
    """
    at = datetime.fromtimestamp(event.timestamp, UTC)
    if event.diagnostic_event is not None:
        return _diagnostic(at, event.diagnostic_event)
    if event.resource_pre_event is not None:
        metadata = event.resource_pre_event.metadata
        return _step(at, metadata, _BEGUN.get(str(metadata.op.value), ""))
    if event.res_outputs_event is not None:
        metadata = event.res_outputs_event.metadata
        return _step(at, metadata, "done")
    if event.res_op_failed_event is not None:
        return _step(at, event.res_op_failed_event.metadata, "failed", severity="error")
    if event.summary_event is not None:
        counts = _counted(event.summary_event.resource_changes)
        words = ", ".join(f"{count} {operation}" for operation, count in sorted(counts.items()))
        return StackEvent(at, "summary", words or "nothing to do")
    return None


def _diagnostic(at: datetime, event: events.DiagnosticEvent) -> StackEvent | None:
    text = _MARKUP.sub("", event.message).strip()
    severity = event.severity.partition("#")[0]
    if text.startswith("error:"):
        severity = "error"
    if severity == "debug" or event.ephemeral or not text:
        return None
    return StackEvent(
        at, "diagnostic", text[:_TEXT_LIMIT], resource=_name(event.urn or ""), severity=severity
    )


def _step(
    at: datetime, metadata: events.StepEventMetadata, text: str, severity: str = "info"
) -> StackEvent | None:
    operation = str(metadata.op.value)
    if not text or (operation == "same" and severity == "info"):
        return None
    resource = f"{metadata.type} {_name(metadata.urn)}"
    return StackEvent(at, "resource", text, resource, operation, severity)


def _name(urn: str) -> str:
    found = _URN_NAME.search(urn)
    return urn.rsplit("::", 1)[-1] if found else urn


def _counted(changes: Mapping[Any, int] | None) -> dict[str, int]:
    return {
        str(getattr(operation, "value", operation)): count
        for operation, count in (changes or {}).items()
    }
