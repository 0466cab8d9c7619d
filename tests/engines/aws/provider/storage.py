"""Buckets with their seven settings, and repositories of images: in moto, but for what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tests.engines.aws.provider.account import Account, or_none
from tests.engines.aws.provider.kinds import (
    Base,
    Change,
    Values,
    first,
    kind,
    ours,
    pascal,
    tag_list,
)


@kind("aws:s3/bucket:Bucket", "S3 Bucket")
class Bucket(Base):
    named_by = "bucket"
    replaces = frozenset({"bucket", "bucketPrefix", "objectLockEnabled"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        name = inputs["bucket"]
        place = {"LocationConstraint": aws.region}
        given = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": place}
        aws("s3").create_bucket(Bucket=name, **given)
        if inputs.get("tags"):
            aws("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(inputs)})
        return name, self.read(aws, name, inputs) or {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        if or_none(lambda: aws("s3").list_objects_v2(Bucket=id_, MaxKeys=1)) is None:
            return None
        return {
            "bucket": id_,
            "arn": f"arn:aws:s3:::{id_}",
            "bucketDomainName": f"{id_}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{id_}.s3.{aws.region}.amazonaws.com",
            "tagsAll": state.get("tags") or {},
        }

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        if "tags" in change.keys:
            tags = {"TagSet": tag_list(change.new)}
            aws("s3").put_bucket_tagging(Bucket=id_, Tagging=tags)
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("s3").delete_bucket(Bucket=id_))


class Setting(Base):
    """One of a bucket's settings: put whole, read, taken away."""

    verb = ""  # bucket_versioning: of put_bucket_versioning
    can_be_deleted = True
    replaces = frozenset({"bucket"})
    body: ClassVar[Callable[[Values], Values]]

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        self._put(aws, inputs)
        return inputs["bucket"], {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        call = getattr(aws("s3"), _getter(self.verb))
        return None if or_none(lambda: call(Bucket=id_)) is None else {}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        self._put(aws, change.new)
        return {}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        if self.can_be_deleted:
            verb = self.verb.replace("lifecycle_configuration", "lifecycle")
            or_none(lambda: getattr(aws("s3"), f"delete_{verb}")(Bucket=id_))

    def _put(self, aws: Account, inputs: Values) -> None:
        body = type(self).body(inputs)
        getattr(aws("s3"), f"put_{self.verb}")(Bucket=inputs["bucket"], **body)


def _getter(verb: str) -> str:
    return "get_public_access_block" if verb == "public_access_block" else f"get_{verb}"


def _setting(
    token: str, title: str, verb: str, body: Callable[[Values], Values], *, stays: bool = False
) -> None:
    members = {"verb": verb, "body": staticmethod(body), "can_be_deleted": not stays}
    kind(token, title)(type("BucketSetting", (Setting,), members))


def _encryption(inputs: Values) -> Values:
    rules: list[Values] = []
    for rule in inputs["rules"]:
        given = rule["applyServerSideEncryptionByDefault"]
        how = {"SSEAlgorithm": given["sseAlgorithm"]}
        if given.get("kmsMasterKeyId"):
            how["KMSMasterKeyID"] = given["kmsMasterKeyId"]
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": how,
                "BucketKeyEnabled": bool(rule.get("bucketKeyEnabled")),
            }
        )
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def _lifecycle(inputs: Values) -> Values:
    rules: list[Any] = pascal(inputs["rules"])
    for rule in rules:
        rule["ID"] = rule.pop("Id")
        rule["Filter"] = {"Prefix": (rule.get("Filter") or {}).get("Prefix", "")}
    return {"LifecycleConfiguration": {"Rules": rules}}


def _cors(inputs: Values) -> Values:
    return {"CORSConfiguration": {"CORSRules": pascal(inputs["corsRules"])}}


def _block(inputs: Values) -> Values:
    names = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    given = pascal({name: bool(inputs.get(name)) for name in names})
    return {"PublicAccessBlockConfiguration": given}


_setting(
    "aws:s3/bucketVersioning:BucketVersioning",
    "S3 Bucket Versioning",
    "bucket_versioning",
    lambda i: {"VersioningConfiguration": {"Status": i["versioningConfiguration"]["status"]}},
    stays=True,
)
_setting(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "S3 Bucket Server-side Encryption Configuration",
    "bucket_encryption",
    _encryption,
)
_setting(
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "S3 Bucket Lifecycle Configuration",
    "bucket_lifecycle_configuration",
    _lifecycle,
)
_setting(
    "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration",
    "S3 Bucket CORS Configuration",
    "bucket_cors",
    _cors,
)
_setting(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "S3 Bucket Public Access Block",
    "public_access_block",
    _block,
)
_setting(
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "S3 Bucket Ownership Controls",
    "bucket_ownership_controls",
    lambda i: {"OwnershipControls": {"Rules": [pascal(i["rule"])]}},
)
_setting(
    "aws:s3/bucketPolicy:BucketPolicy",
    "S3 Bucket Policy",
    "bucket_policy",
    lambda i: {"Policy": i["policy"]},
)


@kind("aws:ecr/repository:Repository", "ECR Repository")
class Repository(Base):
    named_by = "name"
    replaces = frozenset({"name", "encryptionConfigurations"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        scan: Values = inputs.get("imageScanningConfiguration") or {}
        encryption = inputs.get("encryptionConfigurations") or [{"encryptionType": "AES256"}]
        aws("ecr").create_repository(
            repositoryName=inputs["name"],
            imageTagMutability=inputs.get("imageTagMutability", "MUTABLE"),
            imageScanningConfiguration=scan,
            encryptionConfiguration=encryption[0],
            tags=tag_list(inputs),
        )
        return inputs["name"], self.read(aws, inputs["name"], inputs) or {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = first(
            lambda: aws("ecr").describe_repositories(repositoryNames=[id_]), "repositories"
        )
        if found is None:
            return None
        return {
            "arn": found["repositoryArn"],
            "repositoryUrl": found["repositoryUri"],
            "registryId": found["registryId"],
            "imageTagMutability": found["imageTagMutability"],
            "tagsAll": state.get("tags") or {},
        }

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        if "imageTagMutability" in change.keys:
            how = change.new["imageTagMutability"]
            aws("ecr").put_image_tag_mutability(repositoryName=id_, imageTagMutability=how)
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        force = bool(state.get("forceDelete"))
        or_none(lambda: aws("ecr").delete_repository(repositoryName=id_, force=force))


@kind("aws:ecr/lifecyclePolicy:LifecyclePolicy", "ECR Lifecycle Policy")
class LifecyclePolicy(Base):
    replaces = frozenset({"repository"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        self._put(aws, inputs)
        return inputs["repository"], {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = or_none(lambda: aws("ecr").get_lifecycle_policy(repositoryName=id_))
        return None if found is None else {}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        self._put(aws, change.new)
        return {}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("ecr").delete_lifecycle_policy(repositoryName=id_))

    def _put(self, aws: Account, inputs: Values) -> None:
        aws("ecr").put_lifecycle_policy(
            repositoryName=inputs["repository"], lifecyclePolicyText=inputs["policy"]
        )


ours(
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
    "ECR Pull Through Cache Rule",
    id_of=lambda inputs: inputs["ecrRepositoryPrefix"],
    replaces="ecrRepositoryPrefix upstreamRegistryUrl",
)
ours(
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate",
    "ECR Repository Creation Template",
    id_of=lambda inputs: inputs["prefix"],
    replaces="prefix",
)
