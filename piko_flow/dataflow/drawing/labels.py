"""What a drawing says about a stage: its kind, its name, and the options that differ from the usual."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from piko_flow.dataflow.graph.boxes import Box, Graph
from piko_flow.dataflow.stages.option_words import options_in_words
from piko_flow.dataflow.stages.routing import Join

TAIL = 6  # letters at the end of a long name that a drawing keeps: a number or a suffix tells it from others


@dataclass(frozen=True)
class Label:
    """A box's words: `name` is empty where the kind says it all, `options` are short phrases."""

    kind: str
    name: str
    options: tuple[str, ...]

    @property
    def title(self) -> str:
        """Kind and name on one line."""
        return f"{self.kind} {self.name}".rstrip()


def label_of(place: Box) -> Label:
    """The words for one stage of a graph; for the point where branches meet they are empty."""
    stage = place.stage
    if isinstance(stage, Join):
        return Label("", "", ())
    name = place.name
    if stage.name == stage.kind.lower():
        name = name.removeprefix(stage.name)
    return Label(stage.kind, one_line(name), tuple(map(one_line, options_in_words(stage))))


def labels_of(graph: Graph) -> list[Label]:
    """The words for every stage of a graph, by number."""
    return [label_of(place) for place in graph.boxes]


def wrapped(options: Sequence[str], limit: int) -> list[str]:
    """The phrases on as few lines of at most `limit` columns as their order allows."""
    lines: list[str] = []
    for option in options:
        joined = f"{lines[-1]} · {option}" if lines else option
        if lines and columns(joined) <= limit:
            lines[-1] = joined
        else:
            lines.append(cut(option, limit))
    return lines


def one_line(text: str) -> str:
    """The text without line breaks and control characters, which would break a drawing."""
    return "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(columns_of(letter) for letter in text)


def columns_of(letter: str) -> int:
    """How many columns of a terminal one character takes."""
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, limit: int, *, tail: int = 0) -> str:
    """The text in at most `limit` columns: an ellipsis stands for what is left out before the last `tail` letters."""
    if columns(text) <= limit:
        return text
    end = text[len(text) - tail :] if columns(text[len(text) - tail :]) <= limit // 2 else ""
    kept, taken = "", 1 + columns(end)
    for letter in text:
        taken += columns_of(letter)
        if taken > limit:
            break
        kept += letter
    return f"{kept.rstrip()}…{end}"
