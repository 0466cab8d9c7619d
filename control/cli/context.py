"""What every command shares: settings, a world, and known errors as one plain sentence."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from control.bootstrap import Wiring, build
from control.database import migrate
from control.domain.errors import TalkootError
from control.settings import Settings, SettingsError, read_settings

P = ParamSpec("P")
T = TypeVar("T")


def data_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add `--data DIR`, and turn known errors into one sentence and exit status 1."""

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
        except (TalkootError, SettingsError) as error:
            raise click.ClickException(str(error)) from error
        except DBAPIError as error:
            text = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
            raise click.ClickException(
                f"The database does not do what is asked: {text}. "
                "Is DATABASE_URL right, and was `talkoot migrate` run?"
            ) from error
        except SQLAlchemyError as error:
            raise click.ClickException(f"DATABASE_URL cannot be used: {error}") from error
        except OSError as error:
            raise click.ClickException(f"{error.strerror}: {error.filename or ''}") from error

    return run


def settings_of(data_dir: str | None) -> Settings:
    """Read the settings and set up logging."""
    settings = read_settings(data_dir=data_dir)
    configure_logging(settings.log_level)
    return settings


@contextmanager
def wired(data_dir: str | None, *, migrated: bool = True) -> Iterator[Wiring]:
    """Wire the world for one command; checks first that the database is migrated."""
    wiring = build(settings_of(data_dir))
    try:
        if migrated:
            migrate.check(wiring.world.database)
        yield wiring
    finally:
        wiring.close()


def configure_logging(level: str) -> None:
    """Log to standard error, one event a line, readable on a terminal and JSON elsewhere."""
    number = getattr(logging, level.upper(), None)
    if not isinstance(number, int):
        raise SettingsError("TALKOOT_LOG_LEVEL is debug, info, warning or error.")
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
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
