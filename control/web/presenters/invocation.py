"""The command line that does what a form does; static/js/command.js writes the same live."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from control.web.presenters.run_form import option_name


@dataclass(frozen=True, slots=True)
class Invocation:
    """What `vh exec run` is told; empty means: not said."""

    step: str
    commit: str = ""
    environment: str = ""
    image: str = ""
    title: str = ""
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    env_vars: Mapping[str, str] = field(default_factory=dict)


def command(what: Invocation) -> str:
    """Write `vh exec run …`, one option a line."""
    said = [("commit", what.commit), ("environment", what.environment), ("image", what.image)]
    said.append(("title", what.title))
    options = [f"--{name}={shlex.quote(value)}" for name, value in said if value]
    options += [f"--tag={shlex.quote(tag)}" for tag in what.tags]
    options += [f"--var={shlex.quote(f'{name}={text}')}" for name, text in what.env_vars.items()]
    words = [f"vh exec run {shlex.quote(what.step)}", *options]
    for name, value in what.parameters.items():
        words += [f"{option_name(name)}={shlex.quote(_text(one))}" for one in _many(value)]
    for name, uris in what.inputs.items():
        words += [f"{option_name(name)}={shlex.quote(uri)}" for uri in uris]
    return " \\\n  ".join(words)


def _many(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
