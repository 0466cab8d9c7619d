"""Everything before the step runs: code, inputs, config, image, start. Each may be done again."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import yaml

from agent.cache import key_of
from agent.loop.relay import Relay
from agent.phases.layout import config_files, environment_of, is_switched_on, network_of
from agent.phases.script import Script, build_script
from agent.runtimes.base import Job, Report
from agent.transfer.code import CodeTransfer
from agent.transfer.inputs import InputTransfer

if TYPE_CHECKING:
    from agent.loop.attempt import Attempt

FOLDERS = ("repository", "inputs", "outputs", "config", "control")
BALLAST_BYTES = 1024 * 1024
ARCHIVES_KEPT = 20
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The library's own writer where there is one: it writes a step's files ten times as fast."""

log = logging.getLogger(__name__)


def bring_code(attempt: Attempt) -> None:
    """Make the folders, unpack the commit."""
    warning = attempt.tools.runtime.warning()
    if warning:
        attempt.say_once("warned", warning)
    attempt.check()
    for name in FOLDERS:
        (attempt.folder / name).mkdir(exist_ok=True)
    with (attempt.folder / "ballast").open("wb") as ballast:
        ballast.write(bytes(BALLAST_BYTES))
    if is_switched_on(attempt.spec, "VH_CLEAN"):
        attempt.drop_caches()
    attempt.tools.runtime.get_ready(_job_of(attempt)[0])
    tools = attempt.tools
    code = CodeTransfer(tools.archives, tools.pool, attempt.absolute, tools.cache.flight)
    attempt.spool.say(
        code.bring(
            attempt.spec.code,
            attempt.folder / "repository",
            check=attempt.check,
            is_cached=not is_switched_on(attempt.spec, "VH_NO_DATA_CACHE"),
        )
    )
    code.drop_old(ARCHIVES_KEPT)


def bring_inputs(attempt: Attempt) -> None:
    """Place the input files."""
    attempt.check()
    spec = attempt.spec
    total = sum(file.size_bytes or 0 for one in spec.inputs for file in one.files)
    moved = 0
    lock = threading.Lock()

    def on_progress(growth: int) -> None:
        nonlocal moved
        with lock:
            moved += growth
            attempt.phases.progress("inputs", moved, total or None, "bytes")

    transfer = InputTransfer(
        spec=spec,
        target=attempt.folder / "inputs",
        cache=attempt.tools.cache,
        key_of=key_of,
        pool=attempt.tools.pool,
        absolute=attempt.absolute,
        fetch_inputs=attempt.control.fetch_inputs,
        on_progress=on_progress,
        say=attempt.spool.say,
        check=attempt.check,
        is_cached=not is_switched_on(spec, "VH_NO_DATA_CACHE"),
    )
    attempt.state.input_facts = transfer.bring()


def write_config(attempt: Attempt) -> None:
    """Write the files that tell the step about itself."""
    attempt.check()
    files = config_files(
        attempt.spec,
        attempt.layout,
        checksums=attempt.state.input_facts,
        calls=open_relay(attempt),
    )
    for name, content in files.items():
        path = attempt.folder / "config" / name
        path.with_suffix(".json").write_text(json.dumps(content, indent=2))
        path.with_suffix(".yaml").write_text(yaml.dump(content, Dumper=DUMPER, sort_keys=False))


def open_relay(attempt: Attempt) -> dict[str, Any]:
    """Open the relay, after a restart where it was; give the calls that it takes."""
    address = attempt.tools.runtime.relay_address(network_of(attempt.spec))
    if address is None:
        return {}
    state = attempt.state
    if attempt.relay is None:
        try:
            attempt.relay = Relay(
                address,
                state.relay_port,
                state.relay_token,
                attempt.control,
                attempt.absolute,
                attempt.tools.pool,
            )
        except OSError as error:
            # The step can do without; its status detail and on-demand inputs cannot.
            log.warning("no relay on %s: %s", address, error)
            return {}
        attempt.relay.start()
        state.relay_port, state.relay_token = attempt.relay.port, attempt.relay.token
        state.save()
    return attempt.relay.calls()


def bring_image(attempt: Attempt) -> None:
    """Make the image ready."""
    attempt.check()
    report = Report(
        progress=lambda done, total, unit: attempt.phases.progress("image", done, total, unit),
        say=attempt.spool.say,
        check=attempt.check,
    )
    image = attempt.tools.runtime.prepare_image(attempt.spec, report)
    attempt.state.image_digest = image.digest
    attempt.spool.say(image.sentence)


def start_step(attempt: Attempt) -> None:
    """Write the script, start it."""
    attempt.check()
    job, script = _job_of(attempt)
    path = attempt.folder / "control" / "script"
    path.write_text(script.text)
    path.chmod(0o755)
    attempt.state.handle = attempt.tools.runtime.start(job)
    attempt.state.started_at = time.time()
    attempt.spool.say("Started")


def _job_of(attempt: Attempt) -> tuple[Job, Script]:
    """Say what the runtime starts, and the script that it runs; the same all along."""
    script = build_script(
        attempt.spec.commands,
        marker=attempt.layout.marker,
        stop_at_first_error=attempt.spec.stop_at_first_error,
    )
    job = Job(
        spec=attempt.spec,
        folder=attempt.folder,
        layout=attempt.layout,
        env_vars=environment_of(attempt.spec, attempt.layout),
        argv=script.argv(attempt.layout.script),
    )
    return job, script
