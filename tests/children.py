"""The child processes of the test process, besides the servers that its tests share."""

import psutil

SERVERS = ("mariadbd", "postgres", "redis-server")


def own_children() -> list[psutil.Process]:
    """Children at any depth, alive or waiting to be reaped; servers and what they have started are not counted."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        if child.name() not in SERVERS and "moto.server" not in child.cmdline():
            found += [child, *child.children(recursive=True)]
    return found
