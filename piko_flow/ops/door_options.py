"""How the door behaves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

KILOBYTE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorOptions:
    """What the settings say about who may come in.

    `hosts` are names by which the server may be called besides its own; `proxies` the addresses of proxies whose word
    on who asks is taken; `body` is the bytes of a request's body that
    are taken; `rate` the requests a second of one token; `idle` how long a session lasts that is not used, `session`
    how long one lasts at all; `metrics_open` whether `/metrics` needs no token;
    `looked_again` how often it is asked while a stream lasts whether its visitor is still let in.
    """

    hosts: Collection[str] = ()
    proxies: Collection[str] = ()
    metrics_open: bool = False
    body: int = 1024 * KILOBYTE
    body_within: timedelta = timedelta(seconds=30)
    rate: int = 100
    at_once: int = 64
    idle: timedelta = timedelta(hours=12)
    session: timedelta = timedelta(days=30)
    remembered: timedelta = timedelta(seconds=2)
    looked_again: timedelta = timedelta(seconds=10)
