"""`python -m stacks.policy FILE`: check a preview; status 1 when it breaks a rule.

FILE is what `pulumi preview --json --show-sames` wrote; `-` is standard input.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stacks.policy import planned, rules


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("Usage: python -m stacks.policy FILE (or - for standard input)\n")
        return 2
    try:
        text = sys.stdin.read() if arguments[0] == "-" else Path(arguments[0]).read_text("utf-8")
        plan = planned.from_preview(text)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    complaints = rules.broken(plan)
    for complaint in complaints:
        sys.stdout.write(f"{complaint}\n")
    sys.stdout.write(f"{len(plan)} resources, {len(complaints)} broken rules\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
