"""Packing functions: what is refused and named, what is warned of, what passes in silence."""

from __future__ import annotations

import functools
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from piko_flow.dataflow.workers.shipping import CannotShip, ShippingWarning, pack
from piko_flow.errors import PipelineError

LOCK = threading.Lock()
api_key = "k-0123456789"


def ship(function: Any) -> Any:
    return pickle.loads(pack(function, stage="score", where="flow.py:12").payload)


class Client:
    """Holds what cannot travel, deep inside."""

    def __init__(self) -> None:
        self.session = {"pool": [threading.Lock()]}

    def ask(self, item: int) -> int:
        return item


def test_a_closure_travels() -> None:
    factor = 3
    assert ship(lambda item: item * factor)(2) == 6


def test_a_function_of_a_module_travels_by_name() -> None:
    assert ship(np.square) is np.square


def test_a_closure_over_a_lock_is_refused_and_named() -> None:
    lock = threading.Lock()

    def score(item: int) -> int:
        with lock:
            return item

    with pytest.raises(CannotShip) as caught:
        ship(score)
    assert str(caught.value) == (
        "the function of stage 'score' (flow.py:12): a function for worker processes must be picklable, with all that "
        "it refers to; closure variable 'lock' is a _thread.lock and cannot travel (TypeError: cannot pickle "
        "'_thread.lock' object). Make inside the function what cannot travel, hand in what it is made from, or use "
        'Transform(..., on="thread")'
    )
    assert isinstance(caught.value, PipelineError)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (
            lambda: Client().ask,
            "element 0 of key 'pool' of attribute 'session' of the object it is a method of",
        ),
        (
            lambda: functools.partial(lambda client, item: item, Client()),
            "element 0 of key 'pool' of attribute 'session' of argument 1 of the partial",
        ),
        (
            lambda: functools.partial(lambda item, client: item, client=LOCK),
            "argument 'client' of the partial is a _thread.lock",
        ),
        (lambda: lambda item, lock=LOCK: item, "default of a parameter is a _thread.lock"),
    ],
)
def test_the_innermost_culprit_is_named(make: Any, name: str) -> None:
    with pytest.raises(CannotShip) as caught:
        ship(make())
    assert name in str(caught.value)


def test_a_global_that_cannot_travel_is_named() -> None:
    space: dict[str, Any] = {"__name__": "__main__", "guard": threading.Lock()}
    exec("def score(item):\n    return [guard for _ in range(item)]\n", space)
    with pytest.raises(CannotShip) as caught:
        ship(space["score"])
    assert caught.value.culprits[0].startswith("global 'guard' is a _thread.lock and cannot travel")


def test_a_refusal_survives_pickling() -> None:
    with pytest.raises(CannotShip) as caught:
        ship(Client().ask)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is CannotShip
    assert str(again) == str(caught.value)
    assert again.culprits == caught.value.culprits


def test_megabytes_in_a_closure_are_warned_of() -> None:
    table = np.zeros(250_000)
    small = np.zeros(10)
    with pytest.warns(ShippingWarning) as caught:
        ship(lambda item: table[item] + small[0])
    (warning,) = caught
    assert str(warning.message) == (
        "the function of stage 'score' (flow.py:12) takes closure variable 'table' along, 2.0 MB, once to each "
        "worker. Load it inside the function, or name it in the items"
    )


@pytest.mark.parametrize(
    "name", ["password", "db_password", "token", "AUTH_TOKEN", "secret", "apikey", "api_key"]
)
def test_what_looks_like_a_secret_is_warned_of(name: str) -> None:
    space: dict[str, Any] = {"__name__": "__main__", name: "hunter2"}
    exec(f"def score(item):\n    return {name}\n", space)
    with pytest.warns(
        ShippingWarning, match=f"takes global '{name}' along to its workers, which looks like a secret"
    ):
        ship(space["score"])


def test_a_secret_inside_an_object_is_warned_of() -> None:
    class Settings:
        def __init__(self) -> None:
            self.password = SecretStr("hunter2")

    settings = Settings()
    with pytest.warns(ShippingWarning, match="attribute 'password' of closure variable 'settings'"):
        ship(lambda item: settings)


def by_name(item: int) -> str:
    return api_key + str(LOCK)


@pytest.mark.parametrize("name", ["tokenized", "tokenizer", "secretary", "key"])
def test_other_names_pass_in_silence(name: str) -> None:
    space: dict[str, Any] = {"__name__": "__main__", name: "hunter2"}
    exec(f"def score(item):\n    return {name}\n", space)
    assert ship(space["score"])(1) == "hunter2"


def test_a_function_that_travels_by_name_takes_nothing_along() -> None:
    assert ship(by_name) is by_name


def test_each_shipment_has_an_id_of_its_own() -> None:
    first, second = (pack(len, stage="score", where="flow.py:12") for _ in range(2))
    assert first.id != second.id
