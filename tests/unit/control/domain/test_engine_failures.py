"""The engine's and the clouds' words: their class, the lock's holder, the line that is shown."""

from __future__ import annotations

import pytest

from control.domain.cloud_ports import FailureClass as Kind
from control.domain.engine_failures import StackLock, classify, headline, locked_sentence, locks_of

LOCKED = """\
 code: 255
 stdout:
 stderr: error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) \
to end or delete the lock file with `pulumi cancel`.
  file:///state/.pulumi/locks/organization/talkoot/prod-aws-eu-west-1-wg-gpu/d04f.json\
?no_tmp_dir=true: created by maija@ops-1 (pid 7015) at 2026-11-27T10:08:36Z
"""


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("creating instance: InsufficientInstanceCapacity: no g5 in eu-west-1a", Kind.CAPACITY),
        ("SpotMaxPriceTooLow: Your Spot request price is lower", Kind.CAPACITY),
        ("Code: ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", Kind.CAPACITY),
        ('Code="ZonalAllocationFailed" Message="Allocation failed."', Kind.CAPACITY),
        ("No valid host was found. There are not enough hosts available.", Kind.CAPACITY),
        ("VcpuLimitExceeded: You have requested more vCPU capacity", Kind.QUOTA),
        ('Code="OperationNotAllowed" … exceeding approved standardNCFamily Quota', Kind.QUOTA),
        ("Quota exceeded for cores: Requested 4, but already used 20 of 20 cores", Kind.QUOTA),
        ("googleapi: Error 403: QUOTA_EXCEEDED", Kind.QUOTA),
        ("RequestLimitExceeded: Request limit exceeded.", Kind.THROTTLE),
        ("api error Throttling: Rate exceeded", Kind.THROTTLE),
        ("googleapi: Error 429: rateLimitExceeded", Kind.THROTTLE),
        ("InvalidClientTokenId: The security token included in the request", Kind.CREDENTIALS),
        ("No valid credential sources found.", Kind.CREDENTIALS),
        ("UnauthorizedOperation: You are not authorized", Kind.CREDENTIALS),
        ("AADSTS7000215: Invalid client secret provided", Kind.CREDENTIALS),
        ("error: could not decrypt: incorrect passphrase", Kind.CREDENTIALS),
        ("InvalidAMIID.NotFound: The image id '[ami-1]' does not exist", Kind.CONFIGURATION),
        ("ValidationError: Invalid IamInstanceProfile", Kind.CONFIGURATION),
        ("Missing required configuration variable 'talkoot:image'", Kind.CONFIGURATION),
        ("error: Program failed with an unhandled exception:", Kind.CONFIGURATION),
        ("no resource plugin 'pulumi-resource-aws' found", Kind.CONFIGURATION),
        ("the moon is in the wrong place", None),
        ("connection reset by peer", None),
    ],
)
def test_words_have_a_class(words: str, kind: Kind | None) -> None:
    assert classify(words) is kind


def test_the_holder_of_a_lock_is_named() -> None:
    lock = StackLock("maija", "ops-1", 7015, "2026-11-27T10:08:36Z")
    assert locks_of(LOCKED) == [lock]
    assert "maija@ops-1 (process 7015)" in locked_sentence(LOCKED)
    assert "another update" in locked_sentence("[409] Conflict")


@pytest.mark.parametrize(
    ("errors", "shown"),
    [
        (["error: update failed", "error: image: InvalidAMIID"], "image: InvalidAMIID"),
        (
            ["error: an unhandled error occurred: Program exited", "ValueError: min > max"],
            "ValueError: min > max",
        ),
        (
            ["Traceback (most recent call last):\n  File \"x\"\nKeyError: 'a'\n"],
            "KeyError: 'a'",
        ),
        ([], "the last word"),
    ],
)
def test_the_first_line_that_says_something_is_shown(errors: list[str], shown: str) -> None:
    assert headline(errors, "the last word") == shown
