from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from control.domain.errors import Forbidden, PermanentError, Unauthenticated
from control.plugins.clouds.aws_identity import AwsIdentity
from tests.engines.aws.identity_documents import ACCOUNT, Signer, document, signer

STARTED = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def made(folder: Path, *accounts: str) -> AwsIdentity:
    signer().write_certificate(folder, "eu-west-1")
    return AwsIdentity.from_folder(folder, accounts=frozenset(accounts))


def test_a_signed_document_is_read(tmp_path: Path) -> None:
    text = document("i-1", STARTED)
    identity = made(tmp_path, ACCOUNT).read(text, signer().sign(text))
    assert (identity.cloud, identity.account, identity.region) == ("aws", ACCOUNT, "eu-west-1")
    assert (identity.instance_id, identity.image) == ("i-1", "ami-0123456789abcdef0")
    assert identity.started_at == STARTED


def test_one_changed_byte_is_seen(tmp_path: Path) -> None:
    text = document("i-1", STARTED)
    with pytest.raises(Unauthenticated, match="has not signed"):
        made(tmp_path).read(text.replace("i-1", "i-2"), signer().sign(text))


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64 at all!"])
def test_a_signature_that_is_none_is_refused(tmp_path: Path, signature: str) -> None:
    with pytest.raises(Unauthenticated, match="has not signed"):
        made(tmp_path).read(document("i-1", STARTED), signature)


def test_somebody_elses_signature_is_refused(tmp_path: Path) -> None:
    text = document("i-1", STARTED)
    with pytest.raises(Unauthenticated, match="has not signed"):
        made(tmp_path).read(text, Signer().sign(text))


@pytest.mark.parametrize("text", ["", "[]", "{", "x" * 20_000])
def test_what_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unauthenticated, match="has not signed"):
        made(tmp_path).read(text, signer().sign(text))


def test_another_account_is_refused_where_accounts_are_named(tmp_path: Path) -> None:
    text = document("i-1", STARTED, accountId="999999999999")
    assert made(tmp_path).read(text, signer().sign(text)).account == "999999999999"
    with pytest.raises(Forbidden, match="999999999999 is not one of"):
        made(tmp_path, ACCOUNT).read(text, signer().sign(text))


def test_a_region_without_certificate_is_named(tmp_path: Path) -> None:
    text = document("i-1", STARTED, region="eu-north-1")
    with pytest.raises(PermanentError, match="eu-north-1"):
        made(tmp_path).read(text, signer().sign(text))


def test_a_document_that_lacks_a_field_is_refused(tmp_path: Path) -> None:
    text = document("i-1", STARTED, instanceId=None)
    with pytest.raises(Unauthenticated, match="instanceId"):
        made(tmp_path).read(text, signer().sign(text))


def test_a_folder_without_certificates_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="holds no certificate"):
        AwsIdentity.from_folder(tmp_path, accounts=frozenset())
    (tmp_path / "eu-west-1.pem").write_text("nonsense")
    with pytest.raises(PermanentError, match="cannot be read"):
        AwsIdentity.from_folder(tmp_path, accounts=frozenset())
