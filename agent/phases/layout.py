"""What the step sees: directories, VH_* variables, the files of its config directory.

Source: client-contract.md 4.1 to 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from agent import wire
from agent.phases.failures import PhaseFailed

TRUE_WORDS = frozenset({"1", "yes", "true"})


@dataclass(frozen=True, slots=True)
class Layout:
    """The attempt's directories as the step names them."""

    repository: str = "/valohai/repository"
    inputs: str = "/valohai/inputs"
    outputs: str = "/valohai/outputs"
    config: str = "/valohai/config"
    control: str = "/valohai/.control"  # the script and the marker of its current item

    @property
    def script(self) -> str:
        """The generated script."""
        return f"{self.control}/script"

    @property
    def marker(self) -> str:
        """The number of the item that runs."""
        return f"{self.control}/item"


def environment_of(spec: wire.ExecutionSpec, layout: Layout) -> dict[str, str]:
    """Give all variables; users cannot override the platform's own."""
    fixed = {
        "VH_JOB_ID": f"exec-{spec.execution_id}",
        "VH_CONFIG_DIR": layout.config,
        "VH_INPUTS_DIR": layout.inputs,
        "VH_OUTPUTS_DIR": layout.outputs,
        "VH_REPOSITORY_DIR": layout.repository,
        "VH_EXECUTION_ID": spec.execution_id,
        "VH_PROJECT_ID": spec.project_id,
    }
    for variable, fact in (
        ("VH_TASK_ID", "valohai.task-id"),
        ("VH_PIPELINE_ID", "valohai.pipeline-id"),
        ("VH_PIPELINE_NODE_ID", "valohai.pipeline-node-id"),
    ):
        if spec.execution_facts.get(fact):
            fixed[variable] = str(spec.execution_facts[fact])
    return {"PYTHONUNBUFFERED": "1"} | spec.env_vars | fixed


def is_switched_on(spec: wire.ExecutionSpec, variable: str) -> bool:
    """Read one of the variables by which users steer the agent (client-contract.md 4.2)."""
    return spec.env_vars.get(variable, "").strip().lower() in TRUE_WORDS


def network_of(spec: wire.ExecutionSpec) -> str:
    """Name the network; the user's variable wins, as every distributed example needs."""
    return spec.env_vars.get("VH_DOCKER_NETWORK") or spec.network


def safe_relative(name: str, what: str) -> PurePosixPath:
    """Refuse a name that could leave its directory."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name or str(path) == ".":
        raise PhaseFailed("input_download_failed", f"{what} has an impossible file name: {name!r}")
    return path


def config_files(
    spec: wire.ExecutionSpec,
    layout: Layout,
    *,
    checksums: dict[str, dict[str, Any]],
    calls: dict[str, Any],
) -> dict[str, Any]:
    """Give the content of each file by its name without ending.

    `checksums`: what was read of each input file, by "input/name", with its `size`.
    `calls`: the entries of api.json; without any there is no such file.
    """
    files: dict[str, Any] = {
        "execution": spec.execution_facts,
        "inputs": {one.name: _input_entry(one, layout, checksums) for one in spec.inputs},
        "parameters": {key: value for key, value in spec.parameters.items() if value is not None},
        "runtime": spec.runtime_config,
    }
    if calls:
        files["api"] = calls
    return files


def _input_entry(
    given: wire.InputSpec, layout: Layout, checksums: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "files": [
            _file_entry(given, file, layout, checksums.get(f"{given.name}/{file.name}", {}))
            for file in given.files
        ]
    }
    if given.input_id is not None:
        entry["input_id"] = given.input_id
    return entry


def _file_entry(
    given: wire.InputSpec, file: wire.InputFile, layout: Layout, seen: dict[str, Any]
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": file.name,
        "path": f"{layout.inputs}/{given.name}/{file.name}",
        "uri": file.uri,
        "storage_uri": file.storage_uri,
        "datum_id": file.datum_id,
        "size": seen.get("size", file.size_bytes),
        "download_intent": given.download,
        "checksums": {**file.checksums, **{k: v for k, v in seen.items() if k != "size"}},
        "metadata": list(file.metadata),
    }
    if given.input_id is not None:
        entry["input_id"] = given.input_id
    return {key: value for key, value in entry.items() if value is not None}
