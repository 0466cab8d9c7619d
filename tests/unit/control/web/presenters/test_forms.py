from __future__ import annotations

import pytest
from valohai_yaml.objs import Step
from werkzeug.datastructures import MultiDict

from control.domain.errors import Invalid
from control.web.presenters.filters import read_filters
from control.web.presenters.invocation import Invocation, command
from control.web.presenters.run_form import option_name, request_of, run_form

STEP = Step.parse(
    {
        "name": "train",
        "image": "python:3.12",
        "command": "python train.py {parameters}",
        "parameters": [
            {"name": "epochs", "type": "integer", "default": 40, "min": 1, "max": 500},
            {"name": "rate", "type": "float", "optional": True},
            {"name": "optimizer", "type": "string", "choices": ["sgd", "adam"], "default": "sgd"},
            {"name": "verbose", "type": "flag"},
            {"name": "layers", "type": "integer", "multiple": "repeat", "default": [8, 4]},
        ],
        "inputs": [{"name": "digits"}],
    }
)


def test_each_parameter_gets_the_field_of_its_kind() -> None:
    fields = {one.label: one for one in run_form(STEP).parameters}
    kinds = {name: one.kind for name, one in fields.items()}
    assert kinds == {
        "epochs": "number",
        "rate": "number",
        "optimizer": "choice",
        "verbose": "flag",
        "layers": "lines",
    }
    assert fields["epochs"].limits == (("step", "1"), ("min", "1"), ("max", "500"))
    assert fields["epochs"].tail == "integer, 1 to 500"
    assert fields["layers"].value == "8\n4"


def test_what_was_typed_becomes_typed_values() -> None:
    form = {
        "p.epochs": "12",
        "p.rate": "0.5",
        "p.optimizer": "adam",
        "p.verbose": "true",
        "p.layers": "16\r\n 8 \r\n",
        "i.digits": "datum://latest\r\n",
        "tags": "one, two",
        "variables": "A=1\r\nB=x=y",
        "time_limit": "1.5",
    }
    asked = request_of("p", "main", STEP, form)
    assert asked.parameters == {
        "epochs": 12,
        "rate": 0.5,
        "optimizer": "adam",
        "verbose": True,
        "layers": [16, 8],
    }
    assert asked.inputs == {"digits": ["datum://latest"]}
    assert asked.tags == ("one", "two")
    assert asked.env_vars == {"A": "1", "B": "x=y"}
    assert asked.time_limit_s == 90


def test_a_file_that_was_chosen_joins_the_addresses_that_were_written() -> None:
    form = {"i.digits": "s3://b/one\r\n", "pick.i.digits": "datum://two"}
    assert request_of("p", "main", STEP, form).inputs == {"digits": ["s3://b/one", "datum://two"]}
    form["i.digits"] += "datum://two"
    assert request_of("p", "main", STEP, form).inputs == {"digits": ["s3://b/one", "datum://two"]}


def test_an_emptied_field_takes_the_default_and_an_absent_flag_is_off() -> None:
    asked = request_of("p", "main", STEP, {"p.epochs": "", "p.rate": " "})
    assert asked.parameters == {"verbose": False}


def test_what_is_no_number_is_left_for_the_service_to_refuse() -> None:
    assert request_of("p", "main", STEP, {"p.epochs": "many"}).parameters["epochs"] == "many"


@pytest.mark.parametrize(
    ("field", "text"), [("variables", "no equals sign"), ("time_limit", "soon")]
)
def test_what_the_form_itself_cannot_read_names_its_field(field: str, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        request_of("p", "main", STEP, {field: text})
    assert caught.value.errors[0].field == field


def test_the_command_quotes_what_a_shell_would_break() -> None:
    said = command(
        Invocation(
            "train it",
            title="two words",
            parameters={"learning_rate": 0.1, "verbose": True, "layers": [8, 4]},
            inputs={"in": ("s3://b/a file",)},
            env_vars={"KEY": "a b"},
        )
    )
    assert said.split(" \\\n  ") == [
        "vh exec run 'train it'",
        "--title='two words'",
        "--var='KEY=a b'",
        "--learning-rate=0.1",
        "--verbose=true",
        "--layers=8",
        "--layers=4",
        "--in='s3://b/a file'",
    ]


@pytest.mark.parametrize(
    ("name", "option"), [("hidden_units", "--hidden-units"), ("größe", "--groe"), ("a b", "--a-b")]
)
def test_option_names_follow_the_clients_rule(name: str, option: str) -> None:
    assert option_name(name) == option


def test_the_address_of_a_filter_holds_only_what_is_chosen() -> None:
    args: MultiDict[str, str] = MultiDict(
        [("status", "failed"), ("status", "bogus"), ("q", " net "), ("before", "x"), ("tag", "")]
    )
    filters = read_filters(args, args.getlist)
    assert filters.url("/p/") == "/p/?status=failed&q=net"
    assert filters.url("/p/", status=None, before=7) == "/p/?q=net&before=7"
    asked = filters.query("p")
    assert asked.statuses == ("error",)
    assert asked.before_counter is None
