"""What goes wrong is told in words that name the cause, through the real engine."""

from __future__ import annotations

import pytest

from tests.engines.aws.world import World
from tests.stacks.engine.project import Project

STACK = "prod-aws-eu-west-1-wg-wrong"


@pytest.fixture
def stack(checkout: Project) -> str:
    checkout.add(STACK, group="wrong")
    return STACK


def test_wrong_input_and_wrong_credentials_are_told(
    checkout: Project, stack: str, world: World
) -> None:
    def refused(**config: object) -> str:
        checkout.configure(stack, **config)
        done = checkout.pulumi("up", "--yes", "--skip-preview", "--stack", stack, check=False)
        assert done.status != 0
        return done.words

    assert "talkoot:slots is 0" in refused(slots=0)
    assert "Invalid value 'g5.gigantic' for InstanceType" in refused(
        slots=1, instanceType="g5.gigantic"
    )
    world.fault("credentials")
    assert "AuthFailure" in refused(instanceType="g5.xlarge", image="ami-0123456789abcdef1")
    world.mend()
    checkout.up(stack)
    checkout.destroy(stack)
