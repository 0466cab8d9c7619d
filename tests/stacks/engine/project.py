"""Talkoot's Pulumi project in a folder of its own, driven by the real CLI in the fake account."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stacks.inputs import PROJECT
from tests.engines.aws.provider.install import install
from tests.engines.aws.world import World
from tests.engines.pulumi.engine import PulumiEngine

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "examples" / "infrastructure"
BASE = "prod-aws-eu-west-1-base"
GPU = "prod-aws-eu-west-1-wg-gpu"
_LIMIT_S = 280


@dataclass(frozen=True)
class Outcome:
    """How a run of the CLI ended."""

    status: int
    output: str
    errors: str

    @property
    def words(self) -> str:
        """What a person reads; of a run that told its events as JSON, the diagnostics."""
        told = [
            event["diagnosticEvent"]["message"]
            for event in self.events
            if "diagnosticEvent" in event and event["diagnosticEvent"]["severity"] != "debug"
        ]
        return "".join(told) + ("" if told else self.output) + self.errors

    @property
    def events(self) -> list[Mapping[str, Any]]:
        lines = [line for line in self.output.splitlines() if line.startswith('{"sequence"')]
        return [json.loads(line) for line in lines]

    @property
    def summary(self) -> Mapping[str, Any]:
        """What `--json` said."""
        return json.loads(self.output)


@dataclass(frozen=True)
class Preview:
    """What `preview --json --show-sames` wrote."""

    text: str

    @property
    def changes(self) -> set[str]:
        """The operations in it."""
        return set(json.loads(self.text)["changeSummary"])

    def broken_rules(self) -> str:
        """Check it by `python -m stacks.policy`, and answer its complaints; "" when it is well."""
        done = subprocess.run(
            [sys.executable, "-m", "stacks.policy", "-"],
            cwd=ROOT,
            input=self.text,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise AssertionError(done.stderr)
        return done.stdout if done.returncode else ""


@dataclass(frozen=True)
class Project:
    """A checkout: Pulumi.yaml, the programs, and a stack file for each stack."""

    engine: PulumiEngine
    folder: Path
    environment: Mapping[str, str]

    def add(self, stack: str, **config: Any) -> None:
        """Make a stack with the config of its kind's sample, changed by `config`."""
        self.configure(stack, **config)
        self.pulumi("stack", "init", stack)

    def configure(self, stack: str, **config: Any) -> None:
        """Write the stack's file as a person edits it: the sample's lines and these."""
        file = self.folder / f"Pulumi.{stack}.yaml"
        known: dict[str, Any] = yaml.safe_load(file.read_text()) if file.exists() else {}
        if "config" not in known:
            kind = "wg-gpu" if "-wg-" in stack else stack.rpartition("-")[2]
            sample = SAMPLES / f"Pulumi.prod-aws-eu-west-1-{kind}.yaml"
            known["config"] = yaml.safe_load(sample.read_text())["config"]
        changes = {f"{PROJECT}:{key}": value for key, value in config.items()}
        merged = {**known["config"], **changes}
        known["config"] = {key: value for key, value in merged.items() if value is not None}
        file.write_text(yaml.safe_dump(known))

    def forget(self, stack: str) -> None:
        """Remove a stack that has no resources, with its file."""
        self.pulumi("stack", "rm", stack, "--yes")

    def up(self, stack: str, *arguments: str) -> Mapping[str, int]:
        """Run `up` and answer how many resources it created, updated, left: by operation."""
        return self._changes("up", stack, "--skip-preview", *arguments)

    def refresh(self, stack: str) -> Mapping[str, int]:
        return self._changes("refresh", stack, "--skip-preview")

    def destroy(self, stack: str, *arguments: str) -> Mapping[str, int]:
        return self._changes("destroy", stack, "--skip-preview", *arguments)

    def preview(self, stack: str) -> Preview:
        """Preview as `make policy` does."""
        return Preview(self.pulumi("preview", "--json", "--show-sames", "--stack", stack).output)

    def outputs(self, stack: str) -> Mapping[str, Any]:
        return self.pulumi("stack", "output", "--json", "--stack", stack).summary

    def pulumi(self, *arguments: str, check: bool = True) -> Outcome:
        """Run the CLI. AssertionError with its words when it fails, unless told otherwise."""
        done = subprocess.run(
            [self.engine.program, "--non-interactive", "--color", "never", *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        if check and done.returncode:
            raise AssertionError(f"pulumi {' '.join(arguments)}: {outcome.words}")
        return outcome

    def _changes(self, verb: str, stack: str, *arguments: str) -> Mapping[str, int]:
        done = self.pulumi(verb, "--yes", "--json", "--stack", stack, *arguments)
        for event in reversed(done.events):
            if "summaryEvent" in event:
                return event["summaryEvent"]["resourceChanges"] or {}
        raise AssertionError(f"pulumi {verb} gave no summary: {done.words}")


def make(engine: PulumiEngine, world: World, place: Path, *, backend: str = "") -> Project:
    """Lay a project out in `place`, with its state in files there unless `backend` says where."""
    folder = place / "project"
    folder.mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (folder / "stacks").symlink_to(ROOT / "stacks")
    (folder / ".venv").symlink_to(sys.prefix)
    environment = {**engine.environment(place, backend=backend), **world.environment}
    install(Path(environment["PULUMI_HOME"]))
    return Project(engine, folder, environment)
