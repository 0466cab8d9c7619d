"""Reading a preview, and the command that checks one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stacks.policy import __main__ as command
from stacks.policy.planned import from_preview


def step(op: str, **state: Any) -> dict[str, Any]:
    urn = "urn:pulumi:prod::talkoot::aws:s3/bucket:Bucket::logs"
    return {
        "op": op,
        "urn": urn,
        "newState": {"urn": urn, "custom": True, "type": "aws:s3/bucket:Bucket", **state},
    }


def test_a_preview_is_read_without_components_and_without_what_goes() -> None:
    kept = step("create", inputs={"__defaults": [], "bucket": "b"}, protect=True, provider="p::1")
    gone = {"op": "delete", "urn": "u", "oldState": {}}
    component = step("create", custom=False)
    (found,) = from_preview(json.dumps({"steps": [kept, gone, component]}))
    assert (found.type, found.name, found.is_protected) == ("aws:s3/bucket:Bucket", "logs", True)
    assert found.properties == {"bucket": "b"}


@pytest.mark.parametrize("text", ["", "{}", "[]", "error: no stack"])
def test_what_is_no_preview_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="pulumi preview --json"):
        from_preview(text)


def test_a_preview_that_failed_is_not_a_plan_without_faults() -> None:
    failed = {"steps": [], "diagnostics": [{"severity": "error", "message": "no config\n"}]}
    with pytest.raises(ValueError, match=r"The preview itself failed: no config$"):
        from_preview(json.dumps(failed))


def test_a_preview_that_leaves_out_what_does_not_change_is_refused() -> None:
    with pytest.raises(ValueError, match="--show-sames"):
        from_preview(json.dumps({"steps": [], "changeSummary": {"same": 7}}))


def test_the_command_ends_with_1_and_names_what_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "preview.json"
    file.write_text(json.dumps({"steps": [step("create")]}))
    assert command.main([str(file)]) == 1
    assert "aws:s3/bucket:Bucket logs: holds data and is not protected." in capsys.readouterr().out


def test_the_command_ends_with_0_for_a_plan_that_keeps_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "preview.json"
    file.write_text(json.dumps({"steps": []}))
    assert command.main([str(file)]) == 0
    assert command.main([]) == 2
    assert command.main([str(tmp_path / "absent")]) == 2
