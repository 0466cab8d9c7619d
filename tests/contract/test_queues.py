"""Every registered queue keeps to the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from control.plugins.queues.contract import QueueContract
from control.plugins.queues.memory import MemoryQueue
from control.plugins.queues.server import ServerProcess, start_server
from control.plugins.queues.valkey import ValkeyQueue


@pytest.fixture(scope="module")
def private_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("queue")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")  # so that the wheel's is taken
        server = start_server(folder, socket_path=folder / "queue.sock")
    yield server
    server.stop()


class TestMemoryQueue(QueueContract):
    @pytest.fixture
    def queue(self) -> MemoryQueue:
        return MemoryQueue.from_url("memory://", options={})


class TestValkeyQueueOverTcp(QueueContract):
    @pytest.fixture
    def queue(self, valkey_url: str) -> Iterator[ValkeyQueue]:
        queue = ValkeyQueue.from_url(valkey_url, options={})
        yield queue
        queue.close()


class TestValkeyQueueOverAPrivateSocket(QueueContract):
    """The embedded default: the server of the wheel, on a Unix socket."""

    @pytest.fixture
    def queue(self, private_server: ServerProcess) -> Iterator[ValkeyQueue]:
        with redis.Redis.from_url(private_server.url) as client:
            client.flushall()
        queue = ValkeyQueue.from_url(private_server.url, options={})
        yield queue
        queue.close()
