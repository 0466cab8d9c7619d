"""Fields are read by what they should be, and faults are collected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from control.api.bodies import Body, read_body
from control.api.paging import flag, page, wants, window
from control.domain.errors import Invalid

app = Flask("bodies")


@pytest.mark.parametrize(
    ("read", "given", "value"),
    [
        pytest.param(lambda body: body.text("x"), 5, "5", id="a-number-as-text"),
        pytest.param(lambda body: body.optional_text("x"), "", None, id="empty-is-none"),
        pytest.param(lambda body: body.flag("x", default=False), "TRUE", True, id="flag"),
        pytest.param(lambda body: body.flag("x", default=True), None, True, id="flag-default"),
        pytest.param(lambda body: body.whole("x", 1), "7", 7, id="whole"),
        pytest.param(lambda body: body.number("x"), "1.5", 1.5, id="number"),
        pytest.param(lambda body: body.mapping("x"), '{"a": 1}', {"a": 1}, id="json-in-a-form"),
        pytest.param(lambda body: body.texts("x"), "a, b", ["a", "b"], id="commas"),
        pytest.param(lambda body: body.texts("x"), ["a,b"], ["a,b"], id="list"),
    ],
)
def test_a_field_is_read(read: Callable[[Body], Any], given: Any, value: Any) -> None:
    body = Body({"x": given})
    assert read(body) == value
    body.check()


@pytest.mark.parametrize(
    ("read", "given"),
    [
        pytest.param(lambda body: body.text("x", is_required=True), "", id="required"),
        pytest.param(lambda body: body.text("x"), ["a"], id="a-list-is-no-text"),
        pytest.param(lambda body: body.text("x"), "a\0b", id="a-null-character"),
        pytest.param(lambda body: body.flag("x", default=False), "maybe", id="no-flag"),
        pytest.param(lambda body: body.whole("x", 0), "1.5", id="no-whole-number"),
        pytest.param(lambda body: body.number("x"), True, id="no-number"),
        pytest.param(lambda body: body.number("x"), "inf", id="endless"),
        pytest.param(lambda body: body.mapping("x"), "[1]", id="no-object"),
        pytest.param(lambda body: body.texts("x"), [1], id="no-texts"),
    ],
)
def test_a_wrong_field_is_named(read: Callable[[Body], Any], given: Any) -> None:
    body = Body({"x": given})
    read(body)
    with pytest.raises(Invalid) as caught:
        body.check()
    assert [error.field for error in caught.value.errors] == ["x"]


@pytest.mark.parametrize(
    "given",
    [
        {"json": {"a": "1"}},
        {"data": {"a": "1"}},
        {"data": {"a": "1"}, "content_type": "multipart/form-data"},
        {"data": '{"a": "1"}'},
    ],
    ids=["json", "form", "multipart", "no-content-type"],
)
def test_a_body_is_read_by_its_content_type(given: dict[str, Any]) -> None:
    with app.test_request_context(method="POST", **given):
        assert read_body().text("a") == "1"


def test_an_empty_body_has_no_fields() -> None:
    with app.test_request_context(method="DELETE"):
        assert read_body().fields == {}


@pytest.mark.parametrize(
    ("query", "limit", "offset"),
    [("", 1000, 0), ("limit=9001&offset=3", 9001, 3), ("limit=99999", 10000, 0), ("limit=0", 1, 0)],
)
def test_a_window_is_kept_within_bounds(query: str, limit: int, offset: int) -> None:
    with app.test_request_context(f"/?{query}"):
        assert (window().limit, window().offset) == (limit, offset)


def test_a_limit_that_is_no_number_is_named() -> None:
    with app.test_request_context("/?limit=all"), pytest.raises(Invalid, match="limit"):
        window()


def test_booleans_come_in_any_case() -> None:
    with app.test_request_context("/?a=True&b=FALSE&c=what"):
        assert [flag(name, default=None) for name in "abcd"] == [True, False, None, None]


def test_parts_are_wanted_or_not() -> None:
    with app.test_request_context("/?exclude=metadata, events&include=config&include=tags"):
        assert not wants("events", default=True)
        assert wants("config", default=False)
        assert wants("tags", default=False)
        assert wants("outputs", default=True)


def test_a_full_page_names_the_next_one() -> None:
    with app.test_request_context("/x/?limit=2&status=a&status=b", base_url="https://h:1"):
        body = page([1, 2], window(), None).json
    assert body == {
        "count": None,
        "next": "https://h:1/x/?limit=2&status=a&status=b&offset=2",
        "previous": None,
        "results": [1, 2],
    }
