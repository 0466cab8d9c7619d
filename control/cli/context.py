"""What every command shares: settings, a world, and known errors as one plain sentence."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from control.domain.errors import TalkootError
from control.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from control.bootstrap import Wiring

P = ParamSpec("P")
T = TypeVar("T")

host_option = click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
port_option = click.option("--port", default=8000, show_default=True, help="Port.")


class WrongSetting(click.ClickException):
    """A setting is unknown or impossible: wrong use, as a wrong option is."""

    exit_code = 2


def data_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add `--data DIR`; a known error is one sentence and exit status 1, a wrong setting 2."""

    @click.option(
        "--data",
        "data_dir",
        metavar="DIR",
        help="Data directory (default: TALKOOT_DATA, else .talkoot).",
    )
    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            if isinstance(error, SettingsError):
                raise WrongSetting(str(error)) from error
            sentence = _known(error)
            if sentence is None:
                raise
            raise click.ClickException(sentence) from error

    return run


def _known(error: Exception) -> str | None:
    """Put a known error into one sentence; None for any other."""
    if isinstance(error, TalkootError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename or ''}"
    if isinstance(error, click.ClickException):
        return None
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    if isinstance(error, DBAPIError):
        text = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
        return (
            f"The database does not do what is asked: {text}. "
            "Is DATABASE_URL right, and was `talkoot migrate` run?"
        )
    if isinstance(error, SQLAlchemyError):
        return f"DATABASE_URL cannot be used: {error}"
    return None


def settings_of(data_dir: str | None) -> Settings:
    """Read the settings and set up logging."""
    settings = read_settings(data_dir=data_dir)
    configure_logging(settings.log_level)
    return settings


@contextmanager
def wired(data_dir: str | None, *, migrated: bool = True) -> Iterator[Wiring]:
    """Wire the world for one command; checks first that the database is migrated."""
    # Imported here, for `serve` itself needs none of it and should start its children at once.
    from control.bootstrap import build
    from control.database import migrate

    wiring = build(settings_of(data_dir))
    try:
        if migrated:
            migrate.check(wiring.world.database)
        yield wiring
    finally:
        wiring.close()


def configure_logging(level: str) -> None:
    """Log to standard error, one event a line, readable on a terminal and JSON elsewhere."""
    import structlog

    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
