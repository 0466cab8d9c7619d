"""The agent's settings, read once from the command line and the environment."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.phases.failures import Refused

VERSION = (Path(__file__).with_name("VERSION")).read_text(encoding="utf-8").strip()
"""Of the release; the file is written anew when a release is built."""

PREFIX = "TALKOOT_AGENT_"
VARIABLES = {
    "URL": "url",
    "STATE": "state",
    "RUNTIME": "runtime",
    "NAME": "name",
    "SLOTS": "slots",
    "ENROL_TOKEN_FILE": "enrol_token_file",
    "CACHE_BYTES": "cache_bytes",
    "KEEP_FREE_BYTES": "keep_free_bytes",
}
"""TALKOOT_AGENT_<name> to the option that it stands for."""

ENROL_VARIABLE = "TALKOOT_ENROL_TOKEN"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the agent was told; the joined identity is in `state`."""

    url: str
    state: Path
    runtime: str
    name: str
    slots: int
    enrol_token: str | None
    cache_bytes: int | None  # None: a fifth of the disk
    keep_free_bytes: int  # the cache gives way before the disk has less than this


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read the settings; the command line wins. Raises Refused; argparse exits with 2."""
    given = _from_environment(environ)
    parser = _parser()
    parser.set_defaults(**given)
    options = parser.parse_args(list(argv))
    missing = [f"--{name}" for name in ("url", "state", "runtime") if not getattr(options, name)]
    if missing:
        parser.error(f"missing: {', '.join(missing)}")
    if options.runtime not in ("docker", "process"):
        parser.error("--runtime is docker or process")
    if not options.url.startswith(("http://", "https://")):
        parser.error("--url begins with http:// or https://")
    return Settings(
        url=options.url.rstrip("/"),
        state=Path(options.state).resolve(),
        runtime=options.runtime,
        name=options.name or socket.gethostname(),
        slots=_number(parser, options.slots, "--slots"),
        enrol_token=_enrol_token(options.enrol_token_file, environ),
        cache_bytes=options.cache_bytes and _number(parser, options.cache_bytes, "--cache-bytes"),
        keep_free_bytes=_number(parser, options.keep_free_bytes, "--keep-free-bytes"),
    )


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX)
        if name not in VARIABLES:
            raise Refused(f"{variable} is not a variable of the agent. Known: {_known()}.")
        given[VARIABLES[name]] = value
    return given


def _known() -> str:
    return ", ".join(PREFIX + name for name in VARIABLES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="talkoot agent",
        description="Take executions from a Talkoot control service and run them here.",
        epilog=f"The enrolment token may also be in {ENROL_VARIABLE}; other options in {_known()}.",
    )
    parser.add_argument("--url", help="the control service, such as https://talkoot.example.org")
    parser.add_argument("--state", help="directory for identity, cache and running attempts")
    parser.add_argument("--runtime", help="docker, or process (no isolation at all)")
    parser.add_argument("--name", help="shown to people (default: the host's name)")
    parser.add_argument("--slots", default="1", help="executions at a time (default 1)")
    parser.add_argument("--enrol-token-file", help="file with the single-use enrolment token")
    parser.add_argument("--cache-bytes", help="quota of the input cache (default: a fifth of disk)")
    parser.add_argument("--keep-free-bytes", default="1000000000", help="disk space left alone")
    return parser


def _number(parser: argparse.ArgumentParser, text: str, option: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < (1 if option == "--slots" else 0):
        parser.error(f"{option} is a whole number")
    return value


def _enrol_token(path: str | None, environ: Mapping[str, str]) -> str | None:
    if path is None:
        return environ.get(ENROL_VARIABLE) or None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except OSError as error:
        raise Refused(f"The enrolment token cannot be read: {error}.") from error


def current_environment() -> Mapping[str, str]:
    """Give the process's variables and forget the enrolment token in them: children inherit."""
    environ = dict(os.environ)
    os.environ.pop(ENROL_VARIABLE, None)
    return environ
