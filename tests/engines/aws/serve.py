"""The process of the fake AWS world: moto's services behind our door, on one loopback port."""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.responses.general import General
from moto.iam import models as iam
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.engines.aws import clockwork, control, metadata, scaling
from tests.engines.aws.gate import Gate
from tests.engines.aws.state import world

POLICIES = ("AmazonEKS", "AmazonEC2ContainerRegistry")
"""How the names of AWS's own policies begin that our stacks attach; there are 1,500 others."""


class _Quiet(MotoRequestHandler):
    """One line a request would drown the rest of the log."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        pass


def _console_output(response: Any) -> ActionResult:
    instance_id = response._get_param("InstanceId")
    response.ec2_backend.get_instance(instance_id)
    text = world.console.get(instance_id, "")
    return ActionResult(
        {"InstanceId": instance_id, "Output": base64.b64encode(text.encode()).decode()}
    )


def _answer_consoles() -> None:
    for name in ("get_console_output",):
        setattr(General, name, _console_output)


def _keep_few_policies() -> None:
    """Leave those out that nobody here attaches: moto makes all of them anew at every reset."""
    every = json.loads(aws_managed_policies_data)
    few = {name: policy for name, policy in every.items() if name.startswith(POLICIES)}
    iam.__dict__["aws_managed_policies_data"] = json.dumps(few)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    os.environ["MOTO_PORT"] = str(chosen.port)
    world.dice.seed(chosen.seed)
    _keep_few_policies()
    scaling.install()
    _answer_consoles()
    ours = {control.PREFIX: control.application, metadata.PREFIX: metadata.application}
    gate = Gate(DomainDispatcherApplication(create_backend_app), ours)
    clockwork.start()
    make_server(
        "127.0.0.1", chosen.port, gate, threaded=True, request_handler=_Quiet
    ).serve_forever()


if __name__ == "__main__":
    main()
