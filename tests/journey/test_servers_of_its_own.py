"""The same with PostgreSQL, a queue server by URL and an S3 store."""

from __future__ import annotations

from pathlib import Path

from tests.engines.s3 import S3Server
from tests.journey.fixtures import installed
from tests.journey.project import make_project
from tests.journey.test_run import check_it_ran, training


def test_a_step_runs_with_postgresql_valkey_and_s3(
    tmp_path: Path, postgres_database: str, valkey_url: str, s3_server: S3Server
) -> None:
    environment = {
        "DATABASE_URL": postgres_database,
        "QUEUE_URL": valkey_url,
        "STORE_URL": f"s3://{s3_server.make_bucket()}/talkoot?endpoint={s3_server.endpoint}",
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_REGION": s3_server.region,
    }
    with installed(tmp_path, environment) as place:
        place.start()
        project = make_project(place, training("python:3.12"), files={"words.txt": "hello\n"})
        execution = project.run(parameters={"n": 7})
        check_it_ran(execution)
        assert execution.get("outputs/")[0]["uri"].startswith("s3://")
        assert not list(place.data.glob("store/*"))
