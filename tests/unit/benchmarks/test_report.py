"""What a bench prints and when it counts as missed."""

from __future__ import annotations

import pytest

from benchmarks.machine import Summary, percentile, summary
from benchmarks.report import Bar, Fact, Outcome, lines, missed


def bar(ours: float, peer: float, limit: float, *, at_most: bool, is_goal: bool = False) -> Bar:
    return Bar("p50", "ms", summary([ours]), "peer", summary([peer]), limit, at_most, is_goal)


@pytest.mark.parametrize(
    ("ours", "peer", "limit", "at_most", "is_met"),
    [
        pytest.param(2.0, 1.0, 2.0, True, True, id="a-ratio-at-the-limit-meets-it"),
        pytest.param(2.1, 1.0, 2.0, True, False, id="slower-than-allowed-misses"),
        pytest.param(6.0, 10.0, 0.6, False, True, id="a-rate-at-the-limit-meets-it"),
        pytest.param(5.0, 10.0, 0.6, False, False, id="a-rate-below-the-limit-misses"),
        pytest.param(-0.1, 1.0, 2.0, True, True, id="a-claim-held-before-the-answer-meets-it"),
    ],
)
def test_a_bar_judges_the_ratio_of_the_medians(
    ours: float, peer: float, limit: float, at_most: bool, is_met: bool
) -> None:
    assert bar(ours, peer, limit, at_most=at_most).is_met is is_met


def test_a_missed_goal_is_named_and_does_not_fail_the_bench() -> None:
    outcome = Outcome("dispatch", bars=(bar(3, 1, 2, at_most=True, is_goal=True),))
    assert outcome.is_met
    assert missed([outcome]) == ["dispatch: p50 is 3 x peer, <= 2 x is the goal"]


def test_a_missed_bar_fails_the_bench() -> None:
    outcome = Outcome("dispatch", bars=(bar(3, 1, 2, at_most=True),))
    assert not outcome.is_met
    assert "ratio 3, bar <= 2 x: missed" in "\n".join(lines(outcome, is_colour=False))


def test_a_lost_line_fails_the_bench() -> None:
    fact = Fact("agent killed", holds=False, sentence="of 10 lines 1 was lost.")
    assert not Outcome("logs", facts=(fact,)).is_met
    assert missed([Outcome("logs", facts=(fact,))]) == ["logs: of 10 lines 1 was lost."]


def test_a_bench_without_figures_is_missed() -> None:
    assert missed([Outcome("container", error="no engine.")]) == [
        "container: not measured, no engine."
    ]


def test_the_summary_is_the_median_with_its_range() -> None:
    assert summary([3.0, 1.0, 2.0]) == Summary(2.0, 1.0, 3.0, 3)
    assert str(summary([1000.0, 2000.0, 3000.0])) == "2,000 (1,000-3,000)"


def test_the_99th_percentile_of_a_hundred_is_the_greatest() -> None:
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
