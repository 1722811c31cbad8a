"""Dead letters are replayed by a run of their own, which enters at the failed stage with the code of today."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from piko_flow import Fold, Parse, Pipeline, Sink, SinkTarget, Source, Transform
from piko_flow.connectors.sql import SqlSink
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.control.runs.execution import ActiveExecution, RunOrder
from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch
from tests.unit.dead_letter_worlds import World, odd, over, tenfold
from tests.unit.executing import REPLICA


class Order(BaseModel):
    number: int
    due: datetime | None = None


@pytest.fixture
def world() -> World:
    return World()


async def test_a_replay_enters_at_the_failed_stage_with_the_code_of_today(world: World) -> None:
    out: list[int] = []
    flow = world.register(over([1, 2, 3, 4], odd, out))
    await world.run(flow)
    assert (out, [one.payload for one in await world.letters()]) == (
        [1, 3],
        ['{"type":"int","value":2}', '{"type":"int","value":4}'],
    )
    world.register(over([1, 2, 3, 4], tenfold, out))
    outcome = await world.replay(1, 2)
    assert (outcome.status, outcome.dead_items) == (RunStatus.SUCCESS, 0)
    assert out == [1, 3, 20, 40]
    assert [one.state for one in await world.letters(None)] == ["replayed", "replayed"]


async def test_a_letter_that_fails_again_stays_open_with_its_new_error(world: World) -> None:
    out: list[int] = []
    await world.run(world.register(over([2, 4], odd, out)))
    before = await world.letters()

    world.register(over([], four_alone, out), max_errors=0)
    outcome = await world.replay(1, 2)
    assert (out, outcome.status, outcome.dead_items) == ([2], RunStatus.SUCCESS, 0)
    assert outcome.error_msg == "1 of 2 dead letters failed again"
    [again] = await world.letters()
    assert (again.id, again.attempt, again.error_type, again.payload) == (2, 2, "KeyError", before[1].payload)
    assert again.fingerprint != before[1].fingerprint
    assert [one.state for one in await world.letters(None)] == ["replayed", "open"]


async def test_a_replay_whose_run_fails_settles_no_letter(world: World) -> None:
    await world.run(world.register(over([2], odd, [])))

    def full(number: int) -> None:
        raise OSError("the disk is full")

    world.register(Source(range(0)) >> Transform(tenfold, name="check") >> Sink(full))
    outcome = await world.replay(1)
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "OSError")
    assert [one.state for one in await world.letters(None)] == ["open"]
    out: list[int] = []
    world.register(over([], tenfold, out))
    await world.replay(1)
    assert out == [20]


async def test_what_fails_behind_the_stage_becomes_a_letter_of_the_replay(world: World) -> None:
    await world.run(world.register(over([2], odd, [])))
    behind = Transform(odd, name="behind", on_error="dead_letter")
    world.register(Source(range(0)) >> Transform(tenfold, name="check") >> behind >> Sink(str))
    outcome = await world.replay(1)
    assert outcome.dead_items == 1
    first, second = await world.letters(None)
    assert (first.state, second.state, second.stage, second.run) == ("replayed", "open", "behind", 2)


async def test_items_are_models_again_with_all_that_json_can_tell(world: World) -> None:
    orders = [Order(number=1), Order(number=2, due=datetime(2026, 1, 1, tzinfo=UTC))]

    def refuse(order: Any) -> Any:
        raise ValueError(f"order {order.number}")

    await world.run(world.register(over(orders, refuse, [])))
    out: list[Order] = []
    world.register(over([], lambda order: order, out))
    await world.replay(1, 2)
    assert out == orders


async def test_a_batch_that_failed_enters_item_by_item_and_keeps_what_failed_again(world: World) -> None:
    class Writer(SinkTarget[int]):
        def __init__(self, refused: set[int], written: list[int]) -> None:
            self.refused, self.written = refused, written

        async def write(self, items: Any, /) -> None:
            if self.refused & set(items):
                raise OSError(f"refused {sorted(self.refused & set(items))}")
            self.written += items

    written: list[int] = []

    def into(refused: set[int], batch: int) -> Pipeline:
        return Source([1, 2, 3]) >> Sink(
            Writer(refused, written), name="write", batch=batch, on_error="dead_letter"
        )

    await world.run(world.register(into({2}, 3)))
    [letter] = await world.letters()
    assert (letter.batch, letter.model, written) == (True, "int", [])
    world.register(into({2}, 1))
    await world.replay(1)
    [letter] = await world.letters()
    assert (letter.attempt, letter.payload) == (
        2,
        '{"type": "list", "value": [2], "model": "int", "items": 3}',
    )
    world.register(into(set(), 1))
    await world.replay(1)
    assert (sorted(written), await world.letters()) == ([1, 2, 3], [])


async def test_of_equal_items_each_is_one_letter(world: World) -> None:
    await world.run(world.register(over([2, 2, 2], odd, [])))
    calls: list[int] = []

    def third_alone(number: int) -> int:
        calls.append(number)
        if len(calls) < 3:
            raise ValueError("not yet")
        return number

    world.register(over([], third_alone, []))
    await world.replay(1, 2, 3)
    assert [one.state for one in await world.letters(None)].count("replayed") == 1


def plus(total: int, item: int) -> int:
    return total + item


def refused_pipelines() -> list[tuple[str, Pipeline, str]]:
    source, check = Source([2]), Transform(odd, name="check", on_error="dead_letter")
    total: Fold[int, int] = Fold(plus, start=int)
    window: Any = SqlSink(
        table="t", columns=["due"], mode="replace_window", window_column="due", url="sqlite:///t.db"
    )
    return [
        ("fold", source >> check >> total >> Sink(str), "makes one value of all items"),
        ("replace", source >> check >> Sink(window), "replaces all that its window wrote"),
        ("gone", source >> Transform(odd, name="other") >> Sink(str), "'check' is gone; there are other"),
        ("model", source >> Parse(Order) >> Transform(of_order, name="check") >> Sink(str), "must fit Order"),
    ]


def of_order(order: Order) -> Order:
    return order


REFUSED = refused_pipelines()


@pytest.mark.parametrize(
    ("pipeline", "reason"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED]
)
async def test_a_replay_is_refused_where_it_would_be_wrong(
    world: World, pipeline: Pipeline, reason: str
) -> None:
    await world.run(world.register(over([2], odd, [])))
    world.register(pipeline)
    with pytest.raises(RequestRefused, match="replay dead letter 1") as caught:
        await world.replay(1)
    assert reason in str(caught.value)
    assert caught.value.advice == "Run the flow again instead: piko-flow trigger orders"
    assert [one.replay_run for one in await world.letters()] == [None]


async def test_letters_that_cannot_be_replayed_are_told_and_the_others_are(world: World) -> None:
    def refuse(item: Any) -> Any:
        raise ValueError("no")

    await world.run(
        world.register(over([1, object(), {"at": datetime(2026, 1, 1, tzinfo=UTC)}, 4], refuse, []))
    )
    out: list[Any] = []
    world.register(over([], lambda item: item, out))
    asked = await world.plane.replay(WhichLetters(flow="orders"))
    assert [one.letters for one in asked.replays] == [(1, 4)]
    assert [one.letter for one in asked.untaken] == [2, 3]
    assert "only a text for people was kept" in asked.untaken[0].reason
    assert "kept as text, and nothing says what they are" in asked.untaken[1].reason


async def test_a_letter_is_given_to_one_replay_at_a_time(world: World) -> None:
    flow = world.register(over([2], odd, []))
    await world.run(flow)
    world.register(over([], tenfold, []))
    await world.plane.replay(WhichLetters((1,)))
    with pytest.raises(RequestRefused, match="run 2 replays 1 already"):
        await world.plane.replay(WhichLetters((1,)))


async def test_a_replay_that_finds_no_letter_ends_well(world: World) -> None:
    await world.run(world.register(over([2], odd, [])))
    world.register(over([], tenfold, []))
    [run] = (await world.plane.replay(WhichLetters((1,)))).runs
    world.store._rows.letters.clear()
    await world.store.write(Batch(REPLICA, admit=[run.id]))
    [claimed] = (await world.store.write(Batch(REPLICA, claim=[run.id]))).claimed
    assert (await world.finish(claimed)).status is RunStatus.SUCCESS


class Lasting(SinkTarget[Any]):
    """Keeps what it prepared, and fails at the first commit."""

    def __init__(self, committed: list[Any], failures: list[Exception]) -> None:
        self.committed, self.failures = committed, failures

    async def open(self, part: Part) -> None:
        await super().open(part)
        self.rows: list[Any] = []

    async def write(self, items: Any, /) -> None:
        self.rows += items

    async def prepare(self) -> Receipt:
        return Receipt(self.part, len(self.rows), {"rows": self.rows})

    async def commit(self, receipts: Any) -> list[str]:
        if self.failures:
            raise self.failures.pop()
        self.committed += [row for receipt in receipts for row in receipt.data["rows"]]
        return []


async def test_a_replay_that_dies_amid_its_commit_is_carried_on_and_knows_what_failed_again(
    world: World,
) -> None:
    await world.run(world.register(over([2, 4, 6], odd, [])))
    committed: list[Any] = []

    check = Transform(four_alone, name="check", on_error="dead_letter")
    world.register(Source(range(0)) >> check >> Sink(Lasting(committed, [OSError("gone")]), batch=10))
    [run] = (await world.plane.replay(WhichLetters((1, 2, 3)))).runs
    await world.store.write(Batch(REPLICA, admit=[run.id]))
    [claimed] = (await world.store.write(Batch(REPLICA, claim=[run.id]))).claimed
    flow = world.plane.registered("orders")
    outcome = await ActiveExecution(RunOrder(claimed, flow), world.tools).run()
    assert (outcome.status, outcome.decided, committed) == (RunStatus.FAILED, True, [])
    outcome = await world.finish(await world.claimed_again(claimed))
    assert (outcome.status, committed) == (RunStatus.SUCCESS, [2, 6])
    assert [(one.state, one.error_type) for one in await world.letters(None)] == [
        ("replayed", "ValueError"),
        ("open", "KeyError"),
        ("replayed", "ValueError"),
    ]


class Settings(BaseModel):
    region: str


class Narrower(BaseModel):
    region: Literal["us"]


async def test_a_replay_has_the_parameters_of_its_run_and_is_refused_where_they_fit_no_more(
    world: World,
) -> None:
    seen: list[Any] = []

    def build(run: RunContext[Any]) -> Pipeline:
        seen.append(run.params)
        return over([2], odd, [])

    await world.run(world.register(build, params=Settings), params='{"region": "eu"}')
    seen.clear()
    await world.replay(1)
    assert seen == [Settings(region="eu")] * 2
    world.register(build, params=Narrower)
    with pytest.raises(
        RequestRefused, match=r"replayed with the parameters of its run.*region: Input should be 'us'"
    ):
        await world.plane.replay(WhichLetters((1,)))


async def test_code_that_gives_no_pipeline_any_more_is_told(world: World) -> None:
    await world.run(world.register(over([2], odd, [])))

    def broken(run: RunContext[Any]) -> Pipeline:
        raise LookupError("no table")

    async def job(run: RunContext[Any]) -> None: ...

    world.register(broken)
    with pytest.raises(RequestRefused, match="building it raised LookupError: no table"):
        await world.plane.replay(WhichLetters((1,)))
    world.register(job)
    with pytest.raises(RequestRefused, match="the flow is a job by now"):
        await world.plane.replay(WhichLetters((1,)))
    world.plane.registry = type(world.registry)()
    with pytest.raises(RequestRefused, match="find flow 'orders'"):
        await world.plane.replay(WhichLetters((1,)))
    assert (await world.plane.dead_letter(1)).why_not is None


async def test_letters_are_chosen_by_number_or_by_group(world: World) -> None:
    await world.run(world.register(over([1, 2, 4], odd, [])))
    [group] = await world.plane.letter_groups()
    assert (group.count, group.example.stage) == (2, "check")
    page = await world.plane.dead_letters(group=group.fingerprint[:6])
    assert [one.id for one in page.letters] == [2, 1]
    for which in (WhichLetters(), WhichLetters((1,), flow="orders")):
        with pytest.raises(RequestRefused, match="they are named by number, or by flow and group"):
            await world.plane.drop(which)
    with pytest.raises(RequestRefused, match="a page has 1 to 1000"):
        await world.plane.dead_letters(limit=1001)
    with pytest.raises(RequestRefused, match="at most 500 are named at a time"):
        await world.plane.drop(WhichLetters(tuple(range(501))))
    assert [one.id for one in await world.plane.drop(WhichLetters(group=group.fingerprint))] == [2, 1]
    with pytest.raises(RequestRefused, match="dead letter 1 was dropped"):
        await world.plane.drop(WhichLetters((1,)))


async def test_one_request_replays_500_letters_and_tells_of_more(world: World) -> None:
    await world.run(world.register(over([2] * 600, odd, [])))
    world.register(over([], tenfold, []))
    asked = await world.plane.replay(WhichLetters(flow="orders"))
    assert (len(asked.replays[0].letters), asked.more) == (500, True)


def write_line(path: Path, item: int) -> None:
    with path.open("a") as file:
        file.write(f"{item}\n")


def four_alone(number: int) -> int:
    if number == 4:
        raise KeyError("four")
    return number


async def test_a_replay_goes_where_the_units_of_its_flow_go(world: World, tmp_path: Path) -> None:
    def through(step: Callable[[int], int]) -> Pipeline:
        check = Transform(step, name="check", on_error="dead_letter")
        return Source([1, 2, 4]) >> check >> Sink(partial(write_line, tmp_path / "out"))

    engine = SubprocessEngine(parallel=1)
    await world.run(world.register(through(odd), engine=engine))
    world.register(through(four_alone), engine=engine)
    outcome = await world.replay(1, 2)
    assert (outcome.status, outcome.error_msg) == (RunStatus.SUCCESS, "1 of 2 dead letters failed again")
    assert (tmp_path / "out").read_text().split() == ["1", "2"]
    assert [(one.state, one.error_type) for one in await world.letters(None)] == [
        ("replayed", "ValueError"),
        ("open", "KeyError"),
    ]


async def test_where_more_items_fail_than_are_known_all_letters_stay_open(world: World) -> None:
    class Refusing(SinkTarget[int]):
        async def write(self, items: Any, /) -> None:
            raise OSError("refused")

    def into(batch: int) -> Pipeline:
        return Source(range(1500)) >> Sink(Refusing(), name="write", batch=batch, on_error="dead_letter")

    await world.run(world.register(into(2000)))
    world.register(into(1))
    outcome = await world.replay(1)
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "LettersUnknown")
    [letter] = await world.letters()
    assert (letter.attempt, json.loads(letter.payload)["items"]) == (1, 1500)
    world.register(into(500))
    assert (await world.replay(1)).error_msg == "1 of 1 dead letter failed again"
