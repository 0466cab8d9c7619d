"""The whole way: a queue grows, machines come, work, leave, and Git still says what is there."""

from __future__ import annotations

from sqlalchemy import update

from control.database.tables.worker_groups import worker_groups
from tests.engines.aws.machines import Machines
from tests.engines.processes import wait_until
from tests.journey.project import make_project, step
from tests.stacks.journey.account import BASE, IDLE, Account

GROUP = "small"
STACK = f"test-aws-eu-west-1-wg-{GROUP}"
EXECUTIONS = 40
MOST = 4


def add_group(account: Account) -> None:
    """Add a group as an operator does, with less patience than an operator may have.

    Its config is written for Git, committed, and applied.
    """
    account.place.talkoot(
        *("group", "add", GROUP, "--base", BASE, "--type", "t3.small"),
        *("--image", "ami-12c6146b", "--max", str(MOST), "--slots", "2"),
        *("--control-url", account.place.url),
        *("--write", str(account.repository), "--apply"),
    )
    account.commit("Add a worker group")
    with account.place.world() as world:
        world.database.write(
            lambda connection: (
                connection.execute(
                    update(worker_groups).where(worker_groups.c.name == GROUP).values(**IDLE)
                )
                and None
            )
        )


def test_an_empty_group_follows_the_queue_and_is_empty_again(
    account: Account, booted: Machines
) -> None:
    account.up()
    account.start()
    add_group(account)
    account.start_infra()
    project = make_project(account.place, step("train", "echo done"))
    executions = [project.run(environment=GROUP) for _ in range(EXECUTIONS)]
    account.wait_for_machines(MOST, limit_s=120)
    for execution in executions:
        ended = execution.wait(limit_s=180)
        assert ended["status"] == "complete", account.story()
    workers = {execution.get()["executor_identity"] for execution in executions}
    assert workers <= set(booted.by_id), workers
    assert len(workers) > 1
    account.wait_for_machines(0, limit_s=120)
    wait_until(
        lambda: all(machine.is_off for machine in booted.by_id.values()),
        what="every machine off",
        limit_s=30,
    )
    preview = account.pulumi("preview", "--expect-no-changes", stack=STACK)
    assert preview.returncode == 0, preview.stdout + preview.stderr
