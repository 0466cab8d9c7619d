"""The rules of the house that no linter knows, as functions from text to complaints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

LINES_MAX = 499
SUPPRESSIONS_MAX = 10

_UNNUMBERED = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!\s*\(?#\d+)")
_SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore)(?P<rule>[:\[])?")
_SETTING = re.compile(r"(?:[A-Z]+_)*[A-Z]+_[A-Z]+|TALKOOT_[A-Z_]+[A-Z]")
# Written in pieces, so that this file does not break its own rule.
_PRIVATE = re.compile(
    "|".join(
        [
            r"/" + r"work/(?:main|shared|brief)",
            r"/" + r"home/[a-z]\w*/",
            r"/" + r"root/\.",
            r"\.\./" + r"shared\b",
            r"(?:files\.)?pythonhosted" + r"\.org",
            r"\bpypi" + r"\.org/simple",
            r"registry\.npmjs" + r"\.org",
            r"proxy\.golang" + r"\.org",
            r"\.pkg" + r"\.dev\b",
        ]
    )
)
_STACK_FILE = re.compile(r"(?:^|/)Pulumi\.[^/]+\.ya?ml$")
_SIZE = re.compile(r"\btalkoot:size\b")
_ROUTE_DECORATORS = {"route", "get", "post", "put", "patch", "delete"}
_CLAIMS = re.compile(r"raises|expect|wait\w*|check_\w+")
"""Names of what fails a test that calls it: pytest's, Playwright's, ours."""
_PLACEHOLDER = re.compile(r"<(?:\w+(?:\([^)]*\))?:)?\w+>|\{\w+\}")


@dataclass(frozen=True)
class Source:
    """One tracked file."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")


def long_files(sources: Iterable[Source]) -> list[str]:
    """Name the files of 500 lines and more: look for the second noun in them."""
    counts = ((source.path, len(source.text.splitlines())) for source in sources)
    return [f"{path}: {lines} lines" for path, lines in counts if lines > LINES_MAX]


def unnumbered_todos(sources: Iterable[Source]) -> list[str]:
    """Name every TODO that says no issue: `TODO(#12): …`."""
    return _lines_matching(_UNNUMBERED, sources)


def private_places(sources: Iterable[Source]) -> list[str]:
    """Name every path of somebody's machine and every registry's address."""
    return _lines_matching(_PRIVATE, sources)


def suppressions(sources: Iterable[Source]) -> list[str]:
    """Name every silenced check."""
    return _lines_matching(_SUPPRESSION, (source for source in sources if source.is_python))


def suppressions_without_rule(sources: Iterable[Source]) -> list[str]:
    """Name every silenced check that does not say which rule it breaks."""
    return [
        f"{source.path}:{number}"
        for source in sources
        if source.is_python
        for number, line in enumerate(source.text.splitlines(), 1)
        for found in _SUPPRESSION.finditer(line)
        if not found["rule"]
    ]


def tests_that_claim_nothing(sources: Iterable[Source]) -> list[str]:
    """Name every test that asserts nothing, neither itself nor by a function of its own file."""
    found: list[str] = []
    for source in sources:
        if not re.search(r"(?:^|/)test_\w+\.py$", source.path):
            continue
        functions = {
            node.name: node
            for node in ast.walk(ast.parse(source.text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        found += [
            f"{source.path}: {name}"
            for name in functions
            if name.startswith("test_") and not _claims(name, functions, set())
        ]
    return found


def _claims(name: str, functions: Mapping[str, ast.AST], seen: set[str]) -> bool:
    if name not in functions or name in seen:
        return bool(_CLAIMS.fullmatch(name))
    seen.add(name)
    for node in ast.walk(functions[name]):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = node.func
            word = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if _claims(word, functions, seen):
                return True
    return False


def undocumented_settings(settings_code: str, page: str) -> list[str]:
    """Name every environment variable that the settings module reads and the page leaves out."""
    names = {
        node.value
        for node in ast.walk(ast.parse(settings_code))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _SETTING.fullmatch(node.value)
    }
    return unnamed(names, page)


def unnamed(names: Iterable[str], page: str) -> list[str]:
    """Answer the names that a page does not have as whole words."""
    return sorted(name for name in names if not re.search(rf"\b{name}\b", page))


def plugins_without_contract(
    entry_points: Mapping[str, Mapping[str, str]], contract_tests: str
) -> list[str]:
    """Name every plug-in of ours whose class the contract suites never name."""
    return [
        f"{group}.{name}"
        for group, plugins in entry_points.items()
        for name, target in plugins.items()
        if not re.search(rf"\b{target.rpartition(':')[2]}\b", contract_tests)
    ]


def undocumented_routes(api: Iterable[Source], page: str) -> list[str]:
    """Name every API route that the reference page leaves out, whatever it calls its parts."""
    known = _PLACEHOLDER.sub("{}", page)
    return sorted(
        f"{source.path}: {route}"
        for source in api
        for route in _routes(source)
        if not re.search(rf"{re.escape(_PLACEHOLDER.sub('{}', route))}(?![\w{{])", known)
    )


def sizes_in_git(sources: Iterable[Source]) -> list[str]:
    """Name every stack's file that says how many machines there are: that is the service's."""
    files = (s for s in sources if _STACK_FILE.search(s.path))
    return _lines_matching(_SIZE, files)


def _routes(source: Source) -> Iterator[str]:
    for function in ast.walk(ast.parse(source.text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for call in function.decorator_list:
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in _ROUTE_DECORATORS
                and call.args
                and isinstance(call.args[0], ast.Constant)
            ):
                yield str(call.args[0].value)


def _lines_matching(pattern: re.Pattern[str], sources: Iterable[Source]) -> list[str]:
    return [
        f"{source.path}:{number}: {line.strip()[:100]}"
        for source in sources
        for number, line in enumerate(source.text.splitlines(), 1)
        if pattern.search(line)
    ]
