"""Something between a client and a server that breaks when it is told to: a network, and a short one."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

from syncfsm.postgres.address import parse

Break = Literal["before", "after"]
"""The next thing that is sent does not reach the server; or it does, and its answer does not come back."""


class Proxy:
    """Listens on a port of this machine, and passes all on to a server.

    Attributes:
        port: Where it listens.
        breaks: How it breaks next; null if it does not.
        skips: How many times it does not break before it does.
        is_deaf: Whether it takes no new connection.
        sent: How often a client sent something and waited: the round trips.
    """

    def __init__(self, url: str) -> None:
        found = conninfo_to_dict(parse(url).conninfo)
        self._server = f"{found['host']}/.s.PGSQL.{found.get('port', 5432)}"
        self.breaks: Break | None = None
        self.skips = 0
        self.is_deaf = False
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):  # which is how it ends
            while True:
                client, _ = self._listener.accept()
                if self.is_deaf:
                    client.close()
                else:
                    threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with client, server, suppress(OSError):
            server.connect(self._server)
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(2**16)
                    if not data or self._broken(ready is client):
                        return
                    (server if ready is client else client).sendall(data)

    def _broken(self, from_client: bool) -> bool:
        self.sent += from_client
        if self.breaks != ("before" if from_client else "after"):
            return False
        if self.skips:
            self.skips -= 1
            return False
        self.breaks = None
        return True

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def a_proxy(url: str) -> Iterator[tuple[Proxy, str]]:
    """Yield a proxy before a server, and the URL that leads through it."""
    proxy = Proxy(url)
    try:
        schema = url.rpartition("schema=")[2]
        yield (
            proxy,
            f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?sslmode=disable&gssencmode=disable&schema={schema}",
        )
    finally:
        proxy.close()
