"""The tree of errors that Piko Flow raises, each named for what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from piko_flow.url_passwords import without_url_passwords

NO_ITEM: Final = object()  # given as the item of a StageFailed that is not about one
SHOWN = 200  # characters of an item or a value that a message shows


def shorten(value: object, limit: int = SHOWN) -> str:
    """The value's repr, cut to `limit` characters, with passwords in URLs hidden; never raises."""
    try:
        text = without_url_passwords(
            repr(value)
        )  # before the cut: half a password would not be known for one
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


class PikoFlowError(Exception):
    """Base of all errors of this library."""


class PipelineError(PikoFlowError, ValueError):
    """A pipeline was written in a way that cannot run; raised while composing, before anything runs.

    `what` names the stage, `where` the file and line it was written at, `rule` what holds,
    `got` what was given instead, `advice` what to do.
    """

    def __init__(self, *, what: str, where: str, rule: str, got: str, advice: str = "") -> None:
        super().__init__(what, where, rule, got, advice)
        self.what, self.where, self.rule, self.got, self.advice = what, where, rule, got, advice

    def __str__(self) -> str:
        text = f"{self.what} ({self.where}): {self.rule}; {self.got}"
        return f"{text}. {self.advice}" if self.advice else text

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.args, dict(vars(self)))


class StageTypeError(PipelineError, TypeError):
    """Two neighbouring stages do not fit: what one gives is not what the other takes."""


class FlowError(PipelineError):
    """A flow was registered, or built its pipeline, in a way that cannot run; raised where it was written."""


class ScheduleError(PikoFlowError, ValueError):
    """A schedule, or a moment given with it, cannot be used; raised where it is made, before anything is planned.

    `what` names the part, `rule` what holds, `got` what was given instead, `advice` what to do.
    """

    def __init__(self, *, what: str, rule: str, got: str, advice: str = "") -> None:
        super().__init__(what, rule, got, advice)
        self.what, self.rule, self.got, self.advice = what, rule, got, advice

    def __str__(self) -> str:
        text = f"{self.what}: {self.rule}; got {self.got}"
        return f"{text}. {self.advice}" if self.advice else text

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.args, dict(vars(self)))


def committed_text(uncommitted_writes: tuple[str, ...]) -> str:
    """What there is of a run that was not committed, where these sinks wrote at once; a sentence without its full stop."""
    if not uncommitted_writes:
        return "Nothing was committed"
    noun = "sink" if len(uncommitted_writes) == 1 else "sinks"
    return f"What {noun} {', '.join(map(repr, uncommitted_writes))} wrote at once is there; nothing else was committed"


class RunError(PikoFlowError):
    """Base of what can end a run.

    `uncommitted_writes` names the sinks that write at once: what they had written by then, if anything, is not taken back.
    `leftovers` names what did not end when the run ended (threads, tasks), and remains that could not be removed.
    """

    uncommitted_writes: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()

    @property
    def committed(self) -> str:
        """What there is of a run that was not committed, as a sentence without its full stop."""
        return committed_text(self.uncommitted_writes)

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.args, dict(vars(self)))


class StageFailed(RunError):
    """A stage failed and its run was stopped; nothing was committed. The cause is `__cause__`.

    `stage` is the stage's name in the plan, `run` the run's id. `item` is what it was working on, which may be None;
    `has_item` is False when it was not about one item.
    """

    def __init__(self, *, stage: str, where: str, item: object, run: str, cause: BaseException | str) -> None:
        self.stage, self.where, self.run = stage, where, run
        self.has_item, self.item = item is not NO_ITEM, None if item is NO_ITEM else item
        self.reason = cause if isinstance(cause, str) else describe_error(cause)
        super().__init__(stage, run)

    def __str__(self) -> str:
        about = f" on item {shorten(self.item)}" if self.has_item else ""
        return f"stage {self.stage!r} ({self.where}) failed{about}: {self.reason} [run {self.run}]"


class ErrorBudgetExceeded(RunError):
    """More items were skipped or became dead letters than `max_errors` allows; nothing but what `uncommitted_writes` is there.

    `of` is how many items were read; None when the run was stopped at the first item too many. `stages` says how many
    were bad at which stage. `stage`, `where`, `item` and `reason` tell of the first, whose error is `__cause__`; they are
    empty (`item` None) where units in other processes kept it to themselves.
    """

    stages: Mapping[str, int] = {}

    def __init__(
        self, *, bad: int, of: int | None, allowed: int | float, run: str, first: StageFailed | None = None
    ) -> None:
        self.bad, self.of, self.allowed, self.run = bad, of, allowed, run
        self.stage, self.where, self.reason = (
            ("", "", "") if first is None else (first.stage, first.where, first.reason)
        )
        self.item = None if first is None else first.item
        super().__init__(bad, of, allowed, run)

    def __str__(self) -> str:
        rule = f"{self.allowed:.2%} of the items" if isinstance(self.allowed, float) else f"{self.allowed}"
        bad = f"{self.bad}" if self.of is None else f"{self.bad} of {self.of}"
        single = self.bad == 1 and self.of is None
        what = (
            "item was skipped or became a dead letter"
            if single
            else "items were skipped or became dead letters"
        )
        return f"{bad} {what}{self._stages}; max_errors allows {rule}. {self.committed}{self._first} [run {self.run}]"

    @property
    def _stages(self) -> str:
        if len(self.stages) < (2 if self.stage else 1):
            return ""
        return " at " + ", ".join(f"{stage!r} ({bad:,})" for stage, bad in self.stages.items())

    @property
    def _first(self) -> str:
        return f". The first: stage {self.stage!r} ({self.where}): {self.reason}" if self.stage else ""


class Unbalanced(RunError):
    """The counts of a finished run do not add up, so nothing was committed."""

    def __init__(self, *, lines: Iterable[str], run: str) -> None:
        self.lines, self.run = list(lines), run
        super().__init__(run)

    def __str__(self) -> str:
        committed = self.committed[0].lower() + self.committed[1:]
        return f"the counts of run {self.run} do not add up, {committed}: " + "; ".join(self.lines)


class ResourceFailed(RunError):
    """A resource of the run failed while stages used it, or when it was closed after all went well; nothing was committed.

    `names` has the name of that resource; those of all that were open where it is not known which of them it was.
    """

    def __init__(
        self,
        *,
        run: str,
        cause: BaseException,
        names: tuple[str, ...] = (),
        while_open: bool = False,
        while_opening: bool = False,
    ) -> None:
        self.run, self.reason = run, describe_error(cause)
        self.names, self.while_open, self.while_opening = names, while_open, while_opening
        super().__init__(run)

    def __str__(self) -> str:
        quoted = ", ".join(map(repr, self.names))
        what = (
            "a resource"
            if not quoted
            else f"resource {quoted}"
            if len(self.names) == 1
            else f"one of {quoted}"
        )
        when = "while stages used it" if self.while_open else "while it was closed"
        when = "while it was opened" if self.while_opening else when
        return f"{what} failed {when}: {self.reason}. {self.committed} [run {self.run}]"


class CommitFailed(RunError):
    """A sink, or the journal (then `sink` is empty), failed in the commit; committing again goes on from there."""

    def __init__(self, *, sink: str, run: str, cause: BaseException) -> None:
        self.sink, self.run, self.reason = sink, run, describe_error(cause)
        super().__init__(sink, run)

    def __str__(self) -> str:
        return (
            f"{f'sink {self.sink!r}' if self.sink else 'the journal'} failed to commit: {self.reason}. "
            f"The run {'is' if self.sink else 'may be'} decided: commit it again, do not run it again [run {self.run}]"
        )


class ResumeRefused(RunError):
    """A run cannot be resumed with a pipeline other than the one that began it."""

    def __init__(self, *, run: str) -> None:
        self.run = run
        super().__init__(run)

    def __str__(self) -> str:
        return (
            f"run {self.run} was begun by a pipeline with other stages or other code; "
            f"what it has prepared does not fit. Start a new run under another run_id"
        )


class AlreadyCommitted(RunError):
    """A run of this id has been committed; it is not run again."""

    def __init__(self, *, run: str) -> None:
        self.run = run
        super().__init__(run)

    def __str__(self) -> str:
        return (
            f"run {self.run} has been committed already and was not run again. A new run needs a new run_id"
        )


class TooManyKeys(PikoFlowError):
    """A keyed fold or transform met more different keys than it may hold."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"more than max_keys={limit} different keys; raise max_keys or fold by a coarser key"
        )
        self.limit = limit


class NoBranch(PikoFlowError, TypeError):
    """An item matched no branch of a Route."""


class CoroutineReturned(PikoFlowError, TypeError):
    """A plain function returned a coroutine (or a future, or another awaitable), which nobody would await."""


class CallCancelled(PikoFlowError):
    """A function raised CancelledError, or cancelled the task that called it, though nobody had cancelled the run."""

    def __init__(self) -> None:
        super().__init__("a function raised CancelledError or cancelled its task; nobody cancelled the run")


class CallExited(PikoFlowError):
    """A stage's function called `sys.exit`; one stage does not end the program, it fails. `code` is what it gave.

    With `interrupted` it was a job on the thread of runs, and raised KeyboardInterrupt where no key can interrupt.
    """

    def __init__(self, code: object, *, interrupted: bool = False) -> None:
        super().__init__(code)
        self.code, self.interrupted = code, interrupted

    def __str__(self) -> str:
        raised = "KeyboardInterrupt" if self.interrupted else f"SystemExit({self.code!r})"
        return f"the function raised {raised}; raise an error of your own to end the run"


class ThreadsStuck(PikoFlowError, TimeoutError):
    """No call of a stage could begin on a thread, since too many that were given up have not returned.

    `stage` is the stage's name, `calls` how many of its calls are stuck.
    """

    def __init__(self, stage: str, calls: int) -> None:
        super().__init__(stage, calls)
        self.stage, self.calls = stage, calls

    def __str__(self) -> str:
        return (
            f"no thread for a call of stage {self.stage!r}: {self.calls} calls that took longer than their timeout "
            f"have not returned, and a stage leaves no more behind. Bound the work inside the function, for example "
            f"by a timeout of its client"
        )


class ItemRejected(PikoFlowError):
    """Raised by a sink's `write` to say which item of the batch is to blame; the others are written again."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(index, reason)
        self.index, self.reason = index, reason

    def __str__(self) -> str:
        return f"item {self.index} of the batch was rejected: {self.reason}"


class StoreUnavailable(PikoFlowError):
    """The store could not be reached, is locked or read-only; whether the change was made is not known.

    `what` is what was asked, `reason` what the store said, without secrets. `text` is told instead of both.
    """

    def __init__(self, *, what: str, reason: str, text: str = "") -> None:
        super().__init__(text or f"the store did not answer when asked to {what}: {reason}")
        self.what, self.reason = what, reason


class NotRunning(StoreUnavailable):
    """The application was asked before it had started, or after it had stopped; nothing was changed.

    `state` says which; `advice` what to do, and is empty where that is to wait.
    """

    def __init__(self, *, name: str, state: str = "is starting", advice: str = "") -> None:
        reason = f"the application {name!r} {state}"
        text = f"{reason}, and answers nothing. {advice}" if advice else f"{reason}, and answers nothing yet"
        super().__init__(what="do that", reason=reason, text=text)
        self.advice = advice


class TermOutdated(PikoFlowError):
    """Another replica leads in a newer term; what this one wanted to write was refused and nothing was written."""

    def __init__(self, *, lease: str, term: int) -> None:
        super().__init__(f"term {term} of lease {lease!r} is over; a newer term exists")
        self.lease, self.term = lease, term


class LeadershipLost(PikoFlowError):
    """This replica leads no more; what was asked of it as the leader was not done."""

    def __init__(self, *, lease: str) -> None:
        super().__init__(f"this replica no longer holds the lease {lease!r}")
        self.lease = lease


class ClaimLost(PikoFlowError):
    """The run was taken from this replica (rescued, released or cancelled); nothing more of it is written."""

    def __init__(self, *, run: int, claim: int) -> None:
        super().__init__(f"claim {claim} of run {run} no longer holds; another replica may have the run")
        self.run, self.claim = run, claim


class RequestRefused(PikoFlowError, ValueError):
    """What was asked of the control half is against one of its rules; nothing was changed.

    `what` was asked, `rule` is what holds, `got` what was found, `advice` what to do.
    """

    def __init__(self, *, what: str, rule: str, got: str, advice: str = "") -> None:
        text = f"{what}: {rule}; {got}"
        super().__init__(f"{text}. {advice}" if advice else text)
        self.what, self.rule, self.got, self.advice = what, rule, got, advice


class RequestConflicts(RequestRefused):
    """What was to be changed is not as the one who asked has seen it; nothing was changed."""


class NotFound(RequestRefused):
    """What was asked about is not there: no run, flow, backfill, letter or version of this name or number."""


def describe_error(error: BaseException, limit: int | None = None) -> str:
    """The error's type and message without passwords in URLs, cut to `limit` characters; never raises."""
    try:
        text = str(error)
    except Exception as unprintable:
        text = f"<its message raised {type(unprintable).__name__}>"
    text = without_url_passwords(text)  # before the cut: half a password would not be known for one
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def _revive(kind: type[Exception], args: tuple[object, ...], state: dict[str, object]) -> Exception:
    """Make an error again from its pickled state, whatever its constructor takes."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    return error
