"""The filter bar of a list of executions: the URL is the state (web.md, rule 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from control.domain.executions import ExecutionQuery
from control.web.presenters.status import FILTERS

PAGE = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What was asked for; empty means: not filtered."""

    statuses: tuple[str, ...]  # keys of FILTERS
    step: str
    environment: str
    creator: str  # a user's id as text
    tag: str
    text: str
    before: int | None
    metrics: tuple[str, ...]  # columns that were chosen

    @property
    def is_any(self) -> bool:
        """Say whether anything is filtered; an older page is not a filter."""
        return bool(
            self.statuses or self.step or self.environment or self.creator or self.tag or self.text
        )

    def query(self, project_id: str) -> ExecutionQuery:
        """Ask the service for one more than a page: whether there is an older one."""
        return ExecutionQuery(
            project_id=project_id,
            statuses=tuple(status for key in self.statuses for status in FILTERS[key][1]),
            creator_id=int(self.creator) if self.creator else None,
            step=self.step or None,
            environment=self.environment or None,
            tag=self.tag or None,
            text=self.text or None,
            before_counter=self.before,
            limit=PAGE + 1,
        )

    def url(self, path: str, **changes: Any) -> str:
        """Write the address of this state with changes, without what is empty."""
        state = {
            "status": self.statuses,
            "step": self.step,
            "environment": self.environment,
            "creator": self.creator,
            "tag": self.tag,
            "q": self.text,
            "metric": self.metrics,
            "before": self.before,
            **changes,
        }
        text = urlencode({key: value for key, value in state.items() if value}, doseq=True)
        return f"{path}?{text}" if text else path


def read_filters(args: Mapping[str, str], many: Any) -> Filters:
    """Read the query of a URL; what makes no sense is left out. `many` answers all of a name."""
    before, creator = args.get("before", ""), args.get("creator", "")
    return Filters(
        statuses=tuple(key for key in FILTERS if key in many("status")),
        step=args.get("step", "").strip(),
        environment=args.get("environment", "").strip(),
        creator=creator if creator.isdecimal() and len(creator) < 10 else "",
        tag=args.get("tag", "").strip(),
        text=args.get("q", "").strip(),
        before=int(before) if before.isdecimal() and len(before) < 10 else None,
        metrics=tuple(dict.fromkeys(many("metric")))[:6],
    )
