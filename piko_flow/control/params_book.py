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

    def in_force(self, flow: str, now: datetime) -> ParamsVersion | None:
        """The newest good version whose `effective_from` has passed; None where the model's defaults hold."""
        known = self._versions.get(flow, [])
        for index, version in enumerate(known):
            if not version.refused and (version.effective_from is None or version.effective_from <= now):
                for older in known[index + 1 :]:
                    self._by_id.pop(older.id, None)
                del known[index + 1 :]
                return version
        return None
