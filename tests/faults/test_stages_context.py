"""What is in the context of a run's error: the user's own exception, no exception group, no error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from piko_flow import CpuMap, FlatMap, LocalEngine, StageFailed, Transform, run
from piko_flow.testing import CollectingSink, items


def breaks(item: int) -> int:
    if item == 3:
        raise ValueError("three")
    return item


async def breaks_later(item: int) -> int:
    return breaks(item)


async def several(item: int) -> list[int]:
    return [breaks(item)]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


STAGES: dict[str, Any] = {
    "inline": Transform(breaks),
    "ordered": Transform(breaks_later, concurrency=3),
    "unordered": Transform(breaks_later, concurrency=3, ordered=False),
    "by key": Transform(breaks_later, key=lambda item: item, concurrency=3),
    "flat map": FlatMap(several),
    "workers": CpuMap(breaks, workers=1),
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
async def test_the_context_leads_from_the_failed_stage_to_the_users_own_error(stage: Any) -> None:
    with pytest.raises(StageFailed) as caught:
        await run(items(10, units=2) >> stage >> CollectingSink(), engine=LocalEngine(parallel=2))
    found = [type(error) for error in chain(caught.value)]
    assert found == [StageFailed, ValueError]
    contexts = [caught.value.__context__, getattr(caught.value.__context__, "__context__", None)]
    assert not any(isinstance(error, BaseExceptionGroup) for error in contexts)
