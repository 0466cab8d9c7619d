"""How one attempt speaks to the control service: repeat until answered, hear orders, be fenced."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from agent import wire
from agent.client import AttemptClient, LogGap, Rejected, Unreachable, until_answered
from agent.phases.failures import Fenced, PhaseFailed

T = TypeVar("T")

GONE = (401, 403, 404, 410)
"""Answers that mean the same as fenced: this claim opens nothing any more."""

log = logging.getLogger(__name__)


class AttemptControl:
    """Wraps AttemptClient; `on_order` hears the action in every answer that carries one."""

    def __init__(self, client: AttemptClient, on_order: Callable[[str, str], None]) -> None:
        self.client = client
        self._on_order = on_order
        self.fenced = threading.Event()

    def until_answered(self, send: Callable[[], T]) -> T:
        """Repeat for ever. Raises Fenced; Rejected where the message itself is wrong."""
        if self.fenced.is_set():
            raise Fenced("The attempt belongs to nobody any more")
        try:
            answer = until_answered(send, give_up=self.fenced)
        except Fenced:
            self.fenced.set()
            raise
        except Unreachable as error:  # only when fenced meanwhile
            raise Fenced(str(error)) from error
        except Rejected as error:
            if error.status not in GONE:
                raise
            self.fenced.set()
            raise Fenced(str(error)) from error
        if isinstance(answer, wire.Receipt | wire.LogReceipt):
            self._on_order(answer.action, answer.reason)
        return answer

    def report_phases(self, reports: wire.PhaseReports) -> None:
        self.until_answered(lambda: self.client.report_phases(reports))

    def send_log(self, first: int, count: int, block: bytes) -> wire.LogReceipt | int:
        try:
            return self.until_answered(lambda: self.client.send_log(first, count, block))
        except LogGap as gap:
            return gap.expected

    def send_points(self, report: wire.MetadataReport) -> None:
        try:
            self.until_answered(lambda: self.client.send_points(report))
        except Rejected:
            # Points that the control service cannot take must not end the step.
            log.exception("metadata was refused")

    def fetch_inputs(self) -> tuple[wire.InputSpec, ...]:
        return self.until_answered(self.client.fetch_inputs)

    def offer_outputs(self, offer: wire.OutputsOffer) -> tuple[wire.Upload, ...]:
        return self._for_output(lambda: self.client.offer_outputs(offer))

    def confirm_output(self, datum_id: str, stored: wire.OutputStored) -> Any:
        return self._for_output(lambda: self.client.confirm_output(datum_id, stored))

    def _for_output(self, send: Callable[[], T]) -> T:
        """Let a refusal be the failure of that output, not of the agent."""
        try:
            return self.until_answered(send)
        except Rejected as error:
            raise PhaseFailed("output_upload_failed", error.detail or str(error)) from error

    def finish(self, finish: wire.Finish) -> wire.Receipt:
        return self.until_answered(lambda: self.client.finish(finish))
