"""The one script of an attempt: all items in one shell, so they share variables and directory.

Before each item its number goes to a marker file; when the shell ends, the number in the file is
the item that ended it. Source: architecture.md part 4, "exit status".
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})


@dataclass(frozen=True, slots=True)
class Script:
    """`text` goes to a file; `argv(path)` runs that file."""

    text: str
    interpreter: str | None
    has_markers: bool

    def argv(self, path: str) -> list[str]:
        """Give the command line: the first line's interpreter, else bash, else sh."""
        if self.interpreter is not None and not self.has_markers:
            return [path]
        words = (self.interpreter or "bash").split()
        if words[0].rsplit("/", 1)[-1] == "env":
            words = words[1:]
        choose = (
            f"if command -v {shlex.quote(words[0])} >/dev/null 2>&1; "
            f'then exec {shlex.join(words)} "$0"; else exec /bin/sh "$0"; fi'
        )
        return ["/bin/sh", "-c", choose, path]


def build_script(commands: Sequence[str], *, marker: str, stop_at_first_error: bool) -> Script:
    """Join the items. A first line `#!` of a shell is kept; of another program it takes all."""
    interpreter, items = _split_interpreter(commands)
    if interpreter is not None and not _is_shell(interpreter):
        return Script("\n".join([f"#!{interpreter}", *items]) + "\n", interpreter, False)
    # A shell with a trap waits for the command that runs: on a signal, which all processes get,
    # the command may save its work before the shell ends and takes everything with it.
    lines = [f"#!{interpreter or '/bin/sh'}", "trap 'exit 143' TERM", "trap 'exit 130' INT"]
    if stop_at_first_error:
        lines.append("set -e")
    for number, item in enumerate(items, start=1):
        # The empty line after the item ends a last line that was left open with a backslash.
        # The marker must never fail the script: the disk may be full, the user not root.
        lines += [f"echo {number} 2>/dev/null >{shlex.quote(marker)} || :", item, ""]
    if not stop_at_first_error:
        # Otherwise the status of the marker's own line could decide for an empty last item.
        lines.append("exit $?")
    return Script("\n".join(lines) + "\n", interpreter, True)


def _split_interpreter(commands: Sequence[str]) -> tuple[str | None, list[str]]:
    items = list(commands)
    if not items or not items[0].startswith("#!"):
        return None, items
    first, _, rest = items[0].partition("\n")
    return first[2:].strip() or None, [rest, *items[1:]]


def _is_shell(interpreter: str) -> bool:
    words = interpreter.split()
    name = words[0].rsplit("/", 1)[-1]
    if name == "env" and len(words) > 1:
        name = words[1].rsplit("/", 1)[-1]
    return name in SHELLS
