"""A server that accepts, says as much as it is told to, and then nothing more."""

from __future__ import annotations

import contextlib
import socket
import threading


class SilentServer:
    """`asked` is set when somebody has connected and sent something."""

    def __init__(self, says: bytes = b"") -> None:
        self.asked = threading.Event()
        self._says = says
        self._held: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            self._held.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            if connection.recv(1):
                connection.sendall(self._says)
                self.asked.set()
        except OSError:  # closed
            return

    def close(self) -> None:
        # Closing alone does not wake a thread in accept or recv.
        for one in (self._listening, *self._held):
            with contextlib.suppress(OSError):  # the other end has gone
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(10)
