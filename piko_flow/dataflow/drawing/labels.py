"""What a drawing says about a stage: its kind, its name, and the options that differ from the usual."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from piko_flow.counting import counted
from piko_flow.dataflow.graph.boxes import Box, Graph
from piko_flow.dataflow.stages.batch import Batch, Fold, Throttle
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.options import CallOptions
from piko_flow.dataflow.stages.routing import Join
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Stage
from piko_flow.retry import Retry

TAIL = 6  # letters at the end of a long name that a drawing keeps: a number or a suffix tells it from others
BAD_ITEMS = {"skip": "skips errors", "dead_letter": "dead letters"}


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
    return Label(stage.kind, one_line(name), tuple(map(one_line, _options(stage))))


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


def _options(stage: Stage) -> Iterator[str]:
    if isinstance(stage, Source):
        yield from _source_options(stage)
    elif isinstance(stage, Sink) and stage.target is not None:
        if stage.batch > 1:
            yield f"batch {stage.batch:,}"
        if stage.within is not None:
            yield f"within {_seconds(stage.within)}"
    elif isinstance(stage, CpuMap):
        yield "a worker a core" if stage.workers is None else counted(stage.workers, "worker")
        if not stage.ordered:
            yield "unordered"
    elif isinstance(stage, Batch):
        yield f"weight {stage.count:,}" if stage.weight else counted(stage.count, "item")
        if stage.within is not None:
            yield f"within {_seconds(stage.within)}"
    elif isinstance(stage, Throttle):
        yield f"{stage.count:,} in {_seconds(stage.per)}"
    elif isinstance(stage, Fold) and stage.key is not None:
        yield "by key"
    yield from _call_options(getattr(stage, "options", None) or stage)


def _source_options(stage: Source[Any]) -> Iterator[str]:
    if isinstance(stage.splits, Sequence):
        yield counted(len(stage.splits), "split")
    elif stage.splits is not None:
        yield "splits"
    if stage.max_items is not None:
        yield f"slices of {stage.max_items:,}"
    if stage.max_age is not None:
        yield f"slices of {_seconds(stage.max_age)}"


def _call_options(options: Any) -> Iterator[str]:
    """The options that many stages share, from a CallOptions or from a stage that has some of them itself."""
    if isinstance(options, CallOptions):
        if options.concurrency > 1:
            yield f"concurrency {options.concurrency:,}"
        if options.key is not None:
            yield "by key"
        elif not options.ordered and options.concurrency > 1:
            yield "unordered"
    if getattr(options, "on", "") == "thread":
        yield "on threads"
    retry = getattr(options, "retry", None)
    if isinstance(retry, Retry) and retry.attempts > 1:
        yield counted(retry.attempts, "attempt")
    timeout = getattr(options, "timeout", None)
    if isinstance(timeout, float | int):
        yield f"timeout {_seconds(timeout)}"
    if (bad := BAD_ITEMS.get(getattr(options, "on_error", ""))) is not None:
        yield bad
    if uses := getattr(options, "uses", None):
        yield f"uses {', '.join(uses)}"


def _seconds(value: float) -> str:
    return f"{value:g} s"
