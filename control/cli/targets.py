"""What the WSGI server builds in each of its worker processes."""

from __future__ import annotations

import gc
from typing import Any

from control.app import create_app
from control.bootstrap import build
from control.cli.children import die_with_parent
from control.cli.context import configure_logging
from control.settings import read_settings


def wsgi() -> Any:
    """Build the Flask application from the environment."""
    die_with_parent()
    settings = read_settings()
    configure_logging(settings.log_level)
    app = create_app(build(settings))
    gc.collect()
    gc.freeze()  # what lives as long as the process is not looked through again and again
    return app
