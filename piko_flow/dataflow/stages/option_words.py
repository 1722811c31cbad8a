"""A stage's options in words, for drawings, plans and lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from piko_flow.counting import counted
from piko_flow.dataflow.stages.batch import Batch, Fold, Throttle
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Stage
from piko_flow.dataflow.stages.stage_options import CallOptions
from piko_flow.retry import Retry

BAD_ITEMS = {"skip": "skips errors", "dead_letter": "dead letters"}


def options_in_words(stage: Stage) -> Iterator[str]:
    """The options of the stage that differ from the usual, each a short phrase."""
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
