"""What a cloud's list, our rows and heartbeats mean together, whatever they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain import reconciling as rules
from control.domain.cloud_ports import Instance
from control.domain.reconciling import Agent, Known, Limits
from control.domain.scaling.state import MachineState

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
LIMITS = Limits(boot_grace_s=900, lease_s=600, steady_since=NOW - timedelta(days=1))


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def instance(name: str) -> Instance:
    return Instance(name, "gpu", "r", "ra", "t", "spot", "running", ago(100))


def machine(name: str = "i-0", state: MachineState = MachineState.LAUNCHING) -> Known:
    return Known(name, name, "g", state, ago(100), ago(90), ago(30))


def with_agent(name: str, silent_s: float, *, has_left: bool = False) -> Known:
    agent = Agent(f"w-{name}", ago(5000), ago(silent_s), has_left)
    known = machine(name, MachineState.READY)
    return replace(known, agent=agent, launched_at=ago(6000), joined_at=ago(5000))


ages = st.sampled_from([None, 1.0, 59.0, 61.0, 5000.0])


@st.composite
def fleets(draw: st.DrawFn) -> tuple[list[Known], list[Instance]]:
    """Some machines, of which a list has some and knows others."""
    known: list[Known] = []
    for number in range(draw(st.integers(0, 12))):
        silent = draw(ages)
        one = machine(f"i-{number}") if silent is None else with_agent(f"i-{number}", silent)
        if draw(st.booleans()):
            one = replace(one, missed_at=ago(30))
        if draw(st.integers(0, 5)) == 0:
            one = replace(one, end_sent_at=ago(60), state=MachineState.TERMINATING)
        known.append(one)
    listed = [instance(one.instance_id) for one in known if draw(st.booleans())]
    listed += [instance(f"i-new-{number}") for number in range(draw(st.integers(0, 3)))]
    return known, listed


@given(fleets(), st.booleans())
def test_every_machine_is_somewhere_once(
    fleet: tuple[list[Known], list[Instance]], had_shrunk: bool
) -> None:
    known, listed = fleet
    reading = rules.read_list(known, listed, had_shrunk=had_shrunk, now=NOW)
    parts = [*reading.here, *reading.gone, *reading.doubted]
    assert sorted(one.id for one in parts) == sorted(one.id for one in known)
    assert {one.id for one in reading.new} == {one.id for one in listed} - {
        one.instance_id for one in known
    }


@given(fleets(), st.booleans())
def test_no_machine_whose_agent_speaks_is_gone_unless_we_ended_it(
    fleet: tuple[list[Known], list[Instance]], had_shrunk: bool
) -> None:
    known, listed = fleet
    for one in rules.read_list(known, listed, had_shrunk=had_shrunk, now=NOW).gone:
        speaks = one.agent is not None and one.agent.lives(NOW)
        assert one.was_expected_to_go or not speaks


@given(fleets())
def test_the_first_list_that_lacks_over_half_loses_nobody(
    fleet: tuple[list[Known], list[Instance]],
) -> None:
    known, listed = fleet
    reading = rules.read_list(known, listed, had_shrunk=False, now=NOW)
    staying = [one for one in known if one.end_sent_at is None]
    lacking = [one for one in staying if one.instance_id not in {each.id for each in listed}]
    if 2 * len(lacking) > len(staying):
        assert reading.has_shrunk
        assert reading.gone == ()
    else:
        assert not reading.has_shrunk


def test_a_silent_machine_is_gone_at_the_second_list_that_lacks_it() -> None:
    others = [with_agent(f"i-{number}", 5) for number in range(1, 4)]
    listed = [instance(one.instance_id) for one in others]
    first = with_agent("i-0", 61)
    assert rules.read_list([first, *others], listed, had_shrunk=False, now=NOW).gone == ()
    second = replace(first, missed_at=ago(30))
    assert rules.read_list([second, *others], listed, had_shrunk=False, now=NOW).gone == (second,)


@pytest.mark.parametrize(
    ("silent_s", "steady_s", "state"),
    [
        (629, 86400, None),
        (631, 86400, MachineState.LOST),
        (5000, 600, None),  # nobody listened for most of that time
        (5000, 631, MachineState.LOST),
        (-3600, 86400, None),  # our clock went back
    ],
)
def test_silence_counts_only_while_somebody_listened(
    silent_s: float, steady_s: float, state: MachineState | None
) -> None:
    limits = Limits(900, 600, ago(steady_s))
    verdict = rules.judge(with_agent("i-0", silent_s), "running", limits, NOW)
    assert (verdict.state if verdict else None) == state


@pytest.mark.parametrize(
    ("age_s", "steady_s", "is_failed"),
    [(899, 86400, False), (901, 86400, True), (5000, 800, False), (5000, 901, True)],
)
def test_the_boot_grace_counts_only_while_somebody_looked(
    age_s: float, steady_s: float, is_failed: bool
) -> None:
    one = replace(machine(), launched_at=ago(age_s))
    verdict = rules.judge(one, "running", Limits(900, 600, ago(steady_s)), NOW)
    assert (verdict is not None) == is_failed
    if verdict is not None:
        assert verdict.state is MachineState.FAILED
        assert verdict.reason == "Its agent did not join within 15 minutes of its launch."


@pytest.mark.parametrize("cloud_state", ["pending", "running", "stopping"])
def test_of_a_machine_whose_end_was_sent_nothing_more_is_judged(cloud_state: str) -> None:
    one = replace(with_agent("i-0", 5000), end_sent_at=ago(10), state=MachineState.TERMINATING)
    assert rules.judge(one, cloud_state, LIMITS, NOW) is None


def test_a_machine_that_powers_itself_off_is_let_go() -> None:
    verdict = rules.judge(with_agent("i-0", 5), "stopping", LIMITS, NOW)
    assert verdict is not None
    assert (verdict.state, verdict.reason) == (MachineState.LOST, "It powered itself off.")
    taken = replace(with_agent("i-0", 5), reclaim_at=NOW)
    verdict = rules.judge(taken, "stopping", LIMITS, NOW)
    assert verdict is not None
    assert verdict.reason == "The cloud took it back."


@pytest.mark.parametrize("state", [MachineState.LAUNCHING, MachineState.FAILED, MachineState.LOST])
def test_an_agent_that_speaks_makes_its_machine_ready(state: MachineState) -> None:
    verdict = rules.judge(replace(with_agent("i-0", 5), state=state), "running", LIMITS, NOW)
    assert verdict is not None
    assert verdict.state is MachineState.READY


@pytest.mark.parametrize(
    ("read_s", "is_steady"), [(0, True), (30, True), (120, True), (121, False), (-1, False)]
)
def test_a_gap_between_reads_starts_every_limit_again(read_s: float, is_steady: bool) -> None:
    since = rules.steady_since(ago(5000), ago(read_s), NOW)
    assert since == (ago(5000) if is_steady else NOW)


def test_the_first_read_of_all_begins_now() -> None:
    assert rules.steady_since(None, None, NOW) == NOW
    assert rules.steady_since(None, ago(10), NOW) == NOW


def test_ends_are_sent_again_after_1_1_2_4_8_and_then_15_minutes() -> None:
    pauses = [60, 60, 120, 240, 480, 900, 900]
    for tries, pause_s in enumerate(pauses):
        sent = replace(machine(), end_tries=tries, end_sent_at=ago(pause_s - 1))
        assert not rules.should_send_end_again(sent, NOW)
        sent = replace(machine(), end_tries=tries, end_sent_at=ago(pause_s))
        assert rules.should_send_end_again(sent, NOW)
    assert not rules.should_send_end_again(machine(), NOW)
    for_ever = replace(machine(), end_tries=100_000, end_sent_at=ago(900))
    assert rules.should_send_end_again(for_ever, NOW)


@given(st.integers(0, 100_000), st.floats(0, 1))
def test_pauses_grow_to_five_minutes_and_never_beyond(failures: int, die: float) -> None:
    assert 0 <= rules.pause_s(failures, die) <= rules.PAUSE_MOST_S
    assert rules.pause_s(failures, die) <= rules.pause_s(failures + 1, die)
    assert rules.pause_s(1, die) == 0


def test_money_is_counted_as_in_the_example() -> None:
    assert rules.spent_usd(12, 0.5, ago(60), NOW) == pytest.approx(0.10)
    assert rules.spent_usd(12, 0.5, None, NOW) == 0
    assert rules.spent_usd(12, 0.5, NOW + timedelta(days=1), NOW) == 0
    assert rules.spent_usd(1, 0.5, ago(86400), NOW) == 0.5


@given(st.text("ab\n", max_size=60), st.integers(1, 20))
def test_of_a_console_the_end_is_kept(text: str, limit: int) -> None:
    kept = rules.last_part(text, limit)
    assert len(kept) <= limit
    assert text.endswith(kept)
    assert kept or not text
