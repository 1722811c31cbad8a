"""The time zone of whoever looks at the terminal."""

from __future__ import annotations

import warnings
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from piko_flow.planning.zones import find_zone

SAME_AS_UTC = {"Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu"}


def viewer_zone() -> ZoneInfo:
    """The zone that TZ or the system names; UTC where neither names one of the IANA zone data."""
    from tzlocal import reload_localzone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a system without a zone, which is then UTC
        try:
            zone = reload_localzone()  # and not what it remembers: TZ may have changed in this process
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return find_zone("UTC")
    return find_zone("UTC") if zone.key in SAME_AS_UTC else zone
