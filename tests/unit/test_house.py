"""The house rules, over every tracked file; and for each rule, a planted breach that it catches."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from agent import settings
from tests.unit import house_rules
from tests.unit.house_rules import Source

ROOT = Path(__file__).parents[2]
CODE = (".py", ".js", ".css", ".html", ".sh")
MIGRATIONS = "control/database/migrations/versions/"
RULES = ("tests/unit/test_house.py", "tests/unit/house_rules.py")


@cache
def tracked() -> tuple[Source, ...]:
    listed = subprocess.run(
        [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sources: list[Source] = []
    for path in sorted(set(listed.split("\0")) - {""}):
        try:
            sources.append(Source(path, (ROOT / path).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # a picture, or deleted and not committed yet
    return tuple(sources)


def under(folder: str) -> tuple[Source, ...]:
    return tuple(s for s in tracked() if s.path.startswith(folder + "/") and s.is_python)


def page(path: str) -> str:
    """Answer a file's text; a page that is missing documents nothing."""
    return (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""


def test_no_file_reaches_500_lines() -> None:
    # A migration is a record that nobody extends; the first one lists every table.
    kept = (s for s in tracked() if s.path.endswith(CODE) and not s.path.startswith(MIGRATIONS))
    assert house_rules.long_files(kept) == []


def test_a_file_of_500_lines_is_caught() -> None:
    assert house_rules.long_files([Source("a.py", "\n" * 500)]) == ["a.py: 500 lines"]
    assert house_rules.long_files([Source("a.py", "\n" * 499)]) == []


def test_every_todo_names_its_issue() -> None:
    assert house_rules.unnumbered_todos(s for s in tracked() if s.path not in RULES) == []


@pytest.mark.parametrize("line", ["# TODO: later", "// FIXME", "<!-- XXX (soon) -->"])
def test_a_todo_without_an_issue_is_caught(line: str) -> None:
    assert house_rules.unnumbered_todos([Source("a.py", line)])


def test_a_todo_with_an_issue_is_left_alone() -> None:
    assert house_rules.unnumbered_todos([Source("a.py", "# TODO(#12): drop with 2.0")]) == []


def test_no_file_names_a_private_place_or_a_registry() -> None:
    assert house_rules.private_places(s for s in tracked() if s.path not in RULES) == []


@pytest.mark.parametrize(
    "line",
    ["cd /wo" + "rk/main", '"/home/somebody/x"', "https://files.python" + "hosted.org/packages"],
)
def test_a_private_place_is_caught(line: str) -> None:
    assert house_rules.private_places([Source("a.md", line)])


def test_few_checks_are_silenced_and_each_names_its_rule() -> None:
    sources = [s for s in tracked() if s.path not in RULES]
    silenced = house_rules.suppressions(sources)
    assert len(silenced) <= house_rules.SUPPRESSIONS_MAX, silenced
    assert house_rules.suppressions_without_rule(sources) == []


def test_a_silenced_check_is_counted() -> None:
    sources = [Source("a.py", "x = 1  # noqa: E501\ny = 2  # type: ignore\n")]
    assert len(house_rules.suppressions(sources)) == 2
    assert house_rules.suppressions_without_rule(sources) == ["a.py:2"]


def test_every_test_asserts_something() -> None:
    assert house_rules.tests_that_claim_nothing(tracked()) == []


def test_a_test_that_asserts_nothing_is_caught_also_behind_a_helper() -> None:
    text = """
def helper(): other()
def other(): print()
def good(): assert 1
def test_a(): helper()
def test_b(): good()
def test_c(): pytest.raises(ValueError, print)
"""
    found = house_rules.tests_that_claim_nothing([Source("tests/test_x.py", text)])
    assert found == ["tests/test_x.py: test_a"]


def test_no_file_of_a_stack_says_how_many_machines_there_are() -> None:
    assert house_rules.sizes_in_git(tracked()) == []


@pytest.mark.parametrize("path", ["Pulumi.prod-aws-x-wg-a.yaml", "examples/a/Pulumi.b.yaml"])
def test_a_size_in_git_is_caught(path: str) -> None:
    assert house_rules.sizes_in_git([Source(path, "config:\n  talkoot:size: 3\n")])
    assert not house_rules.sizes_in_git([Source("docs/a.md", "talkoot:size: 3\n")])


def test_every_setting_is_documented() -> None:
    documented = page("docs/settings.md")
    assert house_rules.undocumented_settings(page("control/settings.py"), documented) == []
    of_agent = [settings.PREFIX + name for name in settings.VARIABLES]
    assert house_rules.unnamed([settings.ENROL_VARIABLE, *of_agent], documented) == []


def test_an_undocumented_setting_is_caught() -> None:
    code = 'url = given.pop("DATABASE_URL", "")\nkey = given.pop("TALKOOT_KEY", "")\n'
    assert house_rules.undocumented_settings(code, "`DATABASE_URL`, `TALKOOT_KEY_FILE`") == [
        "TALKOOT_KEY"
    ]


def test_every_plugin_is_under_contract() -> None:
    project = tomllib.loads(page("pyproject.toml"))["project"]
    tests = "\n".join(source.text for source in under("tests/contract"))
    assert house_rules.plugins_without_contract(project["entry-points"], tests) == []


def test_a_plugin_without_contract_is_caught() -> None:
    plugins = {"talkoot.stores": {"s3": "a.s3:S3Store", "tape": "a.tape:TapeStore"}}
    tests = "suite(S3Store)"
    assert house_rules.plugins_without_contract(plugins, tests) == ["talkoot.stores.tape"]


def test_every_api_route_is_documented() -> None:
    assert house_rules.undocumented_routes(under("control/api"), page("docs/api.md")) == []


def test_an_undocumented_route_is_caught() -> None:
    code = '@api.get("/tasks/<int:task_id>/stop/")\ndef stop(): ...\n'
    api = [Source("control/api/tasks.py", code)]
    assert house_rules.undocumented_routes(api, "`GET /tasks/{id}/`") != []
    assert house_rules.undocumented_routes(api, "`POST /tasks/{id}/stop/`") == []
