"""The bare Automation API: `up` of one stack at each size that comes on standard input.

    automation_up.py WORK_DIR STACK    the stack's config without `size` is in STDIN's first line

Answers the seconds of each `up`, a line each; imports and the stack's selection are not counted.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pulumi import automation


def main() -> None:
    folder, name = sys.argv[1:]
    config = json.loads(sys.stdin.readline())
    stack = automation.create_or_select_stack(stack_name=name, work_dir=folder)
    print("ready", flush=True)
    for line in sys.stdin:
        text = {"config": {**config, "talkoot:size": line.strip()}}
        (Path(folder) / f"Pulumi.{name}.yaml").write_text(json.dumps(text))
        began = time.monotonic()
        stack.up(on_event=lambda _event: None, show_secrets=False)
        print(time.monotonic() - began, flush=True)


if __name__ == "__main__":
    main()
