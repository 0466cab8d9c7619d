"""PostgreSQL, managed: encrypted, in two zones, backed up, its password made and kept by AWS."""

from __future__ import annotations

import pulumi
from pulumi_aws import rds

from stacks import names
from stacks.components.aws.documents.common import Place
from stacks.components.aws.parts import Component, Inside
from stacks.inputs import ControlInputs

PORT = 5432


class Database(Component):
    """The truth. It is protected, refuses deletion, and leaves a last snapshot."""

    def __init__(
        self,
        place: Place,
        inputs: ControlInputs,
        inside: Inside,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("Database", place, opts)
        self.identifier = database_name(place)
        subnets = rds.SubnetGroup(
            "database",
            name=self.identifier,
            description="Private subnets for Talkoot's database",
            subnet_ids=inside.subnet_ids,
            opts=self.child(),
        )
        parameters = rds.ParameterGroup(
            "database",
            family=f"postgres{inputs.database_version.partition('.')[0]}",
            description="TLS only",
            parameters=[{"name": "rds.force_ssl", "value": "1"}],
            opts=self.child(),
        )
        self.instance = rds.Instance(
            "database",
            identifier=self.identifier,
            engine="postgres",
            engine_version=inputs.database_version,
            instance_class=inputs.database_class,
            db_name="talkoot",
            username="talkoot",
            manage_master_user_password=True,
            master_user_secret_kms_key_id=inside.key_arn,
            iam_database_authentication_enabled=True,
            allocated_storage=inputs.database_gb,
            max_allocated_storage=inputs.database_gb * 4,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=inside.key_arn,
            multi_az=inputs.multi_zone,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[inside.group_id],
            parameter_group_name=parameters.name,
            port=PORT,
            publicly_accessible=False,
            backup_retention_period=inputs.backup_days,
            copy_tags_to_snapshot=True,
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            auto_minor_version_upgrade=True,
            deletion_protection=place.is_kept,
            skip_final_snapshot=False,
            final_snapshot_identifier=f"{self.identifier}-last",
            opts=self.child(protect=place.is_kept),
        )
        self.secret_arn = self.instance.master_user_secrets.apply(
            lambda secrets: (secrets[0].secret_arn or "") if secrets else ""
        )
        self.register_outputs({})


def database_name(place: Place) -> str:
    """Name the database; the rights of its secret hang on it."""
    return names.physical(place.stack, "database", limit=58)
