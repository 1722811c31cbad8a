"""Which spans of event time are settled, and which have failed: merged intervals, as a value."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from piko_flow.planning.window import Window


class Mark(StrEnum):
    """What became of a span. All but `failed` are settled: the watermark passes over them."""

    DONE = "done"
    INCOMPLETE = "incomplete"
    SKIPPED = "skipped"
    FAILED = "failed"


SETTLED = frozenset({Mark.DONE, Mark.INCOMPLETE, Mark.SKIPPED})


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch `[start, end)` with one mark."""

    start: datetime
    end: datetime
    mark: Mark

    @property
    def window(self) -> Window:
        """The stretch alone."""
        return Window(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Spans in order, apart or touching with different marks; what no span covers is neither settled nor failed."""

    spans: tuple[Span, ...] = ()

    def settle(self, window: Window, mark: Mark) -> Ledger:
        """Everything in the window has this mark from now on, whatever it had."""
        return self._replaced(window, (Span(*window, mark),))

    def fill(self, window: Window, mark: Mark) -> Ledger:
        """What is not settled in the window gets this mark; failed marks there are dropped."""
        kept = [
            Span(*clipped, span.mark)
            for span in self._touching(window)
            if span.mark in SETTLED and (clipped := clip(span.window, window))
        ]
        filled = [Span(*hole, mark) for hole in self.unsettled(window)]
        return self._replaced(window, tuple(sorted((*kept, *filled), key=_start)))

    def add(self, pieces: Iterable[Window], mark: Mark) -> Ledger:
        """Give the mark to pieces that have none, in one go however many they are."""
        added = (Span(*piece, mark) for piece in pieces)
        return Ledger(tuple(_merged(sorted((*self.spans, *added), key=_start))))

    def fail(self, window: Window) -> Ledger:
        """What is not settled in the window is marked failed: a failure takes back nothing that was settled."""
        return self.fill(window, Mark.FAILED)

    def clear(self, window: Window) -> Ledger:
        """Nothing in the window is settled or failed any more."""
        return self._replaced(window, ())

    def unsettled(self, window: Window) -> tuple[Window, ...]:
        """The pieces of the window that are not settled, in order."""
        return self._without(window, SETTLED)

    def untouched(self, window: Window) -> tuple[Window, ...]:
        """The pieces of the window that are neither settled nor failed, in order."""
        return self._without(window, frozenset(Mark))

    def is_settled(self, window: Window) -> bool:
        """Whether all of the window is settled."""
        return not self.unsettled(window)

    def marked(self, window: Window, marks: Iterable[Mark]) -> tuple[Window, ...]:
        """The pieces of the window that carry one of the marks, in order; touching pieces are one."""
        near = self._touching(window)
        if not near:
            return ()
        wanted, (first, last) = frozenset(marks), window
        pieces: list[Window] = []
        for span in near:
            start, end = max(span.start, first), min(span.end, last)
            if span.mark not in wanted or start >= end:
                continue
            if pieces and pieces[-1].end == start:
                start = pieces.pop().start
            pieces.append(_window(start, end))
        return tuple(pieces)

    def settled_until(self, instant: datetime) -> datetime:
        """The end of the settled stretch that begins at, or goes on over, the instant; the instant if there is none."""
        spans = self.spans
        for index in range(bisect_right(spans, instant, key=_end), len(spans)):
            span = spans[index]
            if span.start > instant or span.mark not in SETTLED:
                break
            instant = span.end
        return instant

    def _touching(self, window: Window) -> tuple[Span, ...]:
        if (
            not self.spans or self.spans[-1].end < window.start
        ):  # mostly, planning is ahead of all that is settled
            return ()
        first = bisect_left(self.spans, window.start, key=_end)
        last = bisect_right(self.spans, window.end, key=_start)
        return self.spans[first:last]

    def _without(self, window: Window, marks: frozenset[Mark]) -> tuple[Window, ...]:
        taken = self.marked(window, marks)
        if not taken:
            return (window,)
        pieces, at = [], window.start
        for covered in taken:
            if covered.start > at:
                pieces.append(_window(at, covered.start))
            at = covered.end
        if at < window.end:
            pieces.append(_window(at, window.end))
        return tuple(pieces)

    def _replaced(self, window: Window, by: tuple[Span, ...]) -> Ledger:
        """The spans that touch the window are cut at its edges, what lies between is `by`, equal neighbours join."""
        first = bisect_left(self.spans, window.start, key=_end)
        last = bisect_right(self.spans, window.end, key=_start)
        near = self.spans[first:last]
        left = [Span(s.start, min(s.end, window.start), s.mark) for s in near if s.start < window.start]
        right = [Span(max(s.start, window.end), s.end, s.mark) for s in near if s.end > window.end]
        return Ledger((*self.spans[:first], *_merged((*left, *by, *right)), *self.spans[last:]))


def clip(window: Window, to: Window) -> Window | None:
    """The part of the window that lies inside the other; None where they only touch or are apart."""
    start, end = max(window.start, to.start), min(window.end, to.end)
    return _window(start, end) if start < end else None


def joined(pieces: Iterable[Window]) -> tuple[Window, ...]:
    """Windows in order of their start, with those that touch or overlap made one."""
    result: list[Window] = []
    for piece in pieces:
        if result and piece.start <= result[-1].end:
            result[-1] = _window(result[-1].start, max(piece.end, result[-1].end))
        else:
            result.append(piece)
    return tuple(result)


def minus(pieces: Iterable[Window], taken: Iterable[Window]) -> tuple[Window, ...]:
    """What is left of the pieces when everything in `taken` is cut out."""
    left = list(pieces)
    for hole in taken:
        left = [part for piece in left for part in _cut(piece, hole)]
    return tuple(left)


def _cut(piece: Window, hole: Window) -> list[Window]:
    if hole.start >= piece.end or hole.end <= piece.start:
        return [piece]
    edges = ((piece.start, hole.start), (hole.end, piece.end))
    return [_window(start, end) for start, end in edges if start < end]


def _window(start: datetime, end: datetime) -> Window:
    """A window whose edges come from windows and are in order: nothing to check."""
    return tuple.__new__(Window, (start, end))


def _merged(spans: Iterable[Span]) -> list[Span]:
    result: list[Span] = []
    for span in spans:
        if result and result[-1].mark == span.mark and result[-1].end == span.start:
            result[-1] = Span(result[-1].start, span.end, span.mark)
        else:
            result.append(span)
    return result


def _start(span: Span) -> datetime:
    return span.start


def _end(span: Span) -> datetime:
    return span.end
