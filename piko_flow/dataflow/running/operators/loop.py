"""One generated loop for a run of fused synchronous stages.

A loop written out for exactly these stages costs a function call and a few bytecodes an item and stage; chained
generators cost a frame switch more. Each stage has lines of its own, so the line of a traceback tells the stage
that failed and the frame's locals the item, without counting or calling anything twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from types import FrameType, TracebackType
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.graph.function import Signature, never_awaitable, signature_of
from piko_flow.dataflow.running.error_policy import ITEM_FAILURES, OnFailure
from piko_flow.dataflow.running.operators.awaitables import Look, no_coroutine
from piko_flow.dataflow.stages.batch import Batch, Fold
from piko_flow.dataflow.stages.routing import Fork, RouteFork
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.stage import Stage
from piko_flow.dataflow.stages.transform import Filter, FlatMap
from piko_flow.errors import NoBranch, TooManyKeys

PAUSE = 64  # a loop with a FlatMap pauses at the latest after so many items that one stage gave
FILE = "<fused loop>"
STAGES = "stages of lines"  # no name that a line could have


@dataclass(frozen=True)
class FusedStage:
    """A stage of the loop: its number in the graph, its function as it is to be called, and what follows a failure.

    `on_failure` is None where a failure ends the run. `name` is shown for a loop that is seen at work.
    """

    number: int
    stage: Stage
    call: Callable[..., Any]
    on_failure: OnFailure | None = None
    validate: Callable[[Any], Any] | None = None
    name: str = ""


@dataclass
class Loop:
    """The generated function and how to read it.

    `run(items, out, piece, ends)` takes an iterator over a list and the lists for what leaves, one for each
    output, and gives the counts named in `counters`. It looks at the clock after each `piece` items and leaves the
    rest in the iterator once it is past `ends`. `pauses` says that it is a generator instead, which yields after
    the first item that a stage gave, then after as many as it is sent, so that what it has made can be sent on,
    and returns the counts. `lines` maps a line to the number of its stage and the name of the variable that holds
    the item.
    """

    run: Callable[[Iterator[Any], Sequence[list[Any]], int, float], Any]
    pauses: bool
    lines: dict[int, tuple[int, str]]
    counters: list[tuple[int, str]]

    def blame(self, error: BaseException) -> tuple[int, Any] | None:
        """The number of the stage that raised and its item; None if the error is not from inside the loop."""
        found = self._traced(error.__traceback__)
        if found is None and isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
            found = self._traced(
                error.__cause__.__traceback__
            )  # no StopIteration gets out of a loop that pauses
        return found

    def _traced(self, trace: TracebackType | None) -> tuple[int, Any] | None:
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == FILE and trace.tb_frame.f_code.co_name == "loop":
                place = self.lines.get(trace.tb_lineno)
                return None if place is None else (place[0], trace.tb_frame.f_locals.get(place[1]))
            trace = trace.tb_next
        return None


def build_loop(stages: Sequence[FusedStage], state: dict[str, Any], *, careful: bool) -> Loop:
    """Write and compile the loop; what a fold or a batch holds between chunks is in `state`.

    It refuses coroutines and other awaitables as results of functions that do not say what they return. A careful
    one looks at those of every function; it is for the first items.
    """
    return _Writer(stages, state, careful).build()


def stage_in(frame: FrameType) -> str:
    """The name of the stage that a frame of a loop is calling; empty where it calls none or is another's frame."""
    if frame.f_code.co_filename != FILE:
        return ""
    return str(frame.f_globals[STAGES].get(frame.f_lineno, ""))


class _Writer:
    def __init__(self, stages: Sequence[FusedStage], state: dict[str, Any], careful: bool) -> None:
        self.stages, self.state, self.careful = stages, state, careful
        self.text: list[str] = []
        self.lines: dict[int, tuple[int, str]] = {}
        self.look = Look()
        self.names: dict[str, Any] = {
            **self.look.names,
            "Failures": ITEM_FAILURES,
            "islice": islice,
            "clock": monotonic,
        }
        self.counters: list[tuple[int, str]] = []
        self.prelude_lines: list[str] = []
        self.counted: list[str] = []
        self.depth = 0
        self.pauses = False

    def build(self) -> Loop:
        self.line("def loop(...):")
        self.depth = 1
        self.prelude("left = items.__length_hint__")
        self.line("while left():")
        self.depth = 2
        self.line("for x0 in islice(items, piece):")
        self.depth = 3
        item = "x0"
        for place, fused in enumerate(self.stages, start=1):
            item = self.stage(fused, place, item)
        if not self.stages or not _is_tail(self.stages[-1].stage):
            self.prelude("out_0 = out[0].append")
            self.line(f"out_0({item})")
        self.depth = 2
        self.line("if clock() >= ends: break")
        self.depth = 1
        self.line(f"return ({''.join(f'{name}, ' for name in self.counted)})")
        known = "".join(f", {name}={name}" for name in self.names)  # as locals they are found faster
        self.text[0] = f"def loop(items, out, piece, ends{known}):"
        self.text[1:1] = self.prelude_lines
        shift = len(self.prelude_lines)
        lines = {number + shift: blame for number, blame in self.lines.items()}
        names = {fused.number: fused.name for fused in self.stages}
        scope = {**self.names, STAGES: {line: names[number] for line, (number, _) in lines.items()}}
        exec(compile("\n".join(self.text), FILE, "exec"), scope)
        return Loop(scope["loop"], self.pauses, lines, self.counters)

    def prelude(self, text: str) -> None:
        self.prelude_lines.append("    " + text)

    def line(self, text: str, blame: tuple[int, str] | None = None) -> None:
        self.text.append("    " * self.depth + text)
        if blame is not None:
            self.lines[len(self.text)] = blame

    def count(self, fused: FusedStage, place: int, what: str) -> str:
        """A local counter for this stage, given back when the loop ends."""
        self.prelude(f"n{place} = 0")
        self.counted.append(f"n{place}")
        self.counters.append((fused.number, what))
        return f"n{place}"

    def stage(self, fused: FusedStage, place: int, item: str) -> str:
        """Write one stage; gives the variable that holds what it gives."""
        self.names[f"f{place}"] = fused.call
        if fused.validate is not None:
            self.names[f"v{place}"] = fused.validate
            item = self.guarded(fused, place, item, f"y{place} = v{place}({item})", f"y{place}")
        stage = fused.stage
        if isinstance(stage, Filter):
            return self.filter(fused, place, item)
        if isinstance(stage, FlatMap):
            return self.flat_map(fused, place, item)
        if isinstance(stage, Sink):
            return self.guarded(fused, place, item, self.given(fused, place, item, "result"), item)
        if isinstance(stage, Fold):
            return self.fold(fused, place, item, stage)
        if isinstance(stage, Batch):
            return self.batch(fused, place, item, stage)
        if isinstance(stage, RouteFork):
            return self.route(fused, place, item, stage)
        if isinstance(stage, Fork):
            self.prelude("out_0 = out[0].append")
            self.line(f"out_0({item})")
            return item
        return self.guarded(fused, place, item, self.given(fused, place, item, f"x{place}"), f"x{place}")

    def unsure(self, signature: Signature | None) -> bool:
        """Whether the results of a function might be awaitables, so that each is looked at."""
        return self.careful or not (signature is None or never_awaitable(signature.returns))

    def called(
        self, fused: FusedStage, place: int, arguments: str, look: Callable[[str], str] = Look.expression
    ) -> str:
        """The call as an expression, with a look at its result where that is needed."""
        call = f"f{place}({arguments})"
        return look(call) if self.unsure(getattr(fused.stage, "signature", None)) else call

    def given(self, fused: FusedStage, place: int, arguments: str, variable: str) -> str:
        """The call as a statement that keeps its result in the variable; quicker than the expression."""
        call = f"f{place}({arguments})"
        if not self.unsure(getattr(fused.stage, "signature", None)):
            return f"{variable} = {call}"
        self.prelude(f"seen{place} = None")
        return self.look.statement(variable, call, f"seen{place}", none=isinstance(fused.stage, Sink))

    def guarded(self, fused: FusedStage, place: int, item: str, text: str, result: str) -> str:
        """Write a line that calls the user's function; with a policy, its failures follow that and the loop goes on."""
        if fused.on_failure is None:
            self.line(text, (fused.number, item))
            return result
        self.names[f"s{place}"] = fused.on_failure
        self.line("try:")
        self.depth += 1
        self.line(text, (fused.number, item))
        self.depth -= 1
        self.line("except Failures as error:")
        self.depth += 1
        self.line(f"s{place}({item}, error)", (fused.number, item))
        self.line("continue")
        self.depth -= 1
        return result

    def filter(self, fused: FusedStage, place: int, item: str) -> str:
        counter = self.count(fused, place, "filtered")
        keep = self.called(fused, place, item, Look.truth)
        if fused.on_failure is None:
            self.line(f"if not {keep}:", (fused.number, item))
        else:
            self.guarded(fused, place, item, f"keep = {keep}", "keep")
            self.line("if not keep:")
        self.depth += 1
        self.line(f"{counter} += 1")
        self.line("continue")
        self.depth -= 1
        return item

    def flat_map(self, fused: FusedStage, place: int, item: str) -> str:
        self.pauses = True
        counter = self.count(fused, place, "emitted")
        several = self.called(fused, place, item)
        if fused.on_failure is not None:
            self.names[f"s{place}"] = fused.on_failure
            self.names["several"] = _several
            several = f"several(f{place}, {item}, s{place})"
        self.line(f"for x{place} in {several}:", (fused.number, item))
        self.depth += 1
        self.line(f"{counter} += 1")
        self.prelude(f"p{place} = 1")
        self.line(f"if {counter} >= p{place}:")
        self.line(f"    p{place} = {counter} + ((yield) or {PAUSE})")
        return f"x{place}"

    def fold(self, fused: FusedStage, place: int, item: str, stage: Fold[Any, Any]) -> str:
        self.names |= {"state": self.state, "first": stage.start}
        blame = (fused.number, item)
        if stage.key is None:
            if "value" not in self.state:
                self.state["value"] = no_coroutine(stage.start())
            called = self.called(fused, place, f"state['value'], {item}")
            self.line(f"state['value'] = {called}", blame)
            return item
        values = self.state.setdefault("values", {})
        self.names |= {"key": stage.key, "TooManyKeys": TooManyKeys, "values": values}
        key = f"key({item})"
        if self.unsure(signature_of(stage.key)):
            key = self.look.expression(key)
        self.line(f"k = {key}", blame)
        self.line("if k in values:", blame)
        self.line(f"    values[k] = {self.called(fused, place, f'values[k], {item}')}", blame)
        self.line(f"elif len(values) < {stage.max_keys}:", blame)
        self.line(f"    values[k] = {self.called(fused, place, f'check(first()), {item}')}", blame)
        self.line(f"else: raise TooManyKeys({stage.max_keys})", blame)
        return item

    def batch(self, fused: FusedStage, place: int, item: str, stage: Batch[Any]) -> str:
        self.names["state"] = self.state
        self.state.setdefault("held", [])
        self.prelude("out_0 = out[0].append")
        self.prelude("held = state['held']")
        self.line(f"held.append({item})")
        self.line(f"if len(held) >= {stage.count}:")
        self.depth += 1
        self.line("out_0(held)")
        self.line("held = state['held'] = []")
        self.depth -= 1
        return item

    def route(self, fused: FusedStage, place: int, item: str, stage: RouteFork) -> str:
        """Write the tests; with a policy, one that fails is treated as an item that no branch takes is."""
        self.names["NoBranch"] = NoBranch
        blame = (fused.number, item)
        if fused.on_failure is not None:
            self.line("try:")
            self.depth += 1
        for number, on in enumerate(stage.ons):
            self.prelude(f"out_{number} = out[{number}].append")
            self.names[f"t{number}"] = on.classes or on.test
            test = f"isinstance({item}, t{number})"
            if not on.classes:
                test = f"t{number}({item})"
                if self.unsure(signature_of(on.test)):
                    test = self.look.truth(test)
            self.line(f"{'if' if number == 0 else 'elif'} {test}:", blame)
            self.line(f"    out_{number}({item})")
        got = f"'no branch takes an item of type ' + type({item}).__name__"
        self.line("else:")
        self.line(f"    raise NoBranch({got})", blame)
        if fused.on_failure is not None:
            self.names[f"s{place}"] = fused.on_failure
            self.depth -= 1
            self.line("except Failures as error:")
            self.line(f"    s{place}({item}, error)", blame)
        return item


def _is_tail(stage: Stage) -> bool:
    return isinstance(stage, (Fork, Fold, Batch, Sink))


def _several(function: Callable[[Any], Iterable[Any]], item: Any, on_failure: OnFailure) -> Iterator[Any]:
    """What the function gives for an item; a failure on the way is given to `on_failure` and ends it."""
    try:
        iterator = iter(no_coroutine(function(item)))
    except ITEM_FAILURES as error:
        on_failure(item, error)
        return
    while True:
        try:
            following = next(iterator)
        except StopIteration:
            return
        except ITEM_FAILURES as error:
            on_failure(item, error)
            return
        yield following
