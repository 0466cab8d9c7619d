"""What goes wrong between AWS and us is said in a sentence that tells what to do."""

from __future__ import annotations

import socket
import time

import pytest
from botocore.exceptions import ClientError

from control.domain.errors import PermanentError, TemporaryError
from control.plugins.clouds import aws_calls
from control.plugins.clouds.aws import AwsCloud


def refusal(code: str, message: str = "Words of AWS.", status: int = 400) -> ClientError:
    """Make an error as boto3 raises it."""
    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "DescribeInstances")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("RequestLimitExceeded", 503, TemporaryError, "less often"),
        ("Throttling", 400, TemporaryError, "less often"),
        ("Whatever", 429, TemporaryError, "less often"),
        ("InternalError", 500, TemporaryError, "failed by itself"),
        ("AuthFailure", 401, PermanentError, "does not accept these credentials"),
        ("InvalidClientTokenId", 403, PermanentError, "does not accept these credentials"),
        ("SignatureDoesNotMatch", 403, PermanentError, "its clock"),
        ("ExpiredToken", 400, PermanentError, "expired"),
        ("UnauthorizedOperation", 403, PermanentError, "add the right"),
        ("AccessDenied", 403, PermanentError, "docs/clouds/aws.md"),
        ("InvalidParameterValue", 400, PermanentError, "refused to list machines"),
    ],
)
def test_an_error_code_has_its_sentence(
    code: str, status: int, kind: type[Exception], words: str
) -> None:
    error = aws_calls.translated("list machines", refusal(code, status=status))
    assert isinstance(error, kind)
    assert words in error.message


def test_without_credentials_the_sentence_says_where_to_put_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    cloud = AwsCloud.from_url("aws:?endpoint=http://127.0.0.1:9", options={"installation": "x"})
    with pytest.raises(PermanentError, match="no AWS credentials"):
        cloud.instances("eu-west-1")


def test_an_endpoint_that_never_answers_is_given_up_within_thirty_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aws_calls, "READ_S", 0.2)  # the same tries, only quicker
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hidden-secret"}
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"aws:?endpoint=http://127.0.0.1:{deaf.getsockname()[1]}"
        cloud = AwsCloud.from_url(url, options={"installation": "x"} | keys)
        begin = time.monotonic()
        with pytest.raises(TemporaryError, match="does not answer") as caught:
            cloud.instances("eu-west-1")
        assert time.monotonic() - begin < 10
    assert "hidden-secret" not in str(caught.value)
    assert aws_calls.TRIES * (aws_calls.CONNECT_S + 6) + 3 < 30  # what it is in life


def test_without_boto3_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    cloud = AwsCloud.from_url("aws:", options={"installation": "x"})
    monkeypatch.setattr(aws_calls.importlib, "import_module", missing)
    with pytest.raises(PermanentError, match=r"pip install 'talkoot\[aws\]'"):
        cloud.check()
