"""What a container may use of the machine, as the engine's HostConfig."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent import wire
from agent.phases.failures import PhaseFailed

PIDS = 16384
SHARED_MEMORY_PART = 2
"""Of the machine's memory a container's /dev/shm may take one part in this many: data loaders of
several processes need it, and it is memory only when used."""


def host_limits(spec: wire.ExecutionSpec, *, has_gpus: bool) -> dict[str, Any]:
    """Give processors, processes, memory, shared memory and GPUs.

    Memory is limited where the environment says so: `memory_bytes` in runtime.json.
    """
    limits: dict[str, Any] = {
        "PidsLimit": PIDS,
        "ShmSize": _memory_bytes() // SHARED_MEMORY_PART,
        **cpu_limits(spec.env_vars.get("VH_CPU_LIMIT", "")),
    }
    memory_bytes = spec.runtime_config.get("memory_bytes")
    if isinstance(memory_bytes, int) and memory_bytes > 0:
        # Equal: a step that swaps is a step that hangs.
        limits |= {"Memory": memory_bytes, "MemorySwap": memory_bytes}
        limits["ShmSize"] = memory_bytes // SHARED_MEMORY_PART
    if has_gpus:
        limits["DeviceRequests"] = [{"Count": -1, "Capabilities": [["gpu"]]}]
    return limits


def cpu_limits(text: str) -> dict[str, Any]:
    """Read VH_CPU_LIMIT: a number of cores such as `2`, or core numbers such as `0,2,4`."""
    text = text.strip()
    if not text:
        return {}
    try:
        if "," in text or "-" in text:
            numbers = [str(int(part)) for part in text.replace("-", ",").split(",") if part]
            return {"CpusetCpus": text} if numbers else {}
        return {"NanoCpus": int(float(text) * 1e9)}
    except ValueError as error:
        raise PhaseFailed(
            "container_create_failed",
            f"VH_CPU_LIMIT is a number of cores or a list of core numbers, not {text!r}",
        ) from error


def _memory_bytes() -> int:
    words = Path("/proc/meminfo").read_text().split(maxsplit=2)
    return int(words[1]) * 1024
