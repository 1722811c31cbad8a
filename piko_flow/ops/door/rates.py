"""How often somebody may do something: a bucket of tokens for each, refilled with time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """Lets each one do `burst` things at once and `rate` a second from then on.

    Remembers the `remembered` who did something last; one that was forgotten begins anew. For one loop.
    """

    def __init__(self, *, rate: float, burst: int, monotonic: Callable[[], float], remembered: int) -> None:
        self._rate, self._burst, self._monotonic = rate, burst, monotonic
        self._remembered = remembered
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, who: Hashable) -> float:
        """Seconds until this one may do something again; 0 if at once. Nothing is taken."""
        bucket = self._buckets.get(who)
        if bucket is None:
            return 0.0
        lacking = 1 - self._filled(bucket)
        return max(0.0, lacking / self._rate)

    def take(self, who: Hashable) -> float:
        """Do one thing: 0 if that is allowed, else the seconds to wait, and nothing is taken."""
        waits = self.wait(who)
        if waits > 0:
            return waits
        bucket = self._buckets.setdefault(who, _Bucket(self._burst, self._monotonic()))
        bucket.left, bucket.at = self._filled(bucket) - 1, self._monotonic()
        self._buckets.move_to_end(who)
        while len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
        return 0.0

    def _filled(self, bucket: _Bucket) -> float:
        return min(float(self._burst), bucket.left + (self._monotonic() - bucket.at) * self._rate)
