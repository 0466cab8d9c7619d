"""Our signature is the one that Amazon's own library makes."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config

from control.plugins.stores.presign import Credentials, Presigner

ENDPOINT = "http://127.0.0.1:9000"


@pytest.mark.parametrize("token", [None, "session/token+=="])
@pytest.mark.parametrize("file_name", [None, "ä report (1).pdf"])
def test_a_download_is_signed_as_botocore_signs_it(
    token: str | None, file_name: str | None
) -> None:
    parameters = {"Bucket": "bucket", "Key": "some/key.txt"}
    if file_name:
        parameters["ResponseContentDisposition"] = (
            "attachment; filename*=UTF-8''%C3%A4%20report%20%281%29.pdf"
        )
    theirs = _theirs("get_object", parameters, token)
    presigner = _presigner(token, theirs)
    ours = presigner.sign("GET", "some/key.txt", ttl_s=60, file_name=file_name)
    assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)


def test_an_upload_is_signed_with_its_size_as_botocore_signs_it() -> None:
    theirs = _theirs("put_object", {"Bucket": "bucket", "Key": "a b/c", "ContentLength": 7}, None)
    ours = _presigner(None, theirs).sign("PUT", "a b/c", ttl_s=60, headers={"Content-Length": "7"})
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)


def test_a_secret_is_not_shown() -> None:
    shown = repr(Credentials("AKIA", "hidden-secret", "hidden-token"))
    assert "hidden" not in shown


def _theirs(verb: str, parameters: Mapping[str, object], token: str | None) -> str:
    client = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret",
        aws_session_token=token,
        region_name="eu-north-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    try:
        return client.generate_presigned_url(verb, Params=parameters, ExpiresIn=60)
    finally:
        client.close()


def _presigner(token: str | None, theirs: str) -> Presigner:
    stamp = parse_qs(urlsplit(theirs).query)["X-Amz-Date"][0]
    moment = time.strptime(f"{stamp}+0000", "%Y%m%dT%H%M%SZ%z")
    now = float(calendar.timegm(moment))
    credentials = Credentials("AKIATEST", "secret", token)
    return Presigner(ENDPOINT, "bucket", "eu-north-1", credentials, clock=lambda: now)
