"""`talkoot simulate` as a person runs it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from control.cli.simulate import simulate


def run(*arguments: str) -> Result:
    return CliRunner().invoke(simulate, arguments)


def recorded(folder: Path, text: str = "at_s,duration_s\n0,60\n30,90\n") -> str:
    path = folder / "monday.csv"
    path.write_text(text)
    return str(path)


def test_a_recorded_day_is_played_under_every_rule_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "day.svg"
    done = run(recorded(tmp_path), "--policy", "all", "--picture", str(picture))
    assert done.exit_code == 0, done.output
    names = [line.split()[0] for line in done.output.splitlines()[3:7]]
    assert names == ["ours", "buildkite", "karpenter", "keda"]
    assert done.output.startswith("monday: 2 executions, seed 1\n")
    assert picture.read_text().startswith("<svg")


def test_the_same_seed_is_the_same_day_and_the_options_count(tmp_path: Path) -> None:
    trace = recorded(tmp_path)

    def table(*options: str) -> list[str]:
        return run(trace, *options).output.splitlines()[:4]

    assert table("--seed", "3") == table("--seed", "3")
    assert table("--idle-ttl", "7200") != table("--idle-ttl", "0")


def test_what_is_no_day_is_said_in_a_sentence(tmp_path: Path) -> None:
    assert "no made-up day: steady, bursty, reclaims." in run("monday").output
    assert "Line 2 has something" in run(recorded(tmp_path, "at_s,duration_s\nsoon,1\n")).output
