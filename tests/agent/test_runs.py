"""The agent from claim to clean, with each runtime."""

from __future__ import annotations

import time

from agent import wire
from tests.agent.conftest import Worker
from tests.agent.fake_control import FakeAttempt, FakeControl
from tests.agent.specs import make_spec

LIMIT_S = 60.0


def wait_until_it_prints(control: FakeControl, attempt: FakeAttempt, text: str) -> None:
    control.wait_for(lambda: text in attempt.of("o"), f"the step prints {text}")


def wait_until_clean(worker: Worker) -> None:
    limit = time.monotonic() + LIMIT_S
    while list((worker.agent.state / "attempts").iterdir()):
        assert time.monotonic() < limit, "the attempt's folder stays"
        time.sleep(0.02)


def test_a_step_runs_and_its_output_arrives_in_order(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(
        make_spec(
            control,
            "cat hello.txt",
            "X=5",
            'echo "x is $X"; echo \'<"err\\\' >&2',
            "printf no-newline",
            image=worker.image,
            env_vars={"COLOUR": "blue", "VH_JOB_ID": "mine"},
        )
    )
    finish = control.finished(attempt, LIMIT_S)
    assert (finish["outcome"], finish["exit_code"]) == ("complete", 0), attempt.lines
    assert attempt.of("o") == ["hello", "x is 5", "no-newline"]
    assert attempt.of("e") == ['<"err\\']
    assert "Started" in attempt.of("s")
    times = [line[:26] for line in attempt.lines]
    assert times == sorted(set(times))
    assert finish["log_last"] == len(attempt.lines)
    wait_until_clean(worker)


def test_every_phase_is_reported_from_start_to_end(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(make_spec(control, "true", image=worker.image))
    control.finished(attempt, LIMIT_S)
    seen = [phase for phase in attempt.phases if phase[1] != "progress"]
    assert seen == [(name, state) for name in wire.PHASES for state in ("started", "ended")]


def test_the_platforms_variables_cannot_be_overridden(control: FakeControl, worker: Worker) -> None:
    spec = make_spec(
        control,
        "echo $VH_JOB_ID $COLOUR $PYTHONUNBUFFERED",
        'test "$PWD" = "$VH_REPOSITORY_DIR"',
        image=worker.image,
        env_vars={"COLOUR": "blue", "VH_JOB_ID": "mine"},
    )
    attempt = control.submit(spec)
    assert control.finished(attempt, LIMIT_S)["outcome"] == "complete"
    assert attempt.of("o") == [f"exec-{spec.execution_id} blue 1"]


def test_the_first_failing_command_ends_it_with_its_number(
    control: FakeControl, worker: Worker
) -> None:
    attempt = control.submit(
        make_spec(control, "true", "f() { return 3; }; f", "echo never", image=worker.image)
    )
    finish = control.finished(attempt, LIMIT_S)
    assert (finish["outcome"], finish["reason"]) == ("error", "exit_nonzero")
    assert (finish["exit_code"], finish["failing_item"]) == (3, 2)
    assert "Command 2 of 3 failed with exit status 3" in attempt.of("s")
    assert "never" not in attempt.of("o")


def test_the_last_command_may_decide_alone(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(
        make_spec(control, "false", "echo on", image=worker.image, stop_at_first_error=False)
    )
    assert control.finished(attempt, LIMIT_S)["outcome"] == "complete"
    assert attempt.of("o") == ["on"]


def test_a_stop_lets_the_step_save_its_work(control: FakeControl, worker: Worker) -> None:
    script = "trap 'echo saved >$VH_OUTPUTS_DIR/kept; exit 0' TERM; echo ready; "
    attempt = control.submit(
        make_spec(
            control,
            f"sh -c '{script.replace(chr(39), chr(34))} while :; do sleep 0.1; done'",
            image=worker.image,
            stop_grace_s=20.0,
        )
    )
    wait_until_it_prints(control, attempt, "ready")
    attempt.order = ("stop", "Stop requested by ada.")
    finish = control.finished(attempt, LIMIT_S)
    assert (finish["outcome"], finish["reason"]) == ("stopped", "stopped_by_user")
    assert "Stop requested by ada." in attempt.of("s")
    assert [one["name"] for one in attempt.offered.values()] == ["kept"]


def test_a_step_that_does_not_end_is_killed_after_the_grace(
    control: FakeControl, worker: Worker
) -> None:
    attempt = control.submit(
        make_spec(
            control,
            "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.1; done'",
            image=worker.image,
            stop_grace_s=0.5,
        )
    )
    wait_until_it_prints(control, attempt, "ready")
    attempt.order = ("stop", "")
    assert control.finished(attempt, LIMIT_S)["outcome"] == "stopped"


def test_stop_now_does_not_wait_for_the_grace(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(
        make_spec(
            control,
            "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.1; done'",
            image=worker.image,
            stop_grace_s=600.0,
        )
    )
    wait_until_it_prints(control, attempt, "ready")
    attempt.order = ("stop_now", "")
    assert control.finished(attempt, LIMIT_S)["outcome"] == "stopped"


def test_the_time_limit_is_an_error(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(make_spec(control, "sleep 600", image=worker.image, time_limit_s=0.5))
    finish = control.finished(attempt, LIMIT_S)
    assert (finish["outcome"], finish["reason"]) == ("error", "time_limit")


def test_a_silent_step_crashes(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(
        make_spec(control, "echo one; sleep 600", image=worker.image, no_output_timeout_s=0.5)
    )
    finish = control.finished(attempt, LIMIT_S)
    assert (finish["outcome"], finish["reason"]) == ("crashed", "no_output_timeout")


def test_a_killed_agent_takes_up_its_step_and_loses_no_line(
    control: FakeControl, worker: Worker
) -> None:
    lines = 4000
    attempt = control.submit(
        make_spec(
            control,
            f"i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; "
            "if [ $((i % 200)) -eq 0 ]; then sleep 0.1; fi; done",
            image=worker.image,
        )
    )
    for number in (400, 1200, 2400):
        wait_until_it_prints(control, attempt, f"line {number}")
        worker.agent.kill()
        worker.agent.start_again()
    finish = control.finished(attempt, LIMIT_S)
    assert finish["outcome"] == "complete"
    assert attempt.of("o") == [f"line {number}" for number in range(1, lines + 1)]
    times = [line[:26] for line in attempt.lines]
    assert times == sorted(set(times))
    wait_until_clean(worker)


def test_a_step_that_ended_without_its_agent_is_reported(
    control: FakeControl, worker: Worker
) -> None:
    attempt = control.submit(
        make_spec(control, "echo ready; sleep 0.5; echo done; exit 7", image=worker.image)
    )
    wait_until_it_prints(control, attempt, "ready")
    worker.agent.kill()
    time.sleep(1.5)  # the step ends while nobody watches
    worker.agent.start_again()
    finish = control.finished(attempt, LIMIT_S)
    assert (finish["exit_code"], finish["reason"]) == (7, "exit_nonzero")
    assert attempt.of("o") == ["ready", "done"]


def test_a_fenced_attempt_is_killed_and_forgotten(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(make_spec(control, "echo ready; sleep 600", image=worker.image))
    wait_until_it_prints(control, attempt, "ready")
    attempt.is_fenced = True
    wait_until_clean(worker)
    assert attempt.finish is None
    following = control.submit(make_spec(control, "echo next", image=worker.image))
    assert control.finished(following, LIMIT_S)["outcome"] == "complete"


def test_secrets_are_masked(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(
        make_spec(
            control,
            'echo "key is $KEY, again: $KEY"; echo plain',
            image=worker.image,
            env_vars={"KEY": "s3cr3t"},
            secrets=("s3cr3t",),
        )
    )
    control.finished(attempt, LIMIT_S)
    assert attempt.of("o") == ["key is ****, again: ****", "plain"]


def test_progress_bars_collapse_and_broken_text_is_mended(
    control: FakeControl, worker: Worker
) -> None:
    attempt = control.submit(
        make_spec(
            control, r"printf '10%%\r20%%\r100%%\n'; printf 'a\377b\r\n'; echo", image=worker.image
        )
    )
    control.finished(attempt, LIMIT_S)
    assert attempt.of("o") == ["100%", "a\ufffdb", ""]


def test_very_long_lines_come_in_pieces(control: FakeControl, worker: Worker) -> None:
    attempt = control.submit(
        make_spec(
            control,
            "head -c 200000 /dev/zero | tr '\\0' x; echo; echo after",
            image=worker.image,
        )
    )
    control.finished(attempt, LIMIT_S)
    *pieces, after = attempt.of("o")
    assert after == "after"
    assert "".join(pieces) == "x" * 200_000
    assert all(len(piece) <= 64 * 1024 for piece in pieces)


def test_metadata_is_reported_once_with_the_number_of_its_line(
    control: FakeControl, worker: Worker
) -> None:
    attempt = control.submit(
        make_spec(
            control,
            "echo; echo '{\"epoch\": 1, \"loss\": NaN}'; echo '{broken'; echo '[1]'; "
            "echo '{\"epoch\": 2}' >&2; echo '{\"epoch\": 3}'",
            image=worker.image,
        )
    )
    control.finished(attempt, LIMIT_S)
    expected = {
        number: text[2:] for number, text in enumerate(attempt.texts, 1) if text.startswith('o {"')
    }
    assert list(attempt.points) == list(expected)
    assert list(attempt.points.values()) == [{"epoch": 1, "loss": None}, {"epoch": 3}]


def test_a_read_only_output_is_stored_while_the_step_runs(
    control: FakeControl, worker: Worker
) -> None:
    attempt = control.submit(
        make_spec(
            control,
            "cd $VH_OUTPUTS_DIR; mkdir sub; echo model > sub/m; echo rest > rest; chmod 444 sub/m;"
            "while [ -e sub/m ]; do sleep 0.1; done; echo gone;"
            'echo \'{"file": "sub/m", "metadata": {"k": 2}}\' > valohai.metadata.jsonl;'
            'echo \'{"k": 1, "label": "cat"}\' > rest.metadata.json',
            image=worker.image,
        )
    )
    assert control.finished(attempt, LIMIT_S)["outcome"] == "complete"
    assert attempt.of("o") == ["gone"]
    names = {one["name"]: datum for datum, one in attempt.offered.items()}
    assert set(names) == {"sub/m", "rest"}
    assert attempt.stored[names["sub/m"]] == {"k": 2}
    assert attempt.stored[names["rest"]] == {"k": 1, "label": "cat"}
    path = f"/store/{attempt.spec.attempt_id}/{names['sub/m']}"
    assert control.stored[path] == b"model\n"
