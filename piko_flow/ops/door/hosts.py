"""By which names a server may be called, and which pages may change something."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?", re.IGNORECASE)
LOCAL_NAMES: Final = ("localhost",)


def host_name(host: str) -> str | None:
    """The name in a Host header, in small letters, without port and brackets; None for what is no host."""
    found = HOST.fullmatch(host)
    return None if found is None else found[1].strip("[]").rstrip(".").lower()


def host_port(host: str, *, secure: bool) -> int:
    """The port in a Host header, as a browser understands one without."""
    found = HOST.fullmatch(host)
    given = None if found is None else found[2]
    return int(given) if given else 443 if secure else 80


def may_be_called(host: str, *, bound: str, allowed: Collection[str]) -> bool:
    """Whether a request with this Host header is meant for a server that is reached at the address `bound`.

    A page of another site can have its own name resolve to our address, and its scripts would talk to us as to
    their own server. Addresses cannot be made to resolve to others, so at an address that is not this computer's own
    loopback each one will do; names have to be this computer's or allowed.
    """
    name = host_name(host)
    if name is None:
        return False
    if name in LOCAL_NAMES or name in {one.lower() for one in allowed}:
        return True
    address, own = _address(name), _address(bound)
    if own is not None and own.is_loopback:
        return address is not None and address.is_loopback
    return address is not None or name in _names_of_this_computer()


def comes_from_own_page(*, host: str, origin: str | None, fetch_site: str | None) -> bool:
    """Whether a change was asked for by a page of this very server, as far as the browser tells.

    A program tells neither; a browser tells the origin with every form and script that changes something.
    """
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        return False
    if origin is None:
        return True
    try:
        place = urlsplit(origin)
    except ValueError:
        return False
    # The name with its port: pages of other ports of this computer are not ours.
    return place.scheme in ("http", "https") and place.netloc.lower() == host.lower()


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _names_of_this_computer() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0]}
