from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy import select, update

from control.database.tables.worker_groups import agent_releases, signing_keys
from control.domain.errors import Conflict, Invalid, NotFound, PermanentError
from control.services import releases
from control.services.sealing import SecretBox
from tests.factories import Scene


class Release:
    """A file with its manifest, as `talkoot release build` leaves them."""

    def __init__(self, folder: Path, version: str, body: bytes = b"agent", **told: Any) -> None:
        self.file = folder / f"talkoot-agent-{version}.tar.gz"
        self.file.write_bytes(body)
        self.manifest = json.dumps(
            {
                "name": "talkoot-agent",
                "version": version,
                "protocol": 1,
                "sha256": hashlib.sha256(body).hexdigest(),
                "size_bytes": len(body),
            }
            | told
        )


def publish(scene: Scene, release: Release) -> Any:
    return releases.publish(scene.world, release.manifest, release.file, scene.later(1))


def key_of(scene: Scene) -> Ed25519PublicKey:
    key = load_der_public_key(base64.b64decode(releases.public_key(scene.world, scene.now)))
    assert isinstance(key, Ed25519PublicKey)
    return key


def test_a_published_release_is_offered_with_a_signature_that_holds(
    scene: Scene, tmp_path: Path
) -> None:
    release = Release(tmp_path, "0.2.0")
    publish(scene, release)
    releases.set_channel(scene.world, "stable", "0.2.0", scene.later(1))
    offer = releases.offer(scene.world, channel="stable")
    assert offer.version == "0.2.0"
    assert offer.manifest == release.manifest
    key_of(scene).verify(base64.b64decode(offer.signature), offer.manifest.encode())
    with pytest.raises(InvalidSignature):
        key_of(scene).verify(base64.b64decode(offer.signature), b"another manifest")
    assert scene.world.release_store.get("releases/0.2.0/talkoot-agent-0.2.0.tar.gz") == b"agent"


def test_the_signing_key_stays_and_is_sealed(scene: Scene) -> None:
    first = releases.public_key(scene.world, scene.now)
    assert releases.public_key(scene.world, scene.later(60)) == first
    with scene.world.database.read() as connection:
        row = connection.execute(select(signing_keys)).one()
    assert row.public == first
    assert scene.world.box.open(row.sealed, purpose="agent-release") not in row.sealed
    other = replace(scene.world, box=SecretBox(b"x" * 32))
    with pytest.raises(PermanentError, match="installation's key file"):
        releases.public_key(other, scene.now)


def test_the_same_release_again_changes_nothing_and_other_bytes_are_refused(
    scene: Scene, tmp_path: Path
) -> None:
    first = publish(scene, Release(tmp_path, "0.2.0"))
    assert publish(scene, Release(tmp_path, "0.2.0")).ctime == first.ctime
    with pytest.raises(Conflict, match="other bytes"):
        publish(scene, Release(tmp_path, "0.2.0", b"another agent"))


def test_a_release_of_another_protocol_is_refused_with_words(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="speaks protocol 7, this control service 1"):
        publish(scene, Release(tmp_path, "0.2.0", protocol=7))


def test_a_release_that_became_too_old_is_neither_offered_nor_chosen(
    scene: Scene, tmp_path: Path
) -> None:
    publish(scene, Release(tmp_path, "0.2.0"))
    scene.world.database.write(
        lambda connection: connection.execute(update(agent_releases).values(protocol=0)) and None
    )
    with pytest.raises(Conflict, match="protocol 0"):
        releases.offer(scene.world, version="0.2.0")
    with pytest.raises(Conflict, match="protocol 0"):
        releases.set_channel(scene.world, "stable", "0.2.0", scene.later(1))


@pytest.mark.parametrize("told", [{"sha256": "0" * 64}, {"size_bytes": 4}])
def test_a_file_that_is_not_the_manifests_is_refused(
    scene: Scene, tmp_path: Path, told: dict[str, Any]
) -> None:
    with pytest.raises(Invalid, match="not the file that its manifest describes"):
        publish(scene, Release(tmp_path, "0.2.0", **told))


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"version": "1"}'])
def test_what_is_no_manifest_is_refused(scene: Scene, tmp_path: Path, manifest: str) -> None:
    release = Release(tmp_path, "0.2.0")
    with pytest.raises(Invalid, match="not a release's manifest"):
        releases.publish(scene.world, manifest, release.file, scene.now)


def test_a_channel_moves_and_what_does_not_exist_is_named(scene: Scene, tmp_path: Path) -> None:
    for version in ("0.2.0", "0.3.0"):
        publish(scene, Release(tmp_path, version, version.encode()))
        releases.set_channel(scene.world, "stable", version, scene.later(1))
    assert releases.offer(scene.world, channel="stable").version == "0.3.0"
    listed = releases.list_all(scene.world)
    assert [(one.row.version, one.channels) for one in listed] == [
        ("0.3.0", ("stable",)),
        ("0.2.0", ()),
    ]
    with pytest.raises(NotFound, match="no release 9"):
        releases.set_channel(scene.world, "stable", "9", scene.now)
    with pytest.raises(NotFound, match="in the channel beta"):
        releases.offer(scene.world, channel="beta")
    with pytest.raises(Invalid, match="either a channel or a version"):
        releases.offer(scene.world)
