"""Reads `valohai.yaml`: all its faults with their lines, and its steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from valohai_yaml.excs import ValidationError
from valohai_yaml.lint import LintResult
from valohai_yaml.objs import Config, Step
from valohai_yaml.validation import get_validator

from control.domain.errors import Invalid
from control.domain.yaml_places import Document, Fault, Unreadable, read

_FIELD = re.compile(r"\{(name|value|v)(![rs])?(:[^{}0-9]*[0-9]{0,2}(\.[0-9]{0,2})?[a-z%]?)?\}")
"""What a `pass-as` may hold; anything wider would let a file ask for gigabytes of blanks."""

ConfigItems = list[dict[str, Any]]


def read_config(text: str) -> tuple[ConfigItems | None, list[dict[str, Any]]]:
    """Parse and check a configuration: (its items, None when broken; every fault by line).

    A fault is {"message", "line", "column"}, counted from 1.
    """
    try:
        document = read(text)
    except Unreadable as unreadable:
        return None, [unreadable.fault.as_dict()]
    if document.value is None:
        return None, [Fault("The file is empty.").as_dict()]
    faults = list(_schema_faults(document)) or list(_meaning_faults(document))
    if faults:
        faults.sort(key=lambda fault: (fault.line, fault.column, fault.message))
        return None, [fault.as_dict() for fault in faults]
    return document.value, []


def find_step(config: ConfigItems | None, name: str, *, source: str = "valohai.yaml") -> Step:
    """Parse one step of a configuration. Raises Invalid that names the steps there are."""
    names: list[str] = []
    for item in config or ():
        step = item.get("step")
        if step is None:
            continue
        if step.get("name") == name:
            return Step.parse(cast("dict[str, Any]", step))
        names.append(str(step.get("name")))
    there_are = f"it has {', '.join(names)}" if names else "it has no step"
    raise Invalid.one("step", f"No step '{name}' in {source}; {there_are}.", "does_not_exist")


def step_names(config: ConfigItems | None) -> list[str]:
    """List the steps of a configuration in its order."""
    return [str(item["step"].get("name")) for item in config or () if "step" in item]


def _schema_faults(document: Document) -> Iterator[Fault]:
    yield from _key_faults(document, document.value, ())
    for error in get_validator().iter_errors(_with_text_keys(document.value)):
        yield from _schema_fault(document, error)


def _schema_fault(document: Document, error: Any) -> Iterator[Fault]:
    path = list(error.absolute_path)
    where = _where(document.value, path)
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = set((error.schema or {}).get("properties", {}))
        if isinstance(error.instance, dict) and known:
            for key in error.instance:
                if key not in known:
                    yield Fault(f"{where}unknown key '{key}'.", *document.place(path, key=str(key)))
            return
    message = str(error.message)
    if len(message) > 300:  # the library repeats the whole value
        message = f"{message[:297]}…"
    yield Fault(f"{where}{message}.", *document.place(path))


def _where(value: Any, path: list[str | int]) -> str:
    """Write a path as people say it: `step 'train', parameter 'epochs': `."""
    words: list[str] = []
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(part, int):
            name = value.get("name") if isinstance(value, dict) else None
            if words and name:
                words[-1] = f"{words[-1].removesuffix('s')} '{name}'"
        else:
            name = value.get("name") if isinstance(value, dict) else None
            words.append(f"{part} '{name}'" if name else str(part))
    return f"{', '.join(words)}: " if words else ""


def _key_faults(document: Document, value: Any, path: tuple[str | int, ...]) -> Iterator[Fault]:
    """Find keys that are no text (`1:`, `yes:`): JSON, and so a client, cannot hold them."""
    if isinstance(value, dict):
        for key, child in value.items():
            if not isinstance(key, str):
                yield Fault(f"The key {key!r} must be a text: quote it.", *document.place(path))
            else:
                yield from _key_faults(document, child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _key_faults(document, child, (*path, index))


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _with_text_keys(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(child) for child in value]
    return value


def _meaning_faults(document: Document) -> Iterator[Fault]:
    """Find what fits the schema and is wrong all the same."""
    unparsed = list(_parse_faults(document))
    if unparsed:
        yield from unparsed
        return
    result = LintResult()
    config = Config.parse(document.value)
    config.lint(result, context={})
    for message in result.errors:
        text = str(message["message"]).strip()
        yield Fault(text, *_place_in(document, text))
    for step in config.steps.values():
        for parameter in step.parameters.values():
            for template in (parameter.pass_as, parameter.pass_true_as, parameter.pass_false_as):
                if template and re.search(r"[{}]", _FIELD.sub("", str(template))):
                    yield Fault(
                        f"step '{step.name}', parameter '{parameter.name}': a pass-as holds only "
                        "{name}, {value} and {v}.",
                        *document.place_of_name(parameter.name),
                    )


def _parse_faults(document: Document) -> Iterator[Fault]:
    """Parse item by item, so that every one that fails is named."""
    for index, item in enumerate(document.value):
        try:
            Config.parse([item])
        except (ValidationError, ValueError, TypeError, KeyError) as error:
            place = _place_in(document, str(error))
            yield Fault(f"{error}.", *(document.place([index]) if place == (1, 1) else place))


def _place_in(document: Document, message: str) -> tuple[int, int]:
    """Find the line of the last name that a message quotes and the file has."""
    for name in reversed(re.findall(r"[\"']([^\"']+)[\"']", message)):
        place = document.place_of_name(name)
        if place != (1, 1):
            return place
    return 1, 1
