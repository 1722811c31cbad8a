"""Which version of a flow's parameters is in force when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from piko_flow.store.records import ParamsVersion


class ParamsBook:
    """The versions that were seen, newest first, by flow; those that can never be in force again are forgotten."""

    def __init__(self, versions: Iterable[ParamsVersion] = ()) -> None:
        self._versions: dict[str, list[ParamsVersion]] = {}
        self._by_id: dict[int, ParamsVersion] = {}
        for version in sorted(versions, key=lambda one: one.id):
            self.add(version)

    def add(self, version: ParamsVersion) -> None:
        """A newer version was seen; one seen before is not added again. Of refused ones the newest is kept."""
        known = self._versions.setdefault(version.flow, [])
        if any(version.id == one.id for one in known):
            return
        for one in known:
            if one.refused:
                self._by_id.pop(one.id, None)
        known[:] = [version, *(one for one in known if not one.refused)]
        self._by_id[version.id] = version

    def of_id(self, version: int) -> ParamsVersion | None:
        """The version of this id; None where it has been forgotten or was never seen."""
        return self._by_id.get(version)

    def newest(self, flow: str) -> ParamsVersion | None:
        """The version seen last, good or not."""
        return next(iter(self._versions.get(flow, ())), None)

    def told(self) -> list[str]:
        """The flows whose row was there when they were looked at last."""
        return [flow for flow, known in self._versions.items() if known and not known[0].deleted]

    def in_force(self, flow: str, now: datetime) -> ParamsVersion | None:
        """The newest good version whose `effective_from` has passed; None where the model's defaults hold."""
        version = self.at(flow, now)
        return None if version is None or version.deleted else version

    def coming(self, flow: str, now: datetime) -> list[ParamsVersion]:
        """The good versions that will be in force later, the next one first.

        One that a newer version comes before never will be: that is in force by then.
        """
        current, found, before = self.at(flow, now), list[tuple[datetime, ParamsVersion]](), None
        for one in self._versions.get(flow, ()):
            since = one.effective_from
            if one is current:
                break
            if not one.refused and since is not None and (before is None or since < before):
                found.append((since, one))
                before = since
        return [one for _, one in reversed(found)]

    def at(self, flow: str, now: datetime) -> ParamsVersion | None:
        """As `in_force`, or the version that says that the row has been deleted; those before it are forgotten."""
        known = self._versions.get(flow, [])
        for index, version in enumerate(known):
            if not version.refused and (version.effective_from is None or version.effective_from <= now):
                for older in known[index + 1 :]:
                    self._by_id.pop(older.id, None)
                del known[index + 1 :]
                return version
        return None
