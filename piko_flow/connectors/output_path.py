"""Where a file sink writes: the names of its targets and of what is not yet published."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from piko_flow.connectors.named_windows import MOMENT, Window, moment_of, moment_text
from piko_flow.dataflow.stages.sink import Part

UNIT: Final = "{unit}"
START: Final = "{start}"
END: Final = "{end}"
FLOW: Final = "{flow}"
HELD: Final = "-held"
WORD: Final = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class OutputPath:
    """A path, local or an object store's URL, that may hold what each run or unit fills in.

    `{unit}` stands for the number of a unit, from 00000, `{start}` and `{end}` for the window, in UTC, and
    `{flow}` for the flow's name, with %20 for a blank.

    What is not yet published lies in the folder that all runs share, so that publishing is a rename or a copy
    there, under names that begin with a dot and end in `.part`, so that no pattern for the targets matches them.
    """

    text: str

    @property
    def folder(self) -> str:
        """The folder that the targets of all flows have in common."""
        return self.text[: len(self.text) - len(self.inner)].rstrip("/") or (
            "/" if self.text.startswith("/") else "."
        )

    @property
    def inner(self) -> str:
        """What follows the folder."""
        pieces = self.text.split("/")
        first = next((number for number, piece in enumerate(pieces) if FLOW in piece), len(pieces) - 1)
        return "/".join(pieces[first:])

    @property
    def name(self) -> str:
        """The last piece."""
        return self.text.rpartition("/")[2]

    @property
    def by_unit(self) -> bool:
        """Whether each unit has a file of its own."""
        return UNIT in self.name

    @property
    def by_window(self) -> bool:
        """Whether each window has a file of its own."""
        return START in self.name

    @property
    def compress(self) -> bool:
        return self.name.endswith(".gz")

    def fault(self) -> tuple[str, str]:
        """The rule that the path breaks, and what came; empty texts if none."""
        folder = self.text.rpartition("/")[0]
        for word in WORD.findall(self.text):
            if word not in (UNIT, START, END, FLOW):
                return (
                    f"what a path fills in is {UNIT}, {START}, {END} or {FLOW}",
                    f"got {word} in {self.text}",
                )
        for place in (UNIT, START, END):
            if place in folder:
                return f"{place} may stand in the name of the file only", f"got {self.text}"
            if self.name.count(place) > 1:
                return f"{place} may stand in the name once", f"got {self.text}"
        if (START in self.name) != (END in self.name):
            rule = "{start} and {end} stand in a name together, so that windows that overlap can be told"
            return rule, f"got {self.text}"
        return "", ""

    def lacks(self, part: Part) -> str:
        """What the path needs and the run of the part does not have; empty if nothing."""
        if FLOW in self.text and not part.flow:
            return "{flow} stands for the flow of the run, which has none"
        if self.by_window and window_of(part) is None:
            return "{start} and {end} stand for the window of the run, which has none"
        return ""

    def joins(self, part: Part) -> bool:
        """Whether the parts of this run become one file."""
        return part.units > 1 and not self.by_unit

    def target_name(self, part: Part) -> str:
        """Where in the folder the part will be seen."""
        name = self.inner.replace(UNIT, f"{part.number:05d}")
        if window := window_of(part):
            name = name.replace(START, moment_text(window.start)).replace(END, moment_text(window.end))
        return name.replace(FLOW, _flow(part))

    def target_folder(self, part: Part) -> str:
        """The folder of the targets, seen from the folder; empty where it is the same."""
        return self.target_name(part).rpartition("/")[0]

    def is_target(self, name: str, part: Part) -> bool:
        """Whether a name in the target folder is that of a file of the part's flow."""
        return self._match(name, part) is not None

    def window_in(self, name: str, part: Part) -> Window | None:
        """The window in the name of a file of the part's flow."""
        found = self._match(name, part)
        if found is None or not self.by_window:
            return None
        try:
            return Window(moment_of(found["start"]), moment_of(found["end"]))
        except ValueError:
            return None

    def part_name(self, part: Part) -> str:
        return self._hidden(part.token)

    def joined_name(self, run: str) -> str:
        """What the parts of a run are joined in before it is published."""
        return self._hidden(f"{run}-joined")

    def agreed_name(self, run: str) -> str:
        """Where the parts of a run agree on what they have in common."""
        return self._hidden(f"{run}-agreed")

    def sink_name(self, run: str) -> str:
        """Where the parts of a run agree on the sink that writes them, in places that cannot lock."""
        return self._hidden(f"{run}-sink")

    def held_name(self, run: str) -> str:
        """What is locked while the run lives."""
        return self._hidden(f"{run}{HELD}")

    def shared_names(self, run: str) -> tuple[str, ...]:
        """What all parts of a run share."""
        return self.agreed_name(run), self.joined_name(run), self.sink_name(run)

    def held_by(self, name: str) -> str | None:
        """The run whose lock has this name; None for any other file."""
        before, after = self._hidden("").removesuffix(".part"), f"{HELD}.part"
        return name.removeprefix(before).removesuffix(after) if name.endswith(after) else None

    def is_of(self, name: str, run: str) -> bool:
        """Whether a name is that of something unpublished of the run; in doubt, of one whose id begins like it."""
        return name.startswith(self._hidden(f"{run}-").removesuffix(".part"))

    def live_names(self, live: Collection[Part]) -> set[str]:
        """The names of everything unpublished that belongs to these parts."""
        shared = {name for part in live for name in self.shared_names(part.run)}
        return {*map(self.part_name, live), *shared}

    def belongs(self, name: str, run: str) -> bool:
        """Whether a name is that of a part of the run; in doubt, of another run whose id begins like it."""
        return self.is_of(name, run) and name not in (*self.shared_names(run), self.held_name(run))

    def is_unpublished(self, name: str) -> bool:
        """Whether a name is one that this path gives to what is not yet published."""
        return (
            re.fullmatch(rf"{re.escape(self._hidden('').removesuffix('.part'))}[^~]+\.part", name) is not None
        )

    def _match(self, name: str, part: Part) -> re.Match[str] | None:
        pattern = re.escape(self.name.replace(FLOW, _flow(part)))
        for place, fits in (
            (UNIT, r"\d{5,}"),
            (START, f"(?P<start>{MOMENT})"),
            (END, f"(?P<end>{MOMENT})"),
        ):
            pattern = pattern.replace(re.escape(place), fits)
        return re.fullmatch(pattern, name)

    def _hidden(self, token: str) -> str:
        # The name of another target may begin like this one: the last ~ tells where the name ends.
        return f".{self.inner.replace('/', '+')}~{token.replace('~', '_')}.part"


def window_of(part: Part) -> Window | None:
    """The window of the part's run."""
    if part.window_start is None or part.window_end is None:
        return None
    return Window(part.window_start, part.window_end)


def _flow(part: Part) -> str:
    """The flow's name as a piece of a path; two flows never have the same."""
    name = quote(part.flow, safe="")
    return name.replace(".", "%2E") if name.strip(".") == "" else name
