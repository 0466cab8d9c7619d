"""What git and ssh say, as people read it."""

from __future__ import annotations

import pytest

from control.domain.errors import PermanentError, TemporaryError
from control.plugins.git.words import explain, scrub


@pytest.mark.parametrize(
    ("said", "words", "kind"),
    [
        pytest.param(
            "fatal: unable to access 'https://x/': Could not resolve host: x",
            "reached", TemporaryError, id="unknown-host",
        ),
        pytest.param(
            "ssh: Could not resolve hostname x: Name or service not known\r\nfatal: Could not read "
            "from remote repository.",
            "reached", TemporaryError, id="unknown-ssh-host",
        ),
        pytest.param(
            "fatal: unable to access 'https://x/': The requested URL returned error: 503",
            "reached", TemporaryError, id="broken-server",
        ),
        pytest.param(
            "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            "not found", PermanentError, id="github-over-ssh",
        ),
        pytest.param(
            "remote: Repository not found.\nfatal: repository 'https://x/a.git/' not found",
            "not found", PermanentError, id="github-over-https",
        ),
        pytest.param(
            "fatal: Authentication failed for 'https://x/a.git/'",
            "refuses", PermanentError, id="wrong-token",
        ),
        pytest.param(
            "git@x: Permission denied (publickey).", "refuses", PermanentError, id="wrong-key"
        ),
        pytest.param(
            "fatal: could not read Username for 'https://x': terminal prompts disabled",
            "private", PermanentError, id="no-token",
        ),
        pytest.param(
            "No ED25519 host key is known for x and you have requested strict checking.\n"
            "Host key verification failed.",
            "host key has changed", PermanentError, id="other-kind-of-host-key",
        ),
        pytest.param(
            "fatal: transport 'ext' not allowed", "not allowed", PermanentError, id="transport"
        ),
        pytest.param("fatal: No space left on device", "full", TemporaryError, id="full-disk"),
        pytest.param("fatal: bad object abc", "bad object abc", PermanentError, id="unknown"),
        pytest.param("", "no reason", PermanentError, id="silence"),
    ],
)  # fmt: skip
def test_an_error_is_said_in_words(said: str, words: str, kind: type[Exception]) -> None:
    error = explain(said, ())
    assert type(error) is kind
    assert words in str(error)


def test_secrets_are_taken_out_of_what_we_do_not_know() -> None:
    said = "fatal: strange https://ann:s3cret@host/a.git and t0ken"
    shown = str(explain(said, ("t0ken", None)))
    assert "s3cret" not in shown
    assert "t0ken" not in shown
    assert "host/a.git" in shown


def test_a_text_without_secrets_stays_as_it_is() -> None:
    assert scrub("git@host:a and https://host/b@c", ("",)) == "git@host:a and https://host/b@c"
