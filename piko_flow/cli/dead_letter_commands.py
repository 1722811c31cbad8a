"""`piko-flow dead-letter`: items that failed for good, looked at, replayed, dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.cli.control_arguments import Limit, OnlyFlow
from piko_flow.cli.unknown_flow_notes import unknown_flow_notes
from piko_flow.cli.waiting_notes import show_notes
from piko_flow.counting import are, counted
from piko_flow.planning.run_state import LIVE, RunStatus

if TYPE_CHECKING:
    from piko_flow.control.dead_letters.window_completeness import Completeness
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_dead_letters import LetterPage, LetterView, WhichLetters
    from piko_flow.control.operations.plane_replays import ReplayRequest
    from piko_flow.store.records import DeadLetterRecord, LetterGroup

app = typer.Typer(help="Items that failed for good: list, show, replay and drop them.", no_args_is_help=True)
STATES = ("open", "replayed", "dropped", "all")
NAMED = 8  # characters of a fingerprint that name a group
TOLD = 100  # characters of an error in a table
NUMBERS = 20  # letters that one note names
ITEM = 4000  # characters of an item that are shown
Group = Annotated[
    str | None,
    typer.Option(
        "--group", metavar="GROUP", help="Only this group's, as the list names it.", show_default=False
    ),
]
State = Annotated[str, typer.Option("--state", help=f"Only in this state: {', '.join(STATES)}.")]
Numbers = Annotated[
    list[int] | None,
    typer.Argument(metavar="LETTER", help="Numbers of dead letters.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class Letters:
    """Which letters are meant: by number, or all open ones of a flow, of a group, or both."""

    numbers: Numbers = None
    flow: OnlyFlow = None
    group: Group = None

    def which(self) -> WhichLetters:
        """The same as the plane takes it. Raises BadParameter where it says nothing, or two things."""
        from piko_flow.control.operations.plane_dead_letters import WhichLetters

        if bool(self.numbers) == bool(self.flow or self.group):
            raise typer.BadParameter(
                "name dead letters by their numbers, or all open ones with --flow or --group"
            )
        return WhichLetters(tuple(self.numbers or ()), self.flow, self.group)


@app.command("list")
@asks(code=False, times=True)
def list_letters(
    asking: Asking,
    flow: OnlyFlow = None,
    group: Group = None,
    each: Annotated[bool, typer.Option("--each", help="One line a letter, not a group.")] = False,
    state: State = "open",
    before: Annotated[
        int | None,
        typer.Option(help="Only letters before this number, to go on after a page.", show_default=False),
    ] = None,
    limit: Limit = 20,
) -> None:
    """List open dead letters, those that failed alike as one group; or letter by letter, the newest first."""
    if state not in STATES:
        raise typer.BadParameter(f"--state is one of {', '.join(STATES)}, got {state!r}")
    if not each and group is None and state == "open" and before is None:
        _list_groups(asking, flow, limit)
        return
    wanted = None if state == "all" else state

    async def ask(plane: ControlPlane) -> tuple[LetterPage, list[str]]:
        found = await plane.dead_letters(flow=flow, group=group, state=wanted, before=before, limit=limit)
        return found, await unknown_flow_notes(plane, flow, found.letters)

    page, notes = asking.ask(ask)
    asking.answer(
        lambda: {"letters": page.letters, "before": page.before}, lambda: _show_page(page, asking.times())
    )
    show_notes(notes)


def _list_groups(asking: Asking, flow: str | None, limit: int) -> None:
    async def ask(plane: ControlPlane) -> tuple[list[LetterGroup], list[str]]:
        found = await plane.letter_groups(flow=flow, limit=limit)
        return found, await unknown_flow_notes(plane, flow, found)

    groups, notes = asking.ask(ask)
    asking.answer(lambda: {"groups": groups}, lambda: _show_groups(groups, asking.times()))
    show_notes(notes)


@app.command("show")
@asks(times=True)
def show_letter(
    asking: Asking,
    number: Annotated[
        int, typer.Argument(metavar="LETTER", help="The number of a dead letter.", show_default=False)
    ],
) -> None:
    """Show one: the item, its error, whether it can be replayed, and what its window lacks."""
    view = asking.ask(lambda plane: plane.dead_letter(number))
    asking.answer(lambda: {"letter": view}, lambda: _show(view, asking.times()))


@app.command("replay")
@asks()
def replay_letters(
    asking: Asking,
    letters: Letters,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the ends; exit with 1 unless all are replayed.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds that --wait waits at most.")] = 3600.0,
) -> None:
    """Queue runs that replay them: each enters at the stage that it failed at, with the code of today."""
    which = letters.which()

    async def ask(plane: ControlPlane) -> ReplayRequest:
        made = await plane.replay(which)
        return await _ended(plane, made, timeout, asking.times().exact) if wait else made

    made = asking.ask(ask)
    asking.answer(lambda: {"replay": made}, lambda: _tell_replays(made, waited=wait))
    well = all(run.status is RunStatus.SUCCESS and not run.error_msg for run in made.runs)
    if wait and not (well and not made.untaken):
        raise typer.Exit(1)


async def _ended(plane: ControlPlane, made: ReplayRequest, timeout: float, times: Times) -> ReplayRequest:
    """The request with its runs as they are when they have ended, or after so many seconds."""
    from piko_flow.cli.trigger_command import ended

    until, replays = plane.clock.monotonic() + timeout, []
    for one in made.replays:
        left = max(until - plane.clock.monotonic(), 0.0)
        replays.append(replace(one, run=await ended(plane, one.run, left, times)))
    return replace(made, replays=tuple(replays))


@app.command("drop")
@asks(code=False)
def drop(asking: Asking, letters: Letters) -> None:
    """Drop them for good: what the items were is kept no longer."""
    which = letters.which()
    dropped = asking.ask(lambda plane: plane.drop(which))
    told = f"{_letters(len(dropped))} dropped"
    asking.answer(lambda: {"dropped": [one.id for one in dropped]}, lambda: typer.echo(told))


def _show_groups(groups: list[LetterGroup], times: Times) -> None:
    from piko_flow.cli.tables import show_table, when

    rows = [
        (
            one.fingerprint[:NAMED],
            one.flow,
            one.example.stage,
            one.count,
            when(one.last, times),
            _error(one.example),
        )
        for one in groups
    ]
    show_table(
        ("group", "flow", "stage", "letters", "last", "error"),
        rows,
        right={"letters"},
        wraps={"flow", "stage", "last", "error"},
        notes={"last": times.name},
        empty="no dead letter",
    )


def _show_page(page: LetterPage, times: Times) -> None:
    from piko_flow.cli.tables import show_table, when

    rows = [
        (
            one.id,
            one.flow,
            one.stage,
            one.run or None,
            when(one.failed_at or one.created_at, times),
            one.attempt,
            one.state,
            _error(one),
        )
        for one in page.letters
    ]
    show_table(
        ("letter", "flow", "stage", "run", "failed", "attempt", "state", "error"),
        rows,
        right={"letter", "run", "attempt"},
        wraps={"flow", "stage", "failed", "error"},
        drops=("attempt", "run"),
        notes={"failed": times.name},
        empty="no dead letter",
    )
    if page.before is not None:
        typer.echo(f"more with --before {page.before}", err=True)


def _show(view: LetterView, times: Times) -> None:
    from piko_flow.cli.mistakes import printable
    from piko_flow.cli.tables import show_facts, span_text, when

    one = view.letter
    show_facts(
        [
            ("dead letter", f"{one.id} of {one.flow or 'no flow'}"),
            ("state", _state(one)),
            ("group", one.fingerprint[:NAMED]),
            ("stage", one.stage),
            ("sink", one.sink),
            ("failed in", one.place),
            ("run", one.run or ""),
            ("window", span_text(one.window, times)),
            ("complete", _completeness(view.window)),
            ("params", _params(view)),
            ("failed", when(one.created_at, times)),
            ("again", f"{when(one.failed_at, times)}, in attempt {one.attempt}" if one.failed_at else ""),
            ("error", one.error_msg),
            ("replay", "it can be replayed" if view.why_not == "" else view.why_not),
            ("item", f"{'a batch of ' if one.batch else ''}{one.model}"),
            ("times in", times.name),
        ]
    )
    shown = view.text or json.dumps(view.item, indent=2, ensure_ascii=False)
    typer.echo("\n" + printable(shown if len(shown) <= ITEM else f"{shown[:ITEM]}… (all of it with --json)"))
    if one.trace:
        typer.echo("\n" + printable(one.trace.rstrip()))


def _tell_replays(made: ReplayRequest, *, waited: bool) -> None:
    from piko_flow.control.runs.failure_record import error_text

    for one in made.replays:
        run = one.run
        error = error_text(run.error_type, run.error_msg)
        ended = f": {run.status}{f', {error}' if error else ''}"
        if run.status in LIVE:
            ended = f": still {run.status}, and --timeout is over" if waited else ""
        typer.echo(f"run {run.id} of {run.flow} replays {_letters(len(one.letters))}{ended}")
    for reason, letters in _left_open(made).items():
        typer.echo(f"note: left open: {_numbers(letters)}: {reason}", err=True)
    if made.more:
        typer.echo("note: there are more: replay again when these runs have ended", err=True)


def _left_open(made: ReplayRequest) -> dict[str, list[int]]:
    """The letters that were not taken, those of one reason together."""
    found: dict[str, list[int]] = {}
    for left in made.untaken:
        found.setdefault(left.reason.removeprefix(f"replay dead letter {left.letter}: "), []).append(
            left.letter
        )
    return found


def _numbers(letters: list[int]) -> str:
    if len(letters) == 1:
        return f"dead letter {letters[0]}"
    more = f" and {len(letters) - NUMBERS:,} more" if len(letters) > NUMBERS else ""
    return f"dead letters {', '.join(map(str, letters[:NUMBERS]))}{more}"


def _params(view: LetterView) -> str:
    """Which version of its row of parameters the run had, as their history numbers it."""
    if view.letter.params_version is None:
        return ""
    return (
        "a version that is not kept any more"
        if view.config_version is None
        else f"version {view.config_version}"
    )


def _state(letter: DeadLetterRecord) -> str:
    if letter.replay_run is None or letter.state == "dropped":
        return letter.state
    told = "replayed by" if letter.state == "replayed" else "taken last by"
    return f"{letter.state}, {told} run {letter.replay_run}"


def _completeness(found: Completeness | None) -> str:
    """What the letter's window lacks, in words; empty without a window."""
    if found is None:
        return ""
    if found.complete:
        return f"yes, {'the one item' if found.replayed == 1 else f'all {found.replayed:,} items'} that {'was' if found.replayed == 1 else 'were'} dead {are(found.replayed)} replayed"
    parts = {
        "open": found.open,
        "replayed": found.replayed,
        "dropped": found.dropped,
        "only counted": found.counted,
    }
    told = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
    return f"no: of the items that were dead {told}"


def _error(letter: DeadLetterRecord) -> str:
    text = " ".join(letter.error_msg.split())
    return text if len(text) <= TOLD else text[: TOLD - 1] + "…"


def _letters(letters: int) -> str:
    return counted(letters, "dead letter")
