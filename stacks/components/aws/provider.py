"""The one explicit provider of a stack: its region and its tags come from here."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from stacks.inputs import StackName


def make_provider(
    stack: StackName,
    tags: pulumi.Input[Mapping[str, str]],
    *,
    account: str = "",
    is_quick: bool = False,
) -> aws.Provider:
    """Register the provider: credentials from the environment, the region from the stack's name.

    With `account` it refuses any other account. `is_quick` leaves out what costs calls at every
    start and checks nothing that the first real call would not.
    """
    skip = True if is_quick else None
    return aws.Provider(
        "aws",
        region=stack.region,
        allowed_account_ids=[account] if account else None,
        default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
        skip_credentials_validation=skip,
        skip_metadata_api_check=skip,
        skip_region_validation=skip,
        skip_requesting_account_id=skip,
    )
