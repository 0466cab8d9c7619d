"""People and the service on one stack, over the real engine: neither undoes the other's work."""

from __future__ import annotations

import subprocess
from pathlib import Path

from control.services import stack_runs
from tests.engines.pulumi.engine import PASSPHRASE
from tests.stacks.infra.process import SECRET, Infra, wait_for


def person_has_the_stack(infra: Infra) -> None:
    """Commit the stack's config, as an infrastructure team does, after the service made it."""
    inputs = infra.group.inputs
    lines = [f'  talkoot:{key}: "{value}"' for key, value in inputs.items()]
    text = "\n".join(["config:", *lines, ""])
    infra.repository.put({f"Pulumi.{infra.stack}.yaml": text})


def everything_written(infra: Infra) -> str:
    texts = [(infra.place / "infra.log").read_text()]
    texts += [str(run) for run in infra.runs]
    texts += [
        str(event) for run in infra.runs for event in stack_runs.events_of(infra.world, run.id)
    ]
    return "\n".join(texts)


def command_lines() -> str:
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_text())
            except OSError:
                continue
    return "\n".join(found)


def test_a_persons_up_removes_no_machine_and_their_preview_is_clean(infra: Infra) -> None:
    infra.start()
    infra.want(3)
    wait_for(lambda: infra.group.applied == 3, "three machines")
    person_has_the_stack(infra)
    preview = infra.pulumi("preview", "--expect-no-changes")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    done = infra.pulumi("up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stderr
    assert infra.desired == 3
    infra.want(4)
    wait_for(lambda: infra.group.applied == 4, "the service resumes")
    assert infra.desired == 4


def test_a_persons_up_in_the_middle_is_waited_for_with_a_reason(infra: Infra) -> None:
    infra.start()
    infra.want(1)
    wait_for(lambda: infra.group.applied == 1, "one machine")
    person_has_the_stack(infra)
    infra.repository.put({"stacks/__main__.py": "import time\n\ntime.sleep(6)\n"})
    theirs = subprocess.Popen(
        ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", infra.stack],
        cwd=infra.repository.folder,
        env=infra.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: infra.locks, "the person's lock")
    # Their program is empty, and ends before it deletes anything: what counts is the lock.
    infra.want(2)
    wait_for(lambda: "locked by" in infra.group.hold, "the reason")
    assert f"(process {theirs.pid})" in infra.group.hold
    assert infra.runs[0].status == "conflict"
    theirs.terminate()
    theirs.wait(60)
    wait_for(lambda: infra.group.applied == 2, "the service resumes")
    assert infra.group.hold == ""


def test_a_pause_keeps_the_service_off(infra: Infra) -> None:
    infra.start()
    infra.want(1)
    wait_for(lambda: infra.group.applied == 1, "one machine")
    paused = infra.talkoot("infra", "pause", infra.stack)
    assert paused.returncode == 0, paused.stderr
    infra.want(2)
    wait_for(lambda: "has paused the stack" in infra.group.hold, "the reason")
    assert infra.desired == 1
    assert infra.talkoot("infra", "resume", infra.stack).returncode == 0
    wait_for(lambda: infra.group.applied == 2, "the service resumes")


def test_a_stack_that_a_person_removed_is_not_made_again(infra: Infra) -> None:
    infra.start()
    infra.want(1)
    wait_for(lambda: infra.group.applied == 1, "one machine")
    removed = infra.pulumi("stack", "rm", "--yes", "--force")
    assert removed.returncode == 0, removed.stderr
    infra.want(2)
    wait_for(lambda: infra.runs[0].status == "missing", "the run")
    wait_for(lambda: "does not exist" in infra.group.hold, "the reason")
    assert infra.desired == 1


def test_a_run_is_stopped_on_request_and_leaves_no_lock(infra: Infra) -> None:
    infra.configure(wait="3")
    infra.start()
    infra.want(2)
    wait_for(lambda: infra.calls, "the run")
    stop = infra.talkoot("infra", "stop", infra.runs[0].id)
    assert stop.returncode == 0, stop.stderr
    wait_for(lambda: infra.runs[0].status == "interrupted", "the end")
    assert infra.locks == []
    assert "stopped on request" in infra.group.hold


def test_no_secret_is_in_a_command_line_a_log_or_an_event(infra: Infra) -> None:
    infra.configure(wait="0.5")
    infra.start()
    infra.want(2)
    seen = ""
    while infra.group.applied != 2:
        seen += command_lines()
    assert "control.plugins.engines.runner" in seen
    for text in (seen, everything_written(infra)):
        assert SECRET not in text
        assert PASSPHRASE not in text


def test_a_wrong_passphrase_is_said_and_not_tried_in_a_loop(infra: Infra) -> None:
    infra.start()
    infra.want(1)
    wait_for(lambda: infra.group.applied == 1, "one machine")
    infra.stop()
    infra.environment["PULUMI_CONFIG_PASSPHRASE"] = "another one"
    infra.start()
    infra.want(2)
    wait_for(lambda: infra.group.hold, "the reason")
    assert "passphrase" in infra.group.hold
    assert infra.group.retry_at is not None
    assert infra.desired == 1


def test_a_branch_is_read_at_the_start_and_then_stays(infra: Infra) -> None:
    infra.start()
    infra.want(1)
    wait_for(lambda: infra.group.applied == 1, "one machine")
    first = infra.repository.commit
    infra.repository.put({"stacks/unused.py": "\n"})
    infra.want(2)
    wait_for(lambda: infra.group.applied == 2, "two machines")
    assert {run.commit for run in infra.runs} == {first}
    infra.stop()
    infra.start()
    infra.want(3)
    wait_for(lambda: infra.group.applied == 3, "three machines")
    assert infra.runs[0].commit == infra.repository.commit
