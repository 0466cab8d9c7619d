"""What reaches an engine's run: its own cloud's credentials and nobody else's."""

from __future__ import annotations

from pathlib import Path

from control.plugins.engines import environment

EVERYTHING = {
    "PATH": "/bin",
    "HOME": "/nonexistent",
    "LANG": "C",
    "DATABASE_URL": "postgresql://talkoot:hunter2@db/talkoot",
    "TALKOOT_KEY": "00",
    "PYTHONPATH": "/elsewhere",
    "PULUMI_BACKEND_URL": "s3://state?region=eu-west-1",
    "PULUMI_CONFIG_PASSPHRASE": "correct horse",
    "AWS_ACCESS_KEY_ID": "AKIA1",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "ARM_CLIENT_SECRET": "azure-secret",
    "GOOGLE_CREDENTIALS": "{google}",
    "OS_PASSWORD": "openstack-secret",
}


def chosen(cloud: str, **changed: str) -> dict[str, str]:
    variables = EVERYTHING | changed
    return environment.scrubbed(variables, clouds=frozenset({cloud}), home=Path("/private"))


def test_a_stack_gets_its_own_clouds_credentials_alone() -> None:
    found = chosen("azure", PULUMI_BACKEND_URL="azblob://state")
    assert found["ARM_CLIENT_SECRET"] == "azure-secret"
    assert not [name for name in found if name.startswith(("AWS_", "GOOGLE_", "OS_"))]


def test_nothing_of_the_service_itself_is_handed_on() -> None:
    found = chosen("aws")
    assert not {"DATABASE_URL", "TALKOOT_KEY", "PYTHONPATH"} & set(found)
    assert found["HOME"] == "/private", "no credentials file of another cloud lies there"


def test_the_back_ends_cloud_is_reached_too() -> None:
    found = chosen("openstack")
    assert found["OS_PASSWORD"] == "openstack-secret"
    assert found["AWS_SECRET_ACCESS_KEY"] == "aws-secret"
    assert "ARM_CLIENT_SECRET" not in found


def test_a_state_in_postgresql_is_reached_by_url_variables_and_file(tmp_path: Path) -> None:
    (tmp_path / ".pgpass").touch()
    given = {"PGPASSWORD": "state-secret", "PGSSLMODE": "require", "HOME": str(tmp_path)}
    found = chosen("azure", PULUMI_BACKEND_URL="postgres://state@db/pulumi", **given)
    assert (found["PGPASSWORD"], found["PGSSLMODE"]) == ("state-secret", "require")
    assert found["PGPASSFILE"] == str(tmp_path / ".pgpass")
    assert "state-secret" in environment.secrets_in(found)
    assert not [name for name in chosen("azure", **given) if name.startswith("PG")]


def test_secret_values_are_known_and_hidden() -> None:
    found = chosen("aws", PULUMI_BACKEND_URL="postgres://talkoot:hunter2@db/state")
    secrets = environment.secrets_in(found)
    assert {"correct horse", "aws-secret", "hunter2"} <= set(secrets)
    said = environment.hide("login hunter2 failed for aws-secret", secrets)
    assert said == f"login {environment.HIDDEN} failed for {environment.HIDDEN}"
