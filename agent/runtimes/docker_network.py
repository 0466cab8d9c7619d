"""Keeps containers from the cloud's metadata service, whose credentials are for the agent alone.

A rule in the chain DOCKER-USER, which the engine leaves to its operators and asks first for
everything that comes from a container's bridge. A container in the machine's own network
(`host`) is not held by it: there the machine's hop limit or firewall must do it.
Source: architecture.md decision 12, platform-behaviour.md AG-8.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess

METADATA_SERVICE = "169.254.169.254/32"
RULE = ("DOCKER-USER", "-d", METADATA_SERVICE, "-j", "REJECT")

log = logging.getLogger(__name__)


def block_metadata_service() -> bool:
    """Make sure of the rule; False, with a warning, where this agent may not."""
    program = shutil.which("iptables", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None or os.geteuid() != 0:
        log.warning(
            "containers are not kept from the cloud's metadata service: "
            "that needs root and iptables"
        )
        return False
    if _runs(program, "-C") or _runs(program, "-I"):
        return True
    log.warning("containers are not kept from the cloud's metadata service: iptables refuses")
    return False


def _runs(program: str, action: str) -> bool:
    try:
        ran = subprocess.run(
            [program, "-w", "5", action, *RULE], capture_output=True, check=False, timeout=15
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return ran.returncode == 0
