"""`talkoot doctor`: checks every outside part and says what to do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import click
import docker
from docker.errors import DockerException
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from control.bootstrap import Wiring, build, make_engine
from control.cli.context import data_option, settings_of
from control.database import migrate
from control.domain.errors import TalkootError

FREE_BYTES = 2 * 1024**3
_ENGINE_ADVICE = (
    "Install the Pulumi CLI on PATH, and the extra of your cloud: `pip install talkoot[aws]`."
)
_STATE_ADVICE = "Name in PULUMI_BACKEND_URL where people keep the state, and give access to it."
_PLUGIN_ADVICE = (
    "Install the provider of each cloud, of the version of its Python package: "
    "`pulumi plugin install resource aws VERSION`."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One part: whether it is well, what was found, and what to do if not."""

    part: str
    is_well: bool
    found: str
    advice: str = ""
    is_needed: bool = True


@click.command()
@data_option
def doctor(data_dir: str | None) -> None:
    """Check every outside part and say what to do; exit status 1 if one is ill."""
    settings = settings_of(data_dir)
    if not settings.data_dir.is_dir():
        raise click.ClickException(
            f"There is no data directory {settings.data_dir}: `talkoot serve` makes one, "
            "or name yours with --data."
        )
    wiring = build(settings)
    is_well = True
    try:
        for finding in examine(wiring):
            mark = "ok  " if finding.is_well else ("FAIL" if finding.is_needed else "note")
            click.echo(f"{mark}  {finding.part:<16} {finding.found}")
            if not finding.is_well and finding.advice:
                click.echo(f"      {'':<16} → {finding.advice}")
            is_well = is_well and (finding.is_well or not finding.is_needed)
    finally:
        wiring.close()
    if not is_well:
        raise SystemExit(1)


def examine(wiring: Wiring) -> Iterator[Finding]:
    """Look at each part in turn; never raises for a part that is ill."""
    settings = wiring.settings
    yield Finding("data directory", True, str(settings.data_dir))
    yield _disk(wiring)
    yield _database(wiring)
    yield _queue(wiring)
    for name, store in (
        ("store", wiring.world.store),
        ("code store", wiring.world.code_store),
        ("log store", wiring.world.log_store),
    ):
        yield _asked(
            name,
            lambda store=store: (store.check(), store.uri_prefix)[1],
            "Check STORE_URL and the store's credentials: it must take, give and delete an object.",
        )
    yield _pages(wiring)
    yield _git()
    if settings.infra_repo:
        yield from _infra(wiring)
    yield _engine()


def _asked(part: str, ask: Callable[[], str], advice: str) -> Finding:
    try:
        return Finding(part, True, ask())
    except TalkootError as error:
        return Finding(part, False, error.message, advice)
    except OSError as error:
        return Finding(part, False, str(error), advice)


def _disk(wiring: Wiring) -> Finding:
    free = shutil.disk_usage(wiring.settings.data_dir).free
    found = f"{free / 1024**3:.1f} GiB free"
    return Finding("disk", free > FREE_BYTES, found, "Free some disk space: 2 GiB at least.")


def _database(wiring: Wiring) -> Finding:
    database = wiring.world.database
    try:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
        migrate.check(database)
    except TalkootError as error:
        return Finding("database", False, error.message)
    except SQLAlchemyError as error:
        found = str(error).splitlines()[0]
        return Finding("database", False, found, "Start the database or mend DATABASE_URL.")
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    return Finding("database", True, f"{kind}, at revision {migrate.head()}")


def _queue(wiring: Wiring) -> Finding:
    advice = "Start the queue server or mend QUEUE_URL."
    if wiring.settings.queue_is_private:
        advice = "`talkoot serve` starts it; nothing to do while Talkoot is not running."
    found = _asked("queue", wiring.world.queue.check, advice)
    return Finding(
        found.part,
        found.is_well,
        found.found,
        found.advice,
        is_needed=not wiring.settings.queue_is_private,
    )


def _pages(wiring: Wiring) -> Finding:
    """Check whether browsers may send files to the store; the rest of Talkoot works without."""
    if wiring.settings.public_url is None:
        found = "not checked: TALKOOT_PUBLIC_URL is not set"
        is_well = wiring.world.store.uri_prefix.startswith("file:")
        return Finding("page uploads", is_well, "allowed" if is_well else found, is_needed=False)
    parts = urlsplit(wiring.settings.public_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    advice = (
        "Give the bucket a CORS rule for this origin: docs/settings.md shows it "
        "(webOrigin of the base stack, where a stack made the bucket)."
    )
    found = _asked(
        "page uploads", lambda: (wiring.world.store.check_pages(origin), "allowed")[1], advice
    )
    return replace(found, is_needed=False)


def _git() -> Finding:
    program = shutil.which("git")
    if program is None:
        return Finding("git", False, "not found", "Install git: `apt-get install git`.")
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
    return Finding("git", answer.returncode == 0, answer.stdout.strip())


def _infra(wiring: Wiring) -> Iterator[Finding]:
    """Check what `talkoot infra` needs; not asked for where no repository of stacks is named."""
    engine = make_engine(wiring.settings)
    try:
        yield _asked(
            "stacks",
            lambda: f"commit {engine.pull()[:12]}",
            "TALKOOT_INFRA_REPO must be a repository that this user can read with git.",
        )
        for part, ask, advice in (
            ("stack engine", lambda: engine.check()["engine"], _ENGINE_ADVICE),
            ("stacks' state", lambda: engine.check().get("state", "well"), _STATE_ADVICE),
        ):
            yield _asked(part, ask, advice)
        yield _asked("plug-ins", lambda: ", ".join(engine.plugins()) or "none", _PLUGIN_ADVICE)
    finally:
        engine.close()


def _engine() -> Finding:
    advice = (
        "Install a container engine (`apt-get install docker.io`) to run steps in their images; "
        "without one, `--runtime process` runs them on this machine with no isolation."
    )
    try:
        client = docker.from_env(timeout=5)
        found = f"Docker {client.version()['Version']}"
        client.close()
    except (DockerException, OSError):
        return Finding("container engine", False, "does not answer", advice, is_needed=False)
    return Finding("container engine", True, found)
