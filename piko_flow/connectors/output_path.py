"""Where a file sink writes: the names of its targets and of what is not yet published."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from piko_flow.dataflow.stages.sink import Part

UNIT: Final = "{unit}"
HELD: Final = "-held"


@dataclass(frozen=True)
class OutputPath:
    """A path whose name may hold `{unit}`, which stands for the number of a unit, from 00000.

    What is not yet published lies in the same folder, so that publishing is a rename, under names that begin
    with a dot and end in `.part`, so that no pattern for the targets matches them.
    """

    path: Path

    @property
    def by_unit(self) -> bool:
        """Whether each unit has a file of its own."""
        return UNIT in self.path.name

    @property
    def compress(self) -> bool:
        return self.path.name.endswith(".gz")

    def joins(self, part: Part) -> bool:
        """Whether the parts of this run become one file."""
        return part.units > 1 and not self.by_unit

    def target_name(self, part: Part) -> str:
        return self.path.name.replace(UNIT, f"{part.number:05d}")

    def part_name(self, part: Part) -> str:
        return self._hidden(part.token)

    def joined_name(self, run: str) -> str:
        """What the parts of a run are joined in before it is published."""
        return self._hidden(f"{run}-joined")

    def agreed_name(self, run: str) -> str:
        """Where the parts of a run agree on what they have in common."""
        return self._hidden(f"{run}-agreed")

    def held_name(self, run: str) -> str:
        """What is locked while the run lives."""
        return self._hidden(f"{run}{HELD}")

    def held_by(self, name: str) -> str | None:
        """The run whose lock has this name; None for any other file."""
        before, after = self._hidden("").removesuffix(".part"), f"{HELD}.part"
        return name.removeprefix(before).removesuffix(after) if name.endswith(after) else None

    def is_of(self, name: str, run: str) -> bool:
        """Whether a name is that of something unpublished of the run; in doubt, of one whose id begins like it."""
        return name.startswith(self._hidden(f"{run}-").removesuffix(".part"))

    def live_names(self, live: Collection[Part]) -> set[str]:
        """The names of everything unpublished that belongs to these parts."""
        runs = {part.run for part in live}
        return {
            *map(self.part_name, live),
            *map(self.joined_name, runs),
            *map(self.agreed_name, runs),
        }

    def belongs(self, name: str, run: str) -> bool:
        """Whether a name is that of a part of the run; in doubt, of another run whose id begins like it."""
        others = (self.agreed_name(run), self.joined_name(run), self.held_name(run))
        return self.is_of(name, run) and name not in others

    def is_unpublished(self, name: str) -> bool:
        """Whether a name is one that this path gives to what is not yet published."""
        return re.fullmatch(rf"{re.escape(f'.{self.path.name}~')}[^~]+\.part", name) is not None

    def is_target(self, name: str) -> bool:
        """Whether a name is that of a unit's file."""
        before, _, after = self.path.name.partition(UNIT)
        return re.fullmatch(rf"{re.escape(before)}\d{{5,}}{re.escape(after)}", name) is not None

    def _hidden(self, token: str) -> str:
        # The name of another target may begin like this one: the last ~ tells where the name ends.
        return f".{self.path.name}~{token.replace('~', '_')}.part"
