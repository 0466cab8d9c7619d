"""Starts the plug-in: prints its port, serves until the engine ends it."""

from __future__ import annotations

import logging
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from tests.engines.aws.provider import network, others, scaling, servers, storage
from tests.engines.aws.provider.server import Provider

TABLES = (network, others, scaling, servers, storage)  # importing them fills the table of types
_THREADS = 32
_MESSAGE_BYTES = 400 * 1024 * 1024


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    limits = [("grpc.max_receive_message_length", _MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def end(number: int, frame: Any) -> None:
        server.stop(grace=0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
