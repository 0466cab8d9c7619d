"""The agent's settings, read once from the command line and the environment."""

from __future__ import annotations

import argparse
import os
import shlex
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.phases.failures import Refused, WrongUse

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
    "CA_FILE": "ca_file",
    "IDENTITY": "identity",
    "GROUP": "group",
    "POWER_OFF_COMMAND": "power_off_command",
    "ORPHAN_TIMEOUT": "orphan_timeout",
    "UPDATE_COMMAND": "update_command",
    "IMDS_URL": "imds_url",
}
"""TALKOOT_AGENT_<name> to the option that it stands for."""

ENROL_VARIABLE = "TALKOOT_ENROL_TOKEN"


IMDS_URL = "http://169.254.169.254"

CLOUDS = ("aws",)

MACHINE_OPTIONS = (
    ("--identity", "", "join by the word of this cloud: aws"),
    ("--group", "", "the worker group of this machine"),
    ("--power-off-command", "", "run when nobody wants the machine any more"),
    ("--orphan-timeout", "1800", "seconds of silence before that"),
    ("--update-command", "", "brings another release in place; a version is added"),
    ("--imds-url", IMDS_URL, "another metadata service, only for tests"),
)


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """What only a machine of a cloud is told, by its user data."""

    identity: str = ""  # the cloud whose word lets the machine join; "": an enrolment token
    group: str = ""
    power_off_command: tuple[str, ...] = ()  # (): never powers the machine off
    orphan_timeout_s: float = 1800.0
    update_command: tuple[str, ...] = ()  # takes a version; (): stays what it is
    imds_url: str = IMDS_URL  # of another one only in tests


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
    ca_file: str | None = None  # trusted for the control service, beside the system's
    machine: MachineSettings = MachineSettings()


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
        ca_file=options.ca_file,
        machine=_machine(parser, options),
    )


def _machine(parser: argparse.ArgumentParser, options: argparse.Namespace) -> MachineSettings:
    if options.identity and options.identity not in CLOUDS:
        parser.error(f"--identity is one of: {', '.join(CLOUDS)}")
    if options.identity and not options.group:
        parser.error("--identity needs --group")
    return MachineSettings(
        identity=options.identity,
        group=options.group,
        power_off_command=tuple(shlex.split(options.power_off_command)),
        orphan_timeout_s=float(_number(parser, options.orphan_timeout, "--orphan-timeout")),
        update_command=tuple(shlex.split(options.update_command)),
        imds_url=options.imds_url,
    )


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX)
        if name not in VARIABLES:
            raise WrongUse(f"{variable} is not a variable of the agent. Known: {_known()}.")
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
    parser.add_argument("--ca-file", help="CA of the control service, if it is not a public one")
    group = parser.add_argument_group("machines of a cloud", "set by their user data")
    for option, default, meaning in MACHINE_OPTIONS:
        group.add_argument(option, default=default, help=meaning)
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
        why = error.strerror or "it is no text file"
        raise Refused(f"The enrolment token in {path} cannot be read: {why}.") from error


def current_environment() -> Mapping[str, str]:
    """Give the process's variables and forget the enrolment token in them: children inherit."""
    environ = dict(os.environ)
    os.environ.pop(ENROL_VARIABLE, None)
    return environ
