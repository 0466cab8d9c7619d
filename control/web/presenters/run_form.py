"""The form of a step: a field a parameter and an input, and what was typed as a request."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from valohai_yaml.objs import Input, Parameter, Step

from control.domain.errors import FieldError, Invalid
from control.domain.executions import ExecutionRequest


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind` is number, text, flag, choice or lines; `error_key` is the service's."""

    name: str
    label: str
    error_key: str
    kind: str
    value: str
    default: str
    hint: str
    tail: str
    option: str
    is_required: bool
    choices: tuple[str, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RunForm:
    """The whole form."""

    step: str
    description: str
    parameters: tuple[Field, ...]
    inputs: tuple[Field, ...]
    image: str


def run_form(step: Step, chosen: Mapping[str, str] | None = None) -> RunForm:
    """Build the form, with the step's defaults or what was chosen (by field name)."""
    return RunForm(
        step=step.name,
        description=step.description or "",
        parameters=tuple(_parameter(one, chosen) for one in step.parameters.values()),
        inputs=tuple(_input(one, chosen) for one in step.inputs.values()),
        image=step.image,
    )


def chosen_of(row: Any) -> dict[str, str]:
    """Read the choices of an execution, for changing and running it again."""
    chosen = {f"p.{name}": _text(value) for name, value in row.parameters.items()}
    chosen |= {f"i.{one['name']}": "\n".join(one["urls"]) for one in row.inputs}
    chosen |= {"title": row.title, "tags": ", ".join(row.tags or ()), "image": row.image}
    chosen["variables"] = "\n".join(f"{key}={text}" for key, text in (row.env_vars or {}).items())
    return chosen


def _parameter(one: Parameter, chosen: Mapping[str, str] | None) -> Field:
    default = _text(one.default)
    name = f"p.{one.name}"
    is_required = one.default is None and not one.optional and one.type != "flag"
    return Field(
        name=name,
        label=one.name,
        error_key=f"parameters.{one.name}",
        kind=_kind(one),
        value=default if chosen is None else chosen.get(name, ""),
        default=default,
        hint=one.description or "",
        tail=_range(one),
        option=option_name(one.name),
        is_required=is_required,
        choices=tuple(str(choice) for choice in one.choices or ()),
        limits=_limits(one),
    )


def _kind(one: Parameter) -> str:
    if one.multiple:
        return "lines"
    if one.type == "flag":
        return "flag"
    if one.choices:
        return "choice"
    return "number" if one.type in ("integer", "float") else "text"


def _range(one: Parameter) -> str:
    words = "one a line" if one.multiple else "" if one.type == "string" else one.type
    if one.min is not None and one.max is not None:
        return f"{words}, {one.min:g} to {one.max:g}"
    if one.min is not None:
        return f"{words}, at least {one.min:g}"
    if one.max is not None:
        return f"{words}, at most {one.max:g}"
    return words


def _limits(one: Parameter) -> tuple[tuple[str, str], ...]:
    if one.type not in ("integer", "float") or one.multiple:
        return ()
    found = [("step", "1" if one.type == "integer" else "any")]
    found += [
        (word, str(value))
        for word, value in (("min", one.min), ("max", one.max))
        if value is not None
    ]
    return tuple(found)


def _input(one: Input, chosen: Mapping[str, str] | None) -> Field:
    urls = [one.default] if isinstance(one.default, str) else one.default or []
    default, name = "\n".join(urls), f"i.{one.name}"
    return Field(
        name=name,
        label=one.name,
        error_key=f"inputs.{one.name}",
        kind="lines",
        value=default if chosen is None else chosen.get(name, ""),
        default=default,
        hint=one.description or "",
        tail="optional" if one.optional else "",
        option=option_name(one.name),
        is_required=not one.optional and not urls,
    )


def option_name(name: str) -> str:
    """Write a name as the client's option, by its own rule."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "--" + re.sub(r"[^-a-z0-9]+", "-", plain, flags=re.IGNORECASE).strip("-")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, list | tuple):
        return "\n".join(str(one) for one in value)
    return str(value)


def request_of(
    project_id: str, commit: str, step: Step, form: Mapping[str, str]
) -> ExecutionRequest:
    """Read what was typed; its values are checked later. Raises Invalid for broken variables."""
    parameters = {
        one.name: _value(one, form.get(f"p.{one.name}", "")) for one in step.parameters.values()
    }
    inputs = {
        one.name: _urls(form, f"i.{one.name}")
        for one in step.inputs.values()
        if f"i.{one.name}" in form
    }
    image = form.get("image", "").strip()
    return ExecutionRequest(
        project_id=project_id,
        commit=commit,
        step=step.name,
        parameters={name: value for name, value in parameters.items() if value is not None},
        inputs=inputs,
        environment=form.get("environment") or None,
        image=image if image and image != step.image else None,
        title=form.get("title", "").strip(),
        tags=tuple(tag.strip() for tag in form.get("tags", "").split(",") if tag.strip()),
        env_vars=_variables(_lines(form.get("variables", ""))),
        time_limit_s=_minutes(form.get("time_limit", "")),
    )


def _value(one: Parameter, text: str) -> Any:
    if one.multiple:
        return [_number(one, line) for line in _lines(text)] or None
    if one.type == "flag":
        return text.lower() in ("true", "on", "1", "yes")
    text = text.strip() if one.type in ("integer", "float") else text
    return _number(one, text) if text else None


def _number(one: Parameter, text: str) -> Any:
    """Make a number where the step wants one; what is none stays text and is refused by name."""
    convert = {"integer": int, "float": float}.get(one.type)
    if convert is None:
        return text
    try:
        return convert(text)
    except ValueError:
        return text


def _urls(form: Mapping[str, str], name: str) -> list[str]:
    """Read an input's addresses: those written, and the file that was chosen from the data."""
    written, chosen = _lines(form[name]), form.get(f"pick.{name}", "")
    return written if not chosen or chosen in written else [*written, chosen]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _variables(lines: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise Invalid(FieldError("variables", f"Write NAME=value, not {line!r}."))
        found[name.strip()] = value
    return found


def _minutes(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text) * 60
    except ValueError:
        raise Invalid.one("time_limit", "A number of minutes.") from None
