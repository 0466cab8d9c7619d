from __future__ import annotations

import pytest

from agent.phases.machine_end import Contact, reason_to_end


@pytest.mark.parametrize(
    ("contact", "now", "is_busy", "word"),
    [
        (Contact(100.0, 900.0), 999.9, False, None),
        (Contact(100.0, 900.0), 1000.0, False, "keep-alive"),
        (Contact(100.0, 900.0), 5000.0, True, None),
        (Contact(100.0, None), 1899.9, False, None),
        (Contact(100.0, None), 1900.0, False, "not heard of"),
        (Contact(100.0, 7200.0), 1900.0, False, "not heard of"),
        (Contact(100.0, 0.0), 100.0, False, "keep-alive"),
    ],
)
def test_an_idle_machine_ends_when_its_grant_has_passed_or_nobody_answers(
    contact: Contact, now: float, is_busy: bool, word: str | None
) -> None:
    reason = reason_to_end(contact, now, orphan_timeout_s=1800.0, is_busy=is_busy)
    assert (reason is None) if word is None else (word in str(reason))
