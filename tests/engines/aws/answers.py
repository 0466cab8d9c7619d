"""Amazon's refusals in the four ways its services write them."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/")
_ids = itertools.count(1)


@dataclass(frozen=True)
class Call:
    """One request as the services read it."""

    service: str
    region: str
    operation: str  # as boto3 names it where the protocol tells, else METHOD /path
    key: str  # the access key; "" when the request is not signed
    protocol: str  # ec2, query, json, rest
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def is_refusal(self) -> bool:
        return self.status >= 400


def read(environ: dict[str, Any], body: bytes) -> Call:
    """Take a request apart."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = scope["service"] if scope else "s3"
    key, region = (scope["key"], scope["region"]) if scope else ("", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        parameters = json.loads(body or b"{}")
        return Call(service, region, target.rpartition(".")[2], key, "json", parameters)
    if "form" in environ.get("CONTENT_TYPE", ""):
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        protocol = "ec2" if service == "ec2" else "query"
        return Call(service, region, form.pop("Action", ""), key, protocol, form)
    operation = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
    return Call(service, region, operation, key, "rest", {})


def refuse(call: Call, code: str, message: str, status: int = 400) -> Answer:
    """Write a refusal as this call's service would."""
    request = f"{next(_ids):08x}-0000-0000-0000-000000000000"
    said = escape(message)
    if call.protocol == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{said}</Message></Error>"
            f"</Errors><RequestID>{request}</RequestID></Response>"
        )
    elif call.protocol == "query":
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
            f"<Message>{said}</Message></Error><RequestId>{request}</RequestId></ErrorResponse>"
        )
    elif call.service == "s3":
        body = f"<Error><Code>{code}</Code><Message>{said}</Message></Error>"
    else:
        return _json(code, message, status, request)
    headers = [("Content-Type", "text/xml"), ("x-amzn-RequestId", request)]
    return Answer(status, headers, f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode())


def _json(code: str, message: str, status: int, request: str) -> Answer:
    headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("x-amzn-ErrorType", code),
        ("x-amzn-RequestId", request),
    ]
    return Answer(status, headers, json.dumps({"__type": code, "message": message}).encode())


def wrong_keys(call: Call) -> Answer:
    """Refuse the access key."""
    if call.protocol == "ec2":
        said = "AWS was not able to validate the provided access credentials"
        return refuse(call, "AuthFailure", said, 401)
    if call.service == "s3":
        said = "The AWS Access Key Id you provided does not exist in our records."
        return refuse(call, "InvalidAccessKeyId", said, 403)
    said = "The security token included in the request is invalid."
    code = "InvalidClientTokenId" if call.protocol == "query" else "UnrecognizedClientException"
    return refuse(call, code, said, 403)


def no_right(call: Call) -> Answer:
    who = "arn:aws:iam::123456789012:user/talkoot"
    if call.protocol == "ec2":
        said = f"You are not authorized to perform this operation. User: {who} is not authorized "
        said += f"to perform: ec2:{call.operation}"
        return refuse(call, "UnauthorizedOperation", said, 403)
    said = f"User: {who} is not authorized to perform: {call.service}:{call.operation}"
    code = "AccessDenied" if call.protocol == "query" else "AccessDeniedException"
    return refuse(call, code, said, 403)


def too_many(call: Call) -> Answer:
    if call.protocol == "ec2":
        return refuse(call, "RequestLimitExceeded", "Request limit exceeded.", 503)
    if call.protocol == "query":
        return refuse(call, "Throttling", "Rate exceeded", 400)
    return refuse(call, "ThrottlingException", "Rate exceeded", 400)


_EMPTY = {"DescribeInstances": "<reservationSet/>"}
_EMPTY_RESULTS = {
    "DescribeAutoScalingGroups": "<AutoScalingGroups/>",
    "DescribeAutoScalingInstances": "<AutoScalingInstances/>",
    "DescribeScalingActivities": "<Activities/>",
}


def nothing(call: Call) -> Answer | None:
    """Write a list with nothing in it; None for an operation that is not a list."""
    name = call.operation
    if name in _EMPTY:
        body = f"<{name}Response><requestId>0</requestId>{_EMPTY[name]}</{name}Response>"
    elif name in _EMPTY_RESULTS:
        body = (
            f"<{name}Response><{name}Result>{_EMPTY_RESULTS[name]}</{name}Result></{name}Response>"
        )
    else:
        return None
    return Answer(200, [("Content-Type", "text/xml")], body.encode())
