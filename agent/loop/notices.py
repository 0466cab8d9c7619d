"""Asks the cloud, every few seconds, whether it wants this machine back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from agent.instance import AwsInstance, NoMetadata

EVERY_S = 5.0
"""As AWS recommends for the notice that comes two minutes before the end."""

log = logging.getLogger(__name__)


class Notices(threading.Thread):
    """Calls `on_notice` once, with the time as the cloud writes it."""

    def __init__(self, instance: AwsInstance, on_notice: Callable[[str], None]) -> None:
        super().__init__(name="notices", daemon=True)
        self._instance = instance
        self._on_notice = on_notice
        self._is_over = threading.Event()

    def end(self) -> None:
        self._is_over.set()

    def run(self) -> None:
        while True:
            try:
                at = self._instance.reclaim_at()
            except NoMetadata as error:
                log.info("no answer about a reclaim: %s", error)
            else:
                if at:
                    self._on_notice(at)
                    return
            if self._is_over.wait(EVERY_S):
                return
