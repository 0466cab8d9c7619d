"""A simulated day as a picture: one panel a policy, in SVG that follows a light or dark page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from control.domain.simulation.world import Result, Sample

WIDTH, PANEL, LEFT, RIGHT, TOP = 960, 170, 64, 20, 56
STEP_S = 300.0
STYLE = """
:root { --paper: #ffffff; --ink: #1f2328; --faint: #d8dde3; --soft: #59636e;
  --queued: #c9d7e8; --wanted: #b35900; --live: #0969da; --busy: #1a7f37; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0d1117; --ink: #e6edf3; --faint: #30363d; --soft: #9198a1;
    --queued: #26384f; --wanted: #f0a35e; --live: #58a6ff; --busy: #56d364; } }
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.soft { fill: var(--soft); font-size: 11px; }
.grid { stroke: var(--faint); stroke-width: 1; }
.queued { fill: var(--queued); }
.wanted, .live, .busy { fill: none; stroke-width: 1.6; }
.wanted { stroke: var(--wanted); stroke-dasharray: 3 2; }
.live { stroke: var(--live); }
.busy { stroke: var(--busy); }
"""
LEGEND = (
    ("queued", "queued (left scale)"),
    ("wanted", "wanted"),
    ("live", "live"),
    ("busy", "busy machines (right scale)"),
)


def picture(title: str, results: Sequence[Result]) -> str:
    """Draw the queue, and the wanted, live and busy machines of each policy, on common scales."""
    samples = {result.policy: _thinned(result.samples) for result in results}
    everything = [sample for there in samples.values() for sample in there]
    most = max((sample.queued for sample in everything), default=0)
    machines = max((max(one.wanted, one.live) for one in everything), default=0)
    hours = max((sample.at for sample in everything), default=3600.0) / 3600
    scales = (_round_up(most), _round_up(machines), hours)
    height = TOP + PANEL * len(results) + 16
    panels = "".join(
        _panel(index, result, samples[result.policy], scales)
        for index, result in enumerate(results)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"><style>{STYLE}</style>'
        f'<rect width="{WIDTH}" height="{height}" fill="var(--paper)"/>'
        f'<text x="{LEFT}" y="20" font-weight="600">{escape(title)}</text>{_legend()}'
        f"{panels}</svg>\n"
    )


def _thinned(samples: Sequence[Sample]) -> list[Sample]:
    """Keep one moment in five minutes, with the longest queue of them."""
    steps: dict[int, Sample] = {}
    for sample in samples:
        step = int(sample.at // STEP_S)
        if step not in steps or sample.queued > steps[step].queued:
            steps[step] = sample
    return list(steps.values())


def _round_up(value: float) -> int:
    """Round up to 1, 2 or 5 times a power of ten, at least 10."""
    step = 10
    while True:
        for factor in (1, 2, 5):
            if value <= step * factor:
                return step * factor
        step *= 10


def _legend() -> str:
    parts: list[str] = []
    x = LEFT
    for kind, words in LEGEND:
        mark = (
            f'<rect class="queued" x="{x}" y="31" width="18" height="9"/>'
            if kind == "queued"
            else f'<path class="{kind}" d="M{x} 36h18"/>'
        )
        parts.append(f'{mark}<text class="soft" x="{x + 24}" y="40">{words}</text>')
        x += 46 + 7 * len(words)
    return "".join(parts)


def _panel(
    index: int, result: Result, samples: Sequence[Sample], scales: tuple[int, int, float]
) -> str:
    queued_most, machines_most, hours = scales
    top = TOP + index * PANEL + 22
    bottom = top + PANEL - 46
    wide = WIDTH - LEFT - RIGHT - 30

    def x(at: float) -> float:
        return LEFT + at / 3600 / hours * wide

    def line(value: Callable[[Sample], float], most: int) -> str:
        points = (
            f"{x(one.at):.1f} {bottom - value(one) / most * (bottom - top):.1f}" for one in samples
        )
        return "M" + "L".join(points)

    queue = line(lambda one: one.queued, queued_most)
    facts = (
        f"p50 wait {result.wait_s(0.5):,.0f} s, p95 {result.wait_s(0.95):,.0f} s, "
        f"{result.cost:.2f} dollars, {result.machines} machines"
    )
    curves = "".join(
        f'<path class="{kind}" d="{line(value, machines_most)}"/>'
        for kind, value in (
            ("wanted", lambda one: one.wanted),
            ("live", lambda one: one.live),
            ("busy", lambda one: one.busy),
        )
    )
    return (
        f'<text x="{LEFT}" y="{top - 7}" font-weight="600">{escape(result.policy)}'
        f'<tspan class="soft" dx="12" font-weight="400">{facts}</tspan></text>'
        f"{_grid(top, bottom, wide, hours)}"
        f'<path class="queued" d="{queue}L{x(samples[-1].at):.1f} {bottom}L{LEFT} {bottom}Z"/>'
        f"{curves}"
        f'<text class="soft" x="{LEFT - 8}" y="{top + 8}" text-anchor="end">{queued_most:,}</text>'
        f'<text class="soft" x="{LEFT - 8}" y="{bottom}" text-anchor="end">0</text>'
        f'<text class="soft" x="{LEFT + wide + 6}" y="{top + 8}">{machines_most:,}</text>'
    )


def _grid(top: int, bottom: int, wide: int, hours: float) -> str:
    every = 3 if hours <= 30 else 12
    marks = "".join(
        f'<path class="grid" d="M{LEFT + hour / hours * wide:.1f} {top}V{bottom}"/>'
        f'<text class="soft" x="{LEFT + hour / hours * wide:.1f}" y="{bottom + 14}" '
        f'text-anchor="middle">{hour}:00</text>'
        for hour in range(0, int(hours) + 1, every)
    )
    return f'{marks}<path class="grid" d="M{LEFT} {bottom}h{wide}"/>'
