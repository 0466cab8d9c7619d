"""What must survive of an attempt when the agent is killed: a folder, and one file in it."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import wire
from agent.phases.endings import Ending


@dataclass
class AttemptState:
    """How far an attempt is; written after each change."""

    folder: Path
    done: list[str] = field(default_factory=list)
    handle: str | None = None  # the runtime's name for the container
    image_digest: str | None = None
    input_facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    relay_port: int = 0
    relay_token: str = ""
    started_at: float | None = None  # seconds since 1970, when the container started
    cut: str | None = None  # why the agent itself ends it, a key of CUTS
    cut_sentence: str = ""
    ending: dict[str, str] | None = None  # outcome, reason, sentence
    exit_code: int | None = None
    failing_item: int | None = None
    ended_at: str = ""

    def save(self) -> None:
        """Replace the file at once."""
        values = dataclasses.asdict(self)
        del values["folder"]
        draft = self.folder / "state.new"
        draft.write_text(json.dumps(values))
        draft.replace(self.folder / "state.json")

    def end(self, ending: Ending) -> None:
        """Decide the end; a later decision wins, as an upload error does over success."""
        self.ending = dataclasses.asdict(ending)
        self.save()

    @property
    def known_ending(self) -> Ending | None:
        """The end, once it is decided."""
        return Ending(**self.ending) if self.ending is not None else None


def create(folder: Path, spec: wire.ExecutionSpec) -> AttemptState:
    """Make the folder of a new attempt; the spec goes last, so a folder with a spec is whole."""
    folder.mkdir(mode=0o700, parents=True)
    state = AttemptState(folder)
    state.save()
    file = os.open(folder / "spec.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as stream:
        json.dump(wire.encode(spec), stream)
    (folder / "spec.new").replace(folder / "spec.json")
    return state


def read(folder: Path) -> tuple[wire.ExecutionSpec, AttemptState]:
    """Read an attempt back. Raises OSError or ValueError for a folder that is not whole."""
    spec = wire.decode(wire.ExecutionSpec, json.loads((folder / "spec.json").read_bytes()))
    values = json.loads((folder / "state.json").read_bytes())
    return spec, AttemptState(folder=folder, **values)
