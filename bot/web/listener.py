"""The socket of the HTTP server: opened at the start, before there is a server to answer."""

from __future__ import annotations

import socket

#: Connections that wait to be accepted, and how many asyncio accepts at a time.
BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """Take the address; who connects waits for the server. Port 0: any that is free.

    Raises:
        OSError: the address is taken or not ours.
    """
    # Opened here, since uvicorn ends the whole process when it cannot. With the protocol named, without which
    # asyncio leaves TCP_NODELAY off, and each answer waits 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
