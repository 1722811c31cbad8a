"""Dead letters from the command line, with a replica at work: listed, shown, mended by new code, replayed, dropped."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system.command import Started, piko, started

FLOWS = """
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from piko_flow import Sink, Source, Transform
from piko_flow.connectors.files import JsonLinesSink
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.run_context import RunContext
from piko_flow.planning.interval import Interval


class Order(BaseModel):
    number: int
    due: datetime
    card_number: str = ""


def orders():
    return [Order(number=n, due=datetime(2026, 1, n + 1, tzinfo=UTC)) for n in range(6)]


def check(order: Order) -> Order:
    CHECK
    return order


def write(order: Order) -> None:
    with Path("out.txt").open("a") as file:
        file.write(f"{order.number} {order.due:%d}\\n")


day = Interval(days=1, start_date="2026-01-01", end_date="2026-01-02")  # so that only what is triggered runs


@Flow.register("orders", stateful=True, schedule=day, begin=datetime(2026, 1, 2, tzinfo=UTC))
def flow(run: RunContext):
    return Source(orders) >> Transform(check, on_error="dead_letter") >> SINK


def spend(order: Order) -> Order:
    raise PermissionError(f"card {order.card_number} is refused")


cards = Source(lambda: [Order(number=1, due=datetime(2026, 1, 1, tzinfo=UTC), card_number="4111-1111")])
Flow.register("cards", cards >> Transform(spend, on_error="dead_letter") >> Sink(write), redact=["card_number"])
"""
BROKEN = """if order.number % 2:
        raise ValueError(f"order {order.number} has no customer")"""
WINDOW = "2026-01-01T00:00Z..2026-01-02T00:00Z"


@dataclass
class Shop:
    """A folder with flows whose code can change, over a database that outlives it."""

    folder: Path
    database: str

    def code(self, *, check: str = "pass", sink: str = "Sink(write)") -> None:
        """From now on the flows are so."""
        (self.folder / "flows.py").write_text(FLOWS.replace("CHECK", check).replace("SINK", sink))

    @contextmanager
    def serving(self) -> Iterator[Started]:
        """A replica that leads and runs the code as it is."""
        words = ("serve", "flows", "--port", "0", "--database", self.database)
        with started(*words, folder=self.folder) as serving:
            assert serving.process.stderr is not None
            serving.wait_for("leads in term", serving.process.stderr)
            yield serving

    def run(self, *words: str, code: int = 0) -> str:
        """What a command says that ends so."""
        package = (
            () if words[:2] in (("dead-letter", "list"), ("dead-letter", "drop")) else ("--package", "flows")
        )
        done = piko(*words, "--database", self.database, *package, folder=self.folder, TZ="UTC")
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *words: str) -> Any:
        """The document of a command."""
        return json.loads(self.run(*words, "--json"))

    @property
    def out(self) -> list[str]:
        """What the flow has written."""
        path = self.folder / "out.txt"
        return sorted(path.read_text().split("\n")[:-1]) if path.exists() else []


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, f"sqlite:///{tmp_path / 'flows.db'}")


@pytest.fixture
def shop_with_server(tmp_path: Path, mariadb_url: str) -> Shop:
    return Shop(tmp_path, mariadb_url)


def test_letters_of_a_window_are_replayed_by_mended_code_and_the_window_is_complete(
    shop_with_server: Shop,
) -> None:
    shop = shop_with_server
    shop.code(check=BROKEN)
    with shop.serving():
        told = shop.run("trigger", "orders", "--window", WINDOW, "--wait")
        assert told.rstrip().endswith("is SUCCESS, 3 dead letters")
        assert "3 dead letters" in shop.run("run", "list")
        lines = shop.run("dead-letter", "list").splitlines()
        assert re.match(r"group +flow +stage +letters +last", lines[0])
        assert re.match(r"[0-9a-f]{8} +orders +check +3 ", lines[1])
        [group] = shop.json("dead-letter", "list")["groups"]
        assert (group["count"], group["example"]["model"]) == (3, "flows.Order")
        shown = shop.run("dead-letter", "show", "1")
        assert "no: of the items that were dead 3 open" in shown
        assert '"number": 1' in shown
        assert "ValueError: order 1 has no customer" in shown
    shop.code()
    with shop.serving():
        said = shop.run("dead-letter", "replay", "--group", group["fingerprint"][:8], "--wait")
        assert re.fullmatch(r"run \d+ of orders replays 3 dead letters: SUCCESS\n", said)
    assert shop.out == ["0 01", "1 02", "2 03", "3 04", "4 05", "5 06"]
    assert shop.run("dead-letter", "list") == "no dead letter\n"
    assert "yes, all 3 items that were dead are replayed" in shop.run("dead-letter", "show", "2")
    assert "was replayed by run" in shop.run("dead-letter", "replay", "2", code=1)


def test_what_fails_again_stays_open_and_what_is_dropped_is_gone(shop: Shop) -> None:
    shop.code(check=BROKEN)
    with shop.serving():
        shop.run("trigger", "orders", "--window", WINDOW, "--wait")
        said = shop.run("dead-letter", "replay", "1", "2", "--wait", code=1)
        assert "2 of 2 dead letters failed again" in said
    each = shop.json("dead-letter", "list", "--each")["letters"]
    assert [(one["id"], one["attempt"], one["state"]) for one in each] == [
        (3, 1, "open"),
        (2, 2, "open"),
        (1, 2, "open"),
    ]
    said = shop.run("dead-letter", "replay", "3", "--wait", "--timeout", "0", code=1)
    waits = re.search(r"run (\d+) of orders replays 1 dead letter: still QUEUED, and --timeout is over", said)
    assert waits is not None
    shop.run("run", "cancel", waits[1])
    assert shop.run("dead-letter", "drop", "--flow", "orders") == "3 dead letters dropped\n"
    assert '"value"' not in shop.run("dead-letter", "show", "1")
    assert "it was dropped" in shop.run("dead-letter", "show", "1")


def test_letters_that_are_left_open_are_named_with_their_reason_once(shop: Shop) -> None:
    shop.code(check=BROKEN, sink="Transform(spend, on_error='dead_letter') >> Sink(write)")
    with shop.serving():
        shop.run("trigger", "orders", "--window", WINDOW, "--wait")
    each = shop.json("dead-letter", "list", "--each")["letters"]
    left = sorted(one["id"] for one in each if one["stage"] == "spend")
    assert len(left) == 3
    shop.code()
    words = ("dead-letter", "replay", "--flow", "orders", "--package", "flows", "--database", shop.database)
    done = piko(*words, folder=shop.folder, TZ="UTC")
    assert done.stdout.rstrip().endswith("of orders replays 3 dead letters")
    [note] = [line for line in done.stderr.splitlines() if "left open" in line]
    assert note.startswith(f"note: left open: dead letters {left[0]}, {left[1]}, {left[2]}: it enters at")


def test_a_replay_is_refused_where_a_file_follows_and_the_answer_names_the_window(shop: Shop) -> None:
    shop.code(check=BROKEN)
    with shop.serving():
        shop.run("trigger", "orders", "--window", WINDOW, "--wait")
    shop.code(
        sink='Sink(__import__("piko_flow.connectors.files", fromlist=["x"]).JsonLinesSink("orders.jsonl"))'
    )
    said = shop.run("dead-letter", "replay", "1", code=1)
    assert said.count("error: ") == 1
    assert "replaces all that its window wrote" in said
    assert "piko-flow backfill apply orders 2026-01-01T00:00:00Z..2026-01-02T00:00:00Z --kind failed" in said


def test_redacted_fields_are_neither_stored_nor_shown_and_such_an_item_is_not_replayed(
    shop: Shop,
) -> None:
    shop.code()
    with shop.serving() as serving:
        shop.run("trigger", "cards", "--wait")
        shown = shop.run("dead-letter", "show", "1")
        assert "PermissionError: card ****** is refused" in " ".join(shown.split())
        assert "card_number was redacted" in shop.run("dead-letter", "replay", "1", code=1)
        said = shown + shop.run("dead-letter", "show", "1", "--json") + shop.run("dead-letter", "list")
        serving.process.terminate()
        said += "".join(serving.end()[1:])
    stored = b"".join(path.read_bytes() for path in shop.folder.glob("flows.db*"))
    assert "4111-1" not in said
    assert b"4111-1" not in stored


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dead-letter", "show", "7"), "show dead letter 7: a dead letter has a number; there is none"),
        (("dead-letter", "replay", "7"), "there is no dead letter 7"),
        (("dead-letter", "replay", "--flow", "orders"), "of flow 'orders' there is none"),
        (("dead-letter", "list", "--group", "ab"), "at least 4 characters name a group"),
    ],
)
def test_a_mistake_is_told_in_one_message(shop: Shop, words: tuple[str, ...], message: str) -> None:
    shop.code()
    piko("db", "init", "--database", shop.database, folder=shop.folder)
    said = shop.run(*words, code=1)
    assert said.startswith("error: ")
    assert said.count("error: ") == 1
    assert message in said


def test_letters_are_named_by_number_or_by_group_and_not_by_both(shop: Shop) -> None:
    shop.code()
    for words in (("replay",), ("drop",), ("replay", "1", "--flow", "orders")):
        said = shop.run("dead-letter", *words, code=2)
        assert "name dead letters by their numbers" in " ".join(re.sub("[│╭╮╰╯─]", " ", said).split())
