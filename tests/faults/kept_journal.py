"""A journal in a folder, for runs whose process is killed: each change is a file that is renamed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from piko_flow.control.runs.journal import text_of_units, units_of_text
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import AlreadyCommitted


class KeptJournal:
    """What runs have prepared and decided; of those that are committed the position of their sources, in order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def positions(self) -> list[Any]:
        """Where each committed run ended, the oldest first."""
        file = self._folder / "committed"
        return list(orjson.loads(file.read_bytes()).values()) if file.exists() else []

    async def prepared(self, run: str) -> Mapping[str, UnitResult]:
        """The units of the run that have prepared, by id."""
        files = sorted(self._folder.glob(f"{run}.prepared.*"))
        found = [units_of_text(file.read_text())[1][0] for file in files if not file.name.endswith("~")]
        return {result.unit: result for result in found}

    async def record(self, run: str, fingerprint: str, result: UnitResult) -> None:
        """Keep what a unit has prepared."""
        self._keep(f"{run}.fingerprint", fingerprint)
        number = next(iter(result.receipts.values())).part.number
        self._keep(f"{run}.prepared.{number}", text_of_units(fingerprint, [result]))

    async def fingerprint(self, run: str) -> str | None:
        """The fingerprint of the plan that prepared the run's units."""
        file = self._folder / f"{run}.fingerprint"
        return file.read_text() if file.exists() else None

    async def decide(self, run: str, results: Sequence[UnitResult]) -> None:
        """Store all receipts together with the decision to commit them."""
        self._keep(f"{run}.decided", text_of_units("", results))

    async def decision(self, run: str) -> Sequence[UnitResult] | None:
        """The decided results of a run that is not yet committed."""
        if run in self._committed():
            raise AlreadyCommitted(run=run)
        file = self._folder / f"{run}.decided"
        return units_of_text(file.read_text())[1] if file.exists() else None

    async def committed(self, run: str) -> None:
        """Forget all but the run's id and its position: everything it prepared is published."""
        results = units_of_text((self._folder / f"{run}.decided").read_text())[1]
        committed = self._committed() | {run: results[0].position}
        self._keep("committed", orjson.dumps(committed).decode())

    async def live(self) -> Collection[Part]:
        """The parts that runs have prepared and not yet committed."""
        committed = self._committed()
        files = [file for file in self._folder.glob("*.prepared.*") if not file.name.endswith("~")]
        names = {file.name.partition(".prepared.")[0] for file in files} - committed.keys()
        found = [result for name in sorted(names) for result in (await self.prepared(name)).values()]
        return [receipt.part for result in found for receipt in result.receipts.values()]

    def _committed(self) -> dict[str, Any]:
        file = self._folder / "committed"
        known: dict[str, Any] = orjson.loads(file.read_bytes()) if file.exists() else {}
        return known

    def _keep(self, name: str, text: str) -> None:
        file = self._folder / f"{name}~"
        file.write_text(text)
        file.replace(self._folder / name)
