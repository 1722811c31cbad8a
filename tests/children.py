"""The child processes of the test process, besides the database servers that its tests share."""

import psutil

SERVERS = ("mariadbd", "postgres")


def own_children() -> list[psutil.Process]:
    """Children at any depth, alive or waiting to be reaped; servers and what they have started are not counted."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        if child.name() not in SERVERS:
            found += [child, *child.children(recursive=True)]
    return found
