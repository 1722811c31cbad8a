"""What a leader remembers is left out of garbage collection while it leads."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from piko_flow.control.flows.registry import Registry
from piko_flow.control.leader.long_lived import LongLived
from piko_flow.control.leader.reign import Reign
from piko_flow.store.batch import Term


def reign(number: int) -> Reign:
    return Reign(Term("default", number), group_limits={}, flows=Registry())


@pytest.fixture(autouse=True)
def nothing_set_aside() -> Iterator[None]:
    """Whatever this process has set aside until now; afterwards nothing is."""
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_is_there_when_a_reign_begins_is_set_aside_until_it_ends() -> None:
    long_lived, first = LongLived(), reign(1)
    long_lived.follow(None)
    assert gc.get_freeze_count() == 0
    long_lived.follow(first)
    assert gc.get_freeze_count() > 0
    made = [one for one in gc.get_objects() if one is first]
    assert made == [], "the reign itself is set aside"
    later = [1]
    long_lived.follow(first)
    assert any(one is later for one in gc.get_objects()), "what comes later is not"
    long_lived.follow(None)
    assert gc.get_freeze_count() == 0


def test_the_next_reign_is_set_aside_in_place_of_the_former() -> None:
    long_lived, second = LongLived(), reign(2)
    long_lived.follow(reign(1))
    long_lived.follow(second)
    assert not any(one is second for one in gc.get_objects())
    long_lived.follow(None)
    assert gc.get_freeze_count() == 0


def test_what_the_application_itself_has_set_aside_is_left_alone() -> None:
    gc.freeze()
    before = gc.get_freeze_count()
    long_lived, own = LongLived(), reign(1)
    long_lived.follow(own)
    assert any(one is own for one in gc.get_objects())
    long_lived.follow(None)
    assert gc.get_freeze_count() > before // 2, "it is not let go of either"
