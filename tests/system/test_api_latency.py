"""An answer does not wait in the computer's own network."""

import socket

from piko_flow.app import listen


def test_what_is_written_to_a_connection_is_sent_at_once() -> None:
    with listen("127.0.0.1", 0) as address, socket.create_connection(address.getsockname()):
        accepted, _ = address.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
