"""What cannot travel to or from a worker: each such item fails with a clear error, and hides no other."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import threading
from typing import Any

import pytest

from piko_flow.dataflow.workers.errors import CannotReturn, CannotSend, RemoteError
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.dataflow.workers.shipping import CannotShip, pack
from tests.faults.test_worker_death import call


class LoadsOnlyAtHome:
    """Can be packed everywhere, and loaded only in the process that packed it."""

    def __getstate__(self) -> dict[str, Any]:
        return {"home": os.getpid()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["home"] != os.getpid():
            raise LookupError("not at home")


class BreaksOnArrival:
    """Can be packed, and loaded nowhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("not a number",)


class TakesTwo(Exception):
    """Pickles, and fails to unpickle, as exceptions with a constructor of their own do."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


def gives(item: Any) -> Any:
    """What the item makes, if it is a function."""
    return item() if callable(item) else item


def raises(error: BaseException) -> Any:
    raise error


# The item between two that are well, what it fails with, and the text of that.
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "an item that cannot be pickled": (
        threading.Lock(),
        CannotSend,
        r"<unlocked _thread.lock object at 0x.* cannot travel to a worker process: TypeError: cannot pickle '_thread.lock' object$",
    ),
    "an item that a worker cannot load": (
        LoadsOnlyAtHome(),
        CannotSend,
        r"cannot travel to a worker process: LookupError: not at home \(in the worker process\)$",
    ),
    "a result that cannot be pickled": (
        threading.Lock,
        CannotReturn,
        r"^the result for .* cannot travel back from its worker process: TypeError: cannot pickle '_thread.lock' object$",
    ),
    "a result that cannot be loaded": (BreaksOnArrival, CannotReturn, r"invalid literal for int\(\)"),
    "an exception that cannot be unpickled": (
        lambda: raises(TakesTwo(7, "broken")),
        RemoteError,
        r"^tests.faults.test_worker_refusals.TakesTwo: 7: broken$",
    ),
    "an exception that cannot be pickled": (
        lambda: raises(ValueError(threading.Lock())),
        RemoteError,
        r"^ValueError: <unlocked _thread.lock object",
    ),
}


@pytest.mark.parametrize(("item", "kind", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_travel_fails_alone(item: Any, kind: type[Exception], words: str) -> None:
    result, _ = await call(gives, [1, item, 3])
    assert result.results == [1, None, 3]
    assert isinstance(result.errors[1], kind)
    assert re.search(words, str(result.errors[1]))


async def test_items_of_which_none_can_be_pickled_all_fail() -> None:
    result, pool = await call(lambda item: item, [threading.Lock(), (number for number in range(3))])
    assert [type(error) for error in result.errors.values()] == [CannotSend, CannotSend]
    assert pool.spawned == 0


async def test_what_the_function_raises_arrives_with_its_traceback() -> None:
    def check(item: int) -> float:
        return 1 / item

    result, _ = await call(check, [1, 0, 2])
    assert result.results == [1.0, None, 0.5]
    error = result.errors[1]
    assert type(error) is ZeroDivisionError
    assert "in check\n    return 1 / item" in error.__notes__[0]
    assert "program.py" not in error.__notes__[0]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_an_exception_that_would_end_the_run_arrives_as_an_error(kind: type[BaseException]) -> None:
    def leave(item: int) -> int:
        if item == 1:
            raise kind("goodbye")
        return item

    result, pool = await call(leave, [0, 1, 2])
    assert result.results == [0, None, 2]
    assert str(result.errors[1]) == f"{kind.__name__}: goodbye"
    assert isinstance(result.errors[1], RemoteError)
    assert pool.replaced == 0


async def test_a_function_that_a_worker_cannot_load_is_refused_with_the_reason() -> None:
    luggage = LoadsOnlyAtHome()
    with pytest.raises(
        CannotShip, match="a worker process could not load it: LookupError: not at home"
    ) as caught:
        await call(lambda item: (luggage, item), [1])
    assert "in __setstate__" in caught.value.__notes__[0]
    assert "here.py:1" in str(caught.value)


async def test_a_function_can_be_proven_before_there_are_items() -> None:
    luggage = LoadsOnlyAtHome()
    async with WorkerPool(1) as pool:
        await pool.prove(pack(len, stage="count", where="here.py:1"))
        with pytest.raises(CannotShip):
            await pool.prove(pack(lambda item: (luggage, item), stage="work", where="here.py:1"))


async def test_a_result_for_which_a_worker_has_no_memory_is_told() -> None:
    def starve(item: int) -> bytes:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 1000))
        return bytes(200_000)

    result, pool = await call(starve, [1, 2])
    assert [type(error) for error in result.errors.values()] == [CannotReturn, CannotReturn]
    assert "Too many open files" in str(result.errors[0])
    assert pool.replaced == 0


async def test_a_result_for_which_the_run_has_no_descriptor_ends_the_call() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    async with WorkerPool(1) as pool:
        shipment = pack(bytes, stage="work", where="here.py:1")
        await pool.call(shipment, [1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.dup(0))
            with pytest.raises(OSError, match="no file descriptor is free"):
                await pool.call(shipment, [200_000])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for file in taken:
                os.close(file)
        assert (await pool.call(shipment, [200_000])).results == [bytes(200_000)]
