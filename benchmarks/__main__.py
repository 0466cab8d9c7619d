"""`python -m benchmarks [BENCH]...`: our numbers beside the peers'.

Every figure is a ratio against a peer run in the same session. Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import importlib
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks import machine, peer_venv, report
from benchmarks.processes import BenchError
from benchmarks.report import Outcome
from benchmarks.session import Session, opened

BENCHES = ("dispatch", "container", "submit", "logs", "planning", "resize", "scaling_latency")
ROUNDS = 3


def _run(name: str, session: Session) -> Outcome:
    module = importlib.import_module(f"benchmarks.{name}")
    print(f"{name}: measuring …", flush=True)
    began = time.monotonic()
    try:
        outcome = module.measure(session.within(name))
    except BenchError as error:
        outcome = Outcome(name, error=str(error))
    print("\n".join(report.lines(outcome, sys.stdout.isatty())))
    print(f"  ({time.monotonic() - began:.0f} s)\n", flush=True)
    return outcome


def _conclude(outcomes: list[Outcome]) -> bool:
    missed = report.missed(outcomes)
    if missed:
        print("Missed:")
        print("\n".join(f"  {sentence}" for sentence in missed))
    else:
        print("Every bar and every goal is met.")
    return all(outcome.is_met for outcome in outcomes)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(BENCHES), metavar="[BENCH]...")
@click.option("--quick", is_flag=True, help="One short round: a smoke test, not a measurement.")
@click.option("--report", "only_report", is_flag=True, help="Exit with 0 though a bar is missed.")
@click.option("--rounds", default=ROUNDS, show_default=True, help="Rounds of each side.")
@click.option(
    "--result",
    type=click.Path(path_type=Path),
    help="Where to write the figures as JSON (default: a file in the cache).",
)
def main(
    names: tuple[str, ...], quick: bool, only_report: bool, rounds: int, result: Path | None
) -> None:
    """Measure each beside its peers, or beside itself at another size (default: all)."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # children are ended on the way out
    now = datetime.now(UTC)
    machine_is = machine.describe()
    print(f"{machine_is['processors']} processors, {machine_is['processor']}\n", flush=True)
    try:
        with opened(rounds=1 if quick else rounds, is_quick=quick) as session:
            outcomes = [_run(name, session) for name in names or BENCHES]
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    is_met = _conclude(outcomes)
    path = result or peer_venv.cache_folder() / f"result-{now:%Y%m%dT%H%M%SZ}.json"
    report.save(path, outcomes, {"at": now.isoformat(), "is_quick": quick, **machine_is})
    print(f"Figures: {path}")
    sys.exit(0 if is_met or only_report else 1)


if __name__ == "__main__":
    main()
