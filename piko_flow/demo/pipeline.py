"""The demo's pipeline: where were the storms, what was near, and how many might have struck it?"""

import os
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Final, Generic

from piko_flow.connectors.files import CsvSource, JsonLinesSink
from piko_flow.dataflow.stages.branching import Route
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.routing import On
from piko_flow.dataflow.stages.sink import Sink, SinkTarget, T_contra
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.dataflow.stages.transform import Parse, Transform
from piko_flow.demo.drift import assess
from piko_flow.demo.gazetteer import gazetteer, locate
from piko_flow.demo.model import STORMS, Cyclone, Remnant, Report
from piko_flow.demo.output import CYCLONES, DEFAULT_OUTPUT, REMNANTS, claim_folder
from piko_flow.demo.sqlite_target import SqliteTarget

# More would spend longer on starting than on the storms.
WORKERS: Final = max(1, min(4, os.cpu_count() or 1))


class Claimed(SinkTarget[T_contra], Generic[T_contra]):
    """Makes a target take nobody's place: it writes only in a folder of the demo's own."""

    path: Path

    async def lock(self, run: str) -> AbstractContextManager[object] | AbstractAsyncContextManager[object]:
        """Begin the run. Raises ForeignFolder, before anything is written."""
        claim_folder(self.path.parent)
        return await super().lock(run)


class CyclonesTable(Claimed[Cyclone], SqliteTarget[Cyclone]):
    """The table of cyclones."""


class RemnantsFile(Claimed[object], JsonLinesSink):
    """The file of everything else."""


def storm_pipeline(output: Path = DEFAULT_OUTPUT, *, reports: Path = STORMS) -> Pipeline:
    """Give the pipeline that judges half a century of storms and writes the result into a folder.

    Cyclones go to cyclones.sqlite, everything else to remnants.jsonl.gz; a second run leaves the same
    content. Composing touches nothing; the run fails with ForeignFolder, before it has read anything, when
    the folder holds what the demo did not write.
    """
    cyclones = CyclonesTable(Cyclone, output / CYCLONES, table="cyclones", key="report")
    remnants = RemnantsFile(output / REMNANTS)
    return (
        CsvSource(reports, name="reports")
        >> Parse(Report)
        >> Transform(locate, concurrency=32, timeout=10, uses={"gazetteer": gazetteer})
        >> CpuMap(assess, workers=WORKERS)
        >> Route(
            On(Cyclone, Sink(cyclones, batch=500, within=1.0)),
            On(Remnant, Sink(remnants, batch=500, within=1.0)),
        )
    )


storms = storm_pipeline()
