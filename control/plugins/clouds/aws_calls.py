"""How we call AWS: one client a service and region, time-outs, and errors in words for people."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from control.domain.errors import PermanentError, TemporaryError

TRIES = 3
CONNECT_S = 2
READ_S = 6
"""Three tries of eight seconds and the pauses between them stay under the port's 30 s."""

_THROTTLES = {
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException",
    "PriorRequestNotComplete", "RequestLimitExceeded", "RequestThrottled",
    "RequestThrottledException", "SlowDown", "Throttling", "ThrottledException",
    "ThrottlingException", "TooManyRequestsException",
}  # fmt: skip
_UNKNOWN_CALLER = {
    "AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
    "MissingAuthenticationToken", "NotAuthorized", "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}  # fmt: skip
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_FORBIDDEN = {
    "AccessDenied", "AccessDeniedException", "AuthorizationError", "Blocked", "OptInRequired",
    "PendingVerification", "UnauthorizedOperation",
}  # fmt: skip


class Clients:
    """Makes and keeps boto3's clients. Credentials come by boto3's own chain."""

    def __init__(self, endpoint: str | None, keys: Mapping[str, str]) -> None:
        self._endpoint = endpoint
        self._keys = dict(keys)  # of a test; else empty
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()  # sessions are not safe among threads; clients are
        self._session: Any = None

    def of(self, service: str, region: str) -> Any:
        """Give the client of a service in a region."""
        with self._lock:
            if (service, region) not in self._made:
                self._made[service, region] = self._make(service, region)
            return self._made[service, region]

    def _make(self, service: str, region: str) -> Any:
        boto3, config = _libraries()
        if self._session is None:
            self._session = boto3.session.Session(**self._keys)
        return self._session.client(
            service,
            region_name=region,
            endpoint_url=self._endpoint,
            config=config.Config(
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
                retries={"mode": "standard", "total_max_attempts": TRIES},
                user_agent_extra="talkoot",
            ),
        )


def _libraries() -> tuple[Any, Any]:
    """Load boto3, which only an installation that uses AWS has."""
    try:
        return importlib.import_module("boto3"), importlib.import_module("botocore.config")
    except ImportError as error:
        raise PermanentError(
            "The AWS library is not installed: run `pip install 'talkoot[aws]'`."
        ) from error


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an error of AWS into one of ours; `what` says what we wanted, as in "list machines"."""
    _libraries()
    errors = importlib.import_module("botocore.exceptions")
    try:
        yield
    except errors.ClientError as error:
        raise translated(what, error) from error
    except (errors.NoCredentialsError, errors.PartialCredentialsError) as error:
        raise PermanentError(
            "There are no AWS credentials here: give the machine a role, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    except errors.CredentialRetrievalError as error:
        raise TemporaryError(
            f"AWS credentials could not be fetched to {what}: is the role's service there?", 30.0
        ) from error
    except (errors.HTTPClientError, errors.ConnectionError) as error:
        raise TemporaryError(f"AWS does not answer; Talkoot wanted to {what}.", 5.0) from error
    except errors.BotoCoreError as error:
        raise PermanentError(f"AWS cannot be asked to {what}: {error}") from error


def translated(what: str, error: Any) -> TemporaryError | PermanentError:
    """Say an answer of AWS that is an error in a sentence that tells what to do."""
    code, message, status = code_of(error), message_of(error), status_of(error)
    if code in _THROTTLES or status == 429:
        return TemporaryError(f"AWS asks us to call less often; Talkoot wanted to {what}.", 10.0)
    if code in _EXPIRED:
        return PermanentError(
            f"The AWS credentials have expired ({code}): renew them, or give the machine a role."
        )
    if code in _UNKNOWN_CALLER:
        return PermanentError(
            f"AWS does not accept these credentials ({code}): check AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or the machine's role, and its clock."
        )
    if code in _FORBIDDEN:
        return PermanentError(
            f"AWS does not allow these credentials to {what} ({code}): add the right to the "
            f"role, as docs/clouds/aws.md lists. {message}"
        )
    if status >= 500:
        return TemporaryError(f"AWS failed by itself ({code}); Talkoot wanted to {what}.", 10.0)
    return PermanentError(f"AWS refused to {what} ({code}): {message}")


def code_of(error: Any) -> str:
    """Give AWS's error code, such as InvalidInstanceID.NotFound."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: Any) -> str:
    """Give AWS's own words."""
    return str(error.response.get("Error", {}).get("Message", ""))


def status_of(error: Any) -> int:
    """Give the HTTP status; 0 when there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
