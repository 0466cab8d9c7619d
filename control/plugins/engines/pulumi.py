"""Pulumi as the stack engine: each operation in a child process of its own (ADR 10)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from control.domain.cloud_ports import (
    FailureClass,
    FindResource,
    StackEvent,
    StackOperation,
    StackResult,
)
from control.domain.engine_failures import classify, headline, locked_sentence
from control.domain.errors import PermanentError, TalkootError, TemporaryError
from control.plugins.engines import environment, recovery, workplace
from control.plugins.engines.checkout import Checkout
from control.plugins.engines.child import Child, Said, event_of
from control.plugins.engines.recovery import Engine
from stacks.inputs import CLOUDS, SIZE, parse_stack_name

GRACE_S = 300.0
"""From the first interrupt to the second: bridged providers may take minutes to notice."""
QUICK_LIMIT_S = 120.0
"""For what only reads the state."""
_LOOK_EVERY_S = 0.25
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass
class _Run:
    """What is known of a run while it goes on."""

    errors: list[str]
    deadline: float
    stopped_for: str = ""  # "", interrupted, timed-out


class PulumiEngine:
    """The engine port by the Automation API. Threads may run different stacks at once."""

    def __init__(
        self,
        folder: Path,
        *,
        repository: str = "",
        commit: str = "",
        environ: Mapping[str, str] | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._folder = folder.absolute()
        self._checkout = Checkout(self._folder, repository, commit)
        self._environ = dict(os.environ if environ is None else environ)
        self._grace_s = grace_s
        self._spares: list[Child] = []
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build with the options `data_dir` (all lies in its `infra/`), `repository`, `commit`."""
        del url
        return cls(
            Path(options.get("data_dir", ".")) / "infra",
            repository=options.get("repository", ""),
            commit=options.get("commit", ""),
        )

    # -- the port ------------------------------------------------------------------------------
    def run(
        self,
        operation: StackOperation,
        *,
        on_event: Callable[[StackEvent], None],
        on_start: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> StackResult:
        """Run to the end (see the port)."""
        size = operation.config.get(SIZE)
        if size is not None and int(size) < operation.live:
            raise PermanentError(
                f"A size of {size} is refused: {operation.live} machines are there, and the cloud "
                "would pick which ones to end. They are drained by name instead."
            )
        try:
            spec = self._spec(operation)
            child = self._take()
        except TalkootError as error:
            return StackResult("failed", error=error.message, failure=FailureClass.CONFIGURATION)
        hidden = environment.secrets_in(spec["environment"])
        run = _Run([], time.monotonic() + operation.time_limit_s)
        try:
            on_start(child.pid)
            child.give(spec)
            end = self._follow(child, run, hidden, on_event, should_stop)
        finally:
            child.end()
            self.warm()
        workplace.keep_salt(Path(spec["work_dir"]), operation.stack)
        return _result(end, run, hidden)

    def recover(self, stack: str, pid: int | None, find: FindResource) -> str:
        """Clear what a killed run left (see the port)."""
        return recovery.recover(Engine(self._ask, find), stack, pid, self._grace_s)

    def outputs(self, stack: str) -> Mapping[str, object]:
        """Read the stack's outputs, secret ones left out."""
        answer = self._ask(stack, "outputs")
        if answer["outcome"] == "missing":
            return {}
        if answer["outcome"] != "succeeded":
            raise TemporaryError(f"The outputs of {stack} can not be read: {answer['words']}")
        return answer["value"]

    def git_config(self, stack: str) -> Mapping[str, str]:
        """Read the stack's file of the pinned commit."""
        return workplace.git_config(self._checkout.folder(), stack)

    def commit(self) -> str:
        """Name the pinned commit."""
        return self._checkout.commit()

    def plugins(self) -> Sequence[str]:
        """List Pulumi's cache of provider plug-ins."""
        variables = environment.scrubbed(self._environ, clouds=frozenset(), home=self._home())
        cache = Path(variables["PULUMI_HOME"]) / "plugins"
        found = sorted(one.name.removeprefix("resource-") for one in cache.glob("resource-*-v*"))
        names = [name for name in found if not name.endswith((".lock", ".partial"))]
        if not names:
            raise PermanentError(f"There is no provider plug-in in {cache}.")
        return names

    def pull(self) -> str:
        """Read the repository and pin what is wanted."""
        return self._checkout.refresh()

    def is_alive(self, pid: int) -> bool:
        """Look for processes of that session which are ours (see the port)."""
        return bool(recovery.still_running(pid))

    def check(self) -> Mapping[str, str]:
        """Say what was found of the program, the repository and the state's place."""
        program = self._ask("", "version")
        if program["outcome"] != "succeeded":
            raise PermanentError(program["words"])
        backend = self._environ.get("PULUMI_BACKEND_URL", "")
        if not backend:
            raise PermanentError(
                "PULUMI_BACKEND_URL is not set: name the place of the stacks' state, such as "
                "s3://bucket?region=…, and use the same where people run `pulumi`."
            )
        return {
            "engine": f"Pulumi {program['value']}",
            "repository": f"commit {self.commit()[:12]}",
            "state": environment.hide(backend, environment.secrets_in(self._environ)),
        }

    # -- children ------------------------------------------------------------------------------
    def warm(self) -> None:
        """Keep one child ready: what it imports takes a fifth of a short run's time."""
        with self._lock:
            if not any(child.is_running for child in self._spares):
                self._spares.append(self._start())

    def close(self) -> None:
        """Let the idle child go."""
        with self._lock:
            spares, self._spares = self._spares, []
        for child in spares:
            child.end()

    def _take(self) -> Child:
        with self._lock:
            while self._spares:
                child = self._spares.pop()
                if child.is_running:
                    return child
                child.end()
        return self._start()

    def _start(self) -> Child:
        self._home().mkdir(parents=True, exist_ok=True, mode=0o700)
        variables = environment.scrubbed(self._environ, clouds=frozenset(), home=self._home())
        return Child(variables["PATH"], variables["HOME"])

    def _home(self) -> Path:
        return self._folder / "home"

    # -- a run ---------------------------------------------------------------------------------
    def _spec(self, operation: StackOperation) -> dict[str, Any]:
        place = self._folder / "stacks" / operation.stack
        provider = workplace.make(place, self._checkout.folder(), operation)
        return {
            "verb": operation.verb,
            "stack": operation.stack,
            "message": operation.message,
            "may_create": operation.may_create,
            "work_dir": str(place),
            "secrets_provider": provider,
            "grace_s": self._grace_s,
            "environment": environment.scrubbed(
                self._environ,
                clouds=_clouds_of(operation.stack),
                home=self._home(),
                secrets_provider=provider,
            ),
        }

    def _follow(
        self,
        child: Child,
        run: _Run,
        hidden: tuple[str, ...],
        on_event: Callable[[StackEvent], None],
        should_stop: Callable[[], bool],
    ) -> Said:
        """Read to the end, and order the stop when it is due."""
        looked_at = 0.0
        while True:
            said = child.listen(_LOOK_EVERY_S)
            if said is None:
                words = "The engine's process ended without an answer. " + child.last_words()
                return {"outcome": "failed", "words": words, "changes": {}}
            if "end" in said:
                return said["end"]
            if "event" in said:
                event = event_of(said)
                event = replace(event, text=environment.hide(event.text, hidden))
                if event.severity == "error" and event.kind == "diagnostic":
                    run.errors.append(event.text)
                on_event(event)
            now = time.monotonic()
            if not run.stopped_for and now - looked_at >= _LOOK_EVERY_S:
                looked_at = now
                run.stopped_for = _why_stop(now > run.deadline, should_stop)
                if run.stopped_for:
                    child.stop()

    def _ask(self, stack: str, verb: str, made: Mapping[str, str] = _NOTHING) -> Said:
        """Do something short on a stack: outputs, pending, cancel, adopt, refresh.

        `made`: URN to id of pending creations that went through, which `adopt` records.
        """
        operation = StackOperation(stack, verb, {}, "recovery", QUICK_LIMIT_S)
        spec = self._quick_spec(operation) | {"made": dict(made)}
        hidden = environment.secrets_in(spec["environment"])
        was_warm = bool(self._spares)
        child = self._take()
        run = _Run([], time.monotonic() + QUICK_LIMIT_S)
        try:
            child.give(spec)
            end = self._follow(child, run, hidden, lambda _event: None, lambda: False)
        finally:
            child.end()
            if was_warm:
                self.warm()
        return end | {"words": environment.hide(str(end.get("words", "")), hidden)}

    def _quick_spec(self, operation: StackOperation) -> dict[str, Any]:
        if operation.stack:
            return self._spec(operation)
        variables = environment.scrubbed(self._environ, clouds=frozenset(), home=self._home())
        return {
            "verb": operation.verb,
            "stack": "",
            "message": "",
            "work_dir": str(self._home()),
            "grace_s": self._grace_s,
            "environment": variables,
        }


def _why_stop(is_late: bool, should_stop: Callable[[], bool]) -> str:
    if is_late:
        return "timed-out"
    return "interrupted" if should_stop() else ""


def _clouds_of(stack: str) -> frozenset[str]:
    try:
        return frozenset({parse_stack_name(stack).cloud})
    except ValueError:
        return frozenset(CLOUDS)  # a name of somebody's own: nobody knows what it needs


def _result(end: Said, run: _Run, hidden: tuple[str, ...]) -> StackResult:
    outcome, words = str(end["outcome"]), environment.hide(str(end.get("words", "")), hidden)
    changes, engine_s = dict(end.get("changes") or {}), float(end.get("engine_s", 0.0))
    if outcome == "succeeded":
        return StackResult("succeeded", changes, engine_s=engine_s)
    if outcome == "conflict":
        return StackResult("conflict", changes, locked_sentence(words), engine_s=engine_s)
    if outcome == "missing":
        return StackResult("missing", changes, "The stack does not exist.", engine_s=engine_s)
    if run.stopped_for:
        sentence = {
            "timed-out": "The run took longer than its time limit and was interrupted.",
            "interrupted": "The run was stopped on request.",
        }[run.stopped_for]
        return StackResult(run.stopped_for, changes, sentence, engine_s=engine_s)
    error = headline(
        run.errors, fallback=headline([words], "The engine failed and did not say why.")
    )
    failure = classify("\n".join([*run.errors, words]))
    return StackResult("failed", changes, error, failure, engine_s)
