"""`talkoot simulate`: how a day of work would go, by our rule and by the peers'."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from control.cli.picture import picture
from control.domain.errors import TalkootError
from control.domain.simulation.days import DAYS, recorded
from control.domain.simulation.policies import POLICIES
from control.domain.simulation.run import simulate as play
from control.domain.simulation.traces import parse
from control.domain.simulation.world import Day, Result

HEADINGS = ("policy", "p50 wait", "p95 wait", "dollars", "machines", "refused", "dead", "reclaimed")


@click.command()
@click.argument("trace")
@click.option(
    "--policy",
    "names",
    type=click.Choice([*POLICIES, "all"]),
    default="ours",
    show_default=True,
    help="Whose rule decides.",
)
@click.option("--seed", default=1, show_default=True, help="The dice: the same seed, the same day.")
@click.option("--maximum", type=click.IntRange(0), help="The most machines of each group.")
@click.option("--slots", type=click.IntRange(1), help="Executions of one slot on a machine.")
@click.option("--burst", type=click.IntRange(1), help="Launches at once before any came up.")
@click.option("--idle-ttl", type=click.IntRange(0), help="Seconds an idle machine is kept.")
@click.option(
    "--picture",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the day as an SVG picture.",
)
def simulate(trace: str, names: str, seed: int, target: Path | None, **given: int | None) -> None:
    """Play a day on simulated clouds that refuse, fail and take machines back.

    TRACE is a made-up day (steady, bursty, reclaims) or a file: CSV with the header
    at_s,duration_s[,slots][,environment], or JSON lines with those keys.
    """
    day = _with(_day(trace, seed), given)
    began = time.perf_counter()
    chosen = POLICIES.values() if names == "all" else [POLICIES[names]]
    results = [play(day, policy, random.Random(seed)) for policy in chosen]
    took_s = time.perf_counter() - began
    click.echo(f"{day.name}: {len(day.work):,} executions, seed {seed}\n")
    click.echo("\n".join(table(results)))
    simulated_s = sum(result.ended_at for result in results)
    click.echo(f"\n{simulated_s / 3600:.0f} hours in {took_s:.1f} s: x {simulated_s / took_s:,.0f}")
    if target:
        target.write_text(picture(f"{day.name}: {len(day.work):,} executions", results))
        click.echo(f"Picture: {target}")


def _day(trace: str, seed: int) -> Day:
    if trace in DAYS:
        return DAYS[trace](random.Random(seed))
    try:
        return recorded(Path(trace).stem, parse(Path(trace).read_text(encoding="utf-8")))
    except OSError as error:
        raise click.ClickException(
            f"{trace} is no readable file, and no made-up day: {', '.join(DAYS)}."
        ) from error
    except TalkootError as error:
        raise click.ClickException(f"{trace}: {error.message}") from error


def _with(day: Day, given: dict[str, int | None]) -> Day:
    names = {"idle_ttl": "idle_ttl_s"}
    chosen = {names.get(key, key): value for key, value in given.items() if value is not None}
    offerings = tuple(replace(one, policy=replace(one.policy, **chosen)) for one in day.offerings)
    return replace(day, offerings=offerings)


def table(results: Sequence[Result]) -> list[str]:
    """Write the results as lines: waits in seconds, money in dollars."""
    rows = [HEADINGS, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.policy,
        f"{result.wait_s(0.5):,.0f} s",
        f"{result.wait_s(0.95):,.0f} s",
        f"{result.cost:.2f}",
        f"{result.machines}",
        f"{result.refused:,}",
        f"{result.dead}",
        f"{result.reclaimed}",
    )
