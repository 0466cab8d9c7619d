"""Many connections that each POST in a closed loop: by wrk, else by our own generator."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.processes import BenchError, output_of

HERE = Path(__file__).resolve().parent
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked: the same body and token for both sides."""

    port: int
    path: str
    body: str
    authorization: str = "none"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the load saw."""

    per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


@cache
def wrk_program() -> str | None:
    """Find wrk; as root on Debian install it. None: our own generator is used."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing wrk, the load generator, with apt-get …", flush=True)
        try:
            output_of(
                ["apt-get", "install", "-y", "-q", "--no-install-recommends", "wrk"],
                env={"DEBIAN_FRONTEND": "noninteractive"},
            )
        except BenchError as error:
            print(f"wrk cannot be installed ({error}); using our own generator.", flush=True)
    return shutil.which("wrk")


def press(target: Target, connection_count: int, length_s: int) -> Load:
    """Press a server for `length_s` seconds on `connection_count` connections."""
    env = {"BENCH_BODY": target.body, "BENCH_AUTHORIZATION": target.authorization}
    wrk = wrk_program()
    if wrk is None:
        argv = [sys.executable, str(HERE / "load_generator.py"), "127.0.0.1", str(target.port)]
        argv += [target.path, str(connection_count), str(length_s)]
        return Load(**json.loads(output_of(argv, env=env, limit_s=length_s + 60)))
    url = f"http://127.0.0.1:{target.port}{target.path}"
    argv = [wrk, "-t1", f"-c{connection_count}", f"-d{length_s}s", "--latency", "--timeout", "20s"]
    printed = output_of([*argv, "-s", str(HERE / "load.lua"), url], env=env, limit_s=length_s + 60)
    return parse(printed)


def _milliseconds(text: str) -> float:
    value, unit = _groups(r"^([\d.]+)(us|ms|s)$", text)
    return float(value) * MILLISECONDS[unit]


def parse(printed: str) -> Load:
    """Read the summary that wrk prints."""
    (per_s,) = _groups(r"Requests/sec:\s+([\d.]+)", printed)
    (p50,) = _groups(r"^\s+50%\s+(\S+)", printed)
    (p99,) = _groups(r"^\s+99%\s+(\S+)", printed)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: (.*)", printed)
    lost = sum(int(number) for number in re.findall(r"\d+", broken[1])) if broken else 0
    return Load(
        per_s=float(per_s),
        p50_ms=_milliseconds(p50),
        p99_ms=_milliseconds(p99),
        errors=(int(refused[1]) if refused else 0) + lost,
    )


def _groups(pattern: str, printed: str) -> tuple[str, ...]:
    found = re.search(pattern, printed, re.MULTILINE)
    if found is None:
        raise BenchError(f"wrk printed something else: {printed[-500:]}")
    return found.groups()
