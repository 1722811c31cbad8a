"""What cannot run is refused where it is written, with the stage, the rule, what was given, and what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from piko_flow import Retry, Sink, Source, StageTypeError, Transform
from piko_flow.dataflow.stages.stage import NotClosed
from piko_flow.engines.subprocess import SubprocessEngine
from tests.unit.composing import Numbers, each_refusal, message, refused, text_later

FUNCTIONS = """
Transform(5)
    Transform: it needs a function of one item; got int 5
Transform(Transform(text))
    Transform: it needs a function of one item; got Transform 'text'
Transform(two)
    Transform 'two': its function is called with one item; two: missing a required argument: 'second'. Give other parameters a default, fill them with functools.partial, or name resources in uses=
Transform(lambda: 1)
    Transform 'lambda': its function is called with one item; lambda: too many positional arguments. Give other parameters a default, fill them with functools.partial, or name resources in uses=
Transform(Order)
    Transform 'Order': its function is called with one item; Order: too many positional arguments. Give other parameters a default, fill them with functools.partial, or name resources in uses=
Transform(returns_awaitable)
    Transform 'returns_awaitable': its function is either async or returns a value; returns_awaitable is a plain function that returns Awaitable. Write it with async def
Transform(digits)
    Transform 'digits': a Transform's function gives one item for each item; got a generator function. Use FlatMap for a function that gives several
Filter(digits)
    Filter 'digits': a Filter's predicate gives true or false for an item; got a generator function. Use FlatMap for a function that gives several items
FlatMap(positive)
    FlatMap 'positive': a FlatMap's function gives an iterable of items for each item; positive returns bool. Use Transform for a function that gives one item
CpuMap(text_later)
    CpuMap 'text_later': CpuMap runs a plain function on other processes; got an async function. Use Transform for async functions
CpuMap(digits_later)
    CpuMap 'digits_later': CpuMap's function gives one item for each item; got a generator function. Return a list and flatten it with FlatMap
Sink(digits)
    Sink 'digits': a sink's function is called for what it does; got a generator function
Sink(Numbers)
    Sink 'Numbers': a sink writes through an object; got the class Numbers. Make one: Numbers(...)
Fold(plus)
    Fold 'plus': start must be a function; got None. Give the function that makes the first value: start=int, start=list
Fold(plus, start=0)
    Fold 'plus': start must be a function; got int 0. Give the function that makes the first value: start=int, start=list
Fold(text, start=int)
    Fold 'text': step is called with the value and one item; text: too many positional arguments
Fold(plus, start=text)
    Fold 'plus': start is called with nothing; text: missing a required argument: 'number'
Fold(plus_later, start=int)
    Fold 'plus_later': Fold's step is a plain function; got an async function. Do the waiting in a Transform before it
Fold(plus, start=int, max_keys=3)
    Fold 'plus': max_keys bounds the values of a fold with key=; got max_keys= without key=
Parse(5)
    Parse 'parse_items': Parse needs a Pydantic model or a type that Pydantic can validate; got int 5 (PydanticSchemaGenerationError)
Transform(text_later, uses={'client': client})
    Transform 'text_later': each name in uses= is a parameter of text_later; 'client' is not (it has: none)
Transform(fetch, uses={'klient': client})
    Transform 'fetch': each name in uses= is a parameter of fetch; 'klient' is not (it has: client)
Transform(fetch, uses={'number': client})
    Transform 'fetch': each name in uses= is a parameter of fetch; 'number' is not (it has: client)
Transform(fetch, uses={'client': 5})
    Transform 'fetch': uses['client'] must be an async context manager function or an object with acquire(info); got int 5. Give a function that opens it: @contextlib.asynccontextmanager, async def, yield
Transform(fetch, uses=['client'])
    Transform 'fetch': uses must be a dict from parameter name to resource; got ['client']
Transform(fetch)
    Transform 'fetch': its function is called with one item; fetch: missing a required argument: 'client'. Give other parameters a default, fill them with functools.partial, or name resources in uses=
"""
OPTIONS = """
Transform(text_later, concurency=3)
    Transform 'text_later': an option of Transform is one of concurrency, key, name, on, on_error, ordered, retry, timeout, uses; got concurency=. Did you mean concurrency=?
Filter(positive, lanes=1)
    Filter 'positive': an option of Filter is one of concurrency, key, name, on, on_error, ordered, retry, timeout, uses; got lanes=
FlatMap(digits, key=str)
    FlatMap 'digits': an option of FlatMap is one of concurrency, name, on, on_error, ordered, retry, timeout, uses; got key=
CpuMap(text, worker=2)
    CpuMap 'text': an option of CpuMap is one of name, on_error, ordered, retry, timeout, workers; got worker=. Did you mean workers=?
Batch(3, withing=1)
    Batch: an option of Batch is one of name, weight, within; got withing=. Did you mean within=?
Parse(Order, on_eror='skip')
    Parse 'parse_order': an option of Parse is one of name, on_error; got on_eror=. Did you mean on_error=?
Sink(Numbers(), bach=3)
    Sink 'Numbers': an option of Sink is one of batch, name, on_error, retry, timeout, within; got bach=. Did you mean batch=?
Sink(text, ordered=False)
    Sink 'text': a sink hands nothing on, so it has no order to keep; got ordered=
Fold(plus, strat=int)
    Fold 'plus': an option of Fold is one of key, max_keys, name, start; got strat=. Did you mean start=?
Source(numbers, split=[1])
    Source 'numbers': an option of Source is one of max_age, max_items, name, on, on_error, retry, splits, uses; got split=. Did you mean splits=?
Route(On(Order, Sink(print)), on_eror='skip')
    Route: an option of Route is one of name, on_error; got on_eror=. Did you mean on_error=?
Broadcast(Sink(print), Sink(print), nam='x')
    Broadcast: an option of Broadcast is one of name; got nam=. Did you mean name=?
Transform(text, timeout=3)
    Transform 'text': timeout cannot stop a plain function that runs inline; got timeout=3. Make the function async, or give on="thread"
Filter(positive, timeout=3)
    Filter 'positive': timeout cannot stop a plain function that runs inline; got timeout=3. Make the function async, or give on="thread"
FlatMap(digits, timeout=3)
    FlatMap 'digits': timeout cannot stop a plain function that runs inline; got timeout=3. Make the function async, or give on="thread"
Sink(print, timeout=3)
    Sink 'print': timeout cannot stop a plain function that runs inline; got timeout=3. Make the function async, or give on="thread"
Sink(PlainTarget(), timeout=3)
    Sink 'PlainTarget': timeout cannot stop a plain write; got timeout=3. Make write async
Transform(text, concurrency=3)
    Transform 'text': a plain function that runs inline works on one item at a time; got concurrency=3. Make the function async, give on="thread", or use CpuMap
Transform(text_later, on='thread')
    Transform 'text_later': on="thread" is for blocking functions; got an async function. Leave on= out
Transform(text, on='process')
    Transform 'text': on must be "loop" or "thread"; got 'process'
Transform(text, on_error='ignore')
    Transform 'text': on_error must be "fail", "skip" or "dead_letter"; got 'ignore'
Route(On(Order, Sink(print)), on_error='drop')
    Route: on_error must be "fail", "skip" or "dead_letter"; got 'drop'
Transform(text, retry=3)
    Transform 'text': retry must be a Retry; got 3. Write retry=Retry(attempts=3)
Transform(text_later, ordered='no')
    Transform 'text_later': ordered must be True or False; got 'no'
Transform(text_later, key='id')
    Transform 'text_later': key must be a function of one item; got 'id'
Transform(text_later, key=text_later)
    Transform 'text_later': key must be a plain function; got an async function
Transform(text, name=' ')
    Transform ' ': name must be a string that is not blank; got ' '. Leave it out to use the function's name
Batch(3, weight=plus)
    Batch: weight is called with one item; plus: missing a required argument: 'number'
Sink(text, batch=3)
    Sink 'text': batch= and within= are for objects that write lists; got a function. Put Batch(...) before it, or give an object with write(items)
"""
BRANCHES = """
Route()
    Route: a Route needs at least one branch; got none
Route(Sink(print))
    Route: a Route is made of On(type or predicate, branch); got Sink 'print'
Broadcast(Sink(print))
    Broadcast: a Broadcast needs at least two branches; got 1
Broadcast(Sink(print), print)
    Broadcast: a branch is a sink or a transform; got the function print. Wrap a function in Sink(...) or Transform(...)
On(Order, Source([1]))
    On 'Order': a branch is a sink or a transform; got Source 'list'. Wrap a function in Sink(...) or Transform(...)
Merge(Source([1]))
    Merge: a Merge needs at least two sources; got 1
Merge(Source([1]), Sink(print))
    Merge: a Merge is made of sources; got Sink 'print'
On(list[int], Sink(print))
    On 'list': a branch is chosen by isinstance, which knows no type arguments; got list[int]. Write On(list, ...) or a predicate
On(Order | list[int], Sink(print))
    On 'Order | list': a branch is chosen by isinstance, which knows no type arguments; got list[int]. Write On(list, ...) or a predicate
On(5, Sink(print))
    On 'int': On takes a class or a predicate; got int 5
On(text_later, Sink(print))
    On 'text_later': On's predicate is a plain function; the function text_later is async. Do the waiting in a Transform before it
On(plus, Sink(print))
    On 'plus': its predicate is called with one item; plus: missing a required argument: 'number'. Give other parameters a default, fill them with functools.partial, or name resources in uses=
Route(On(Order, Sink(print)), On(Rush, Sink(print)))
    Route: a branch must be reachable: the first that matches wins; On(Rush) comes after On(Order), which takes all of it. Put On(Rush) first
Route(On(object, Sink(print)), On(Refund, Sink(print)))
    Route: a branch must be reachable: the first that matches wins; On(Refund) comes after On(object), which takes all of it. Put On(Refund) first
Route(On(Order | Refund, Sink(print)), On(Refund, Sink(print)))
    Route: a branch must be reachable: the first that matches wins; On(Refund) comes after On(Order | Refund), which takes all of it. Put On(Refund) first
Route(On(Order, Sink(print)), On(Refund, Sink(print)), On(Order | Refund, Sink(print)))
    Route: a branch must be reachable: the first that matches wins; On(Order | Refund) comes after On(Order) and On(Refund), which take all of it. Put On(Order | Refund) first
"""
CHAINS = """
Source(numbers) >> text
    >> after Source 'numbers': a transform or a sink must follow; got the function text. Wrap it: Transform(...), Filter(...), CpuMap(...) or Sink(...)
Transform(text) >> Transform
    >> after Transform 'text': a transform or a sink must follow; got the class Transform. Wrap it: Transform(...), Filter(...), CpuMap(...) or Sink(...)
Source(numbers) >> Source(numbers)
    >> after Source 'numbers': a transform or a sink must follow; got Source 'numbers'. Use Merge(a, b) to read two sources
Source(numbers) >> 5
    >> after Source 'numbers': a transform or a sink must follow; got int 5
[1] >> Transform(text)
    >> before Transform 'text': a pipeline is made of stages; got list [1]. Wrap it: Source(...) for what is read, Transform(...) for a function
numbers >> Transform(text)
    >> before Transform 'text': a pipeline is made of stages; got the function numbers. Wrap it: Source(...) for what is read, Transform(...) for a function
Sink(print) >> Transform(text)
    Sink 'print': nothing can follow a sink; got Transform 'text' after it. Use Broadcast to feed two sinks
Source(numbers) >> Sink(print) >> Sink(print)
    Pipeline 'numbers >> print': a pipeline is closed: nothing can follow it; got Sink 'print' after it
Broadcast(SINK, SINK)
    Broadcast: a sink has one place in a pipeline; Sink 'write' is in two. Let the branches meet before it, or make two sinks
Route(On(int, SINK), On(object, SINK))
    Route: a sink has one place in a pipeline; Sink 'write' is in two. Let the branches meet before it, or make two sinks
Broadcast(SINK, Transform(text) >> Broadcast(Sink(print), SINK))
    Broadcast: a sink has one place in a pipeline; Sink 'write' is in two. Let the branches meet before it, or make two sinks
Source([1]) >> Broadcast(SINK, Transform(text)) >> SINK
    Pipeline 'list >> broadcast >> write': a sink has one place in a pipeline; Sink 'write' is in two. Let the branches meet before it, or make two sinks
Merge(*[Source([1]) >> Broadcast(SINK, Transform(text)) for _ in range(2)])
    Merge: a sink has one place in a pipeline; Sink 'write' is in two. Let the branches meet before it, or make two sinks
Broadcast(Sink(TARGET), Sink(TARGET))
    Broadcast: a sink has one place in a pipeline; Sink 'Numbers' is in two. Let the branches meet before it, or make two sinks
run_sync(Source(numbers))
    Source 'numbers': run_sync() needs a closed pipeline: source >> ... >> sink; it has no sink. Add >> Sink(...), or use collect(), take() or preview()
run_sync(Source(numbers) >> Transform(text))
    SourceChain 'numbers >> text': run_sync() needs a closed pipeline: source >> ... >> sink; it has no sink. Add >> Sink(...), or use collect(), take() or preview()
run_sync(Source(numbers) >> Broadcast(Sink(print), Transform(text)))
    SourceChain 'numbers >> broadcast': run_sync() needs a closed pipeline: source >> ... >> sink; it has no sink. Add >> Sink(...), or use collect(), take() or preview()
run_sync(Merge(Source([1]), Source([2])))
    Merge: run_sync() needs a closed pipeline: source >> ... >> sink; it has no sink. Add >> Sink(...), or use collect(), take() or preview()
run_sync(Transform(text))
    Transform 'text': run_sync() needs a closed pipeline: source >> ... >> sink; it has neither source nor sink. Put a Source before it and a Sink behind it
run_sync(Transform(text) >> Sink(print))
    SinkChain 'text >> print': run_sync() needs a closed pipeline: source >> ... >> sink; it has no source. Put a Source before it
run_sync(Sink(print))
    Sink 'print': run_sync() needs a closed pipeline: source >> ... >> sink; it has no source. Put a Source before it
run_sync([1])
    list [1]: run_sync() needs a closed pipeline: source >> ... >> sink; got list [1]
run_sync(print)
    the function print: run_sync() needs a closed pipeline: source >> ... >> sink; got the function print
"""


ACTIONS = """
(Source(numbers) >> Transform(text)).run_sync()
    SourceChain 'numbers >> text': run_sync() needs a closed pipeline: source >> ... >> sink; it has no sink. Add >> Sink(...), or use collect(), take() or preview()
Source(numbers).run()
    Source 'numbers': run() needs a closed pipeline: source >> ... >> sink; it has no sink. Add >> Sink(...), or use collect(), take() or preview()
(Transform(text) >> Sink(print)).start()
    SinkChain 'text >> print': start() needs a closed pipeline: source >> ... >> sink; it has no source. Put a Source before it
Transform(text).explain()
    Transform 'text': explain() needs a closed pipeline: source >> ... >> sink; it has neither source nor sink. Put a Source before it and a Sink behind it
Merge(Source([1]), Source([2])).plan()
    Merge: plan() needs a closed pipeline: source >> ... >> sink; it has no sink. Add >> Sink(...), or use collect(), take() or preview()
"""


class PlainTarget:
    """A target that does not wait."""

    def write(self, items: Sequence[int], /) -> None: ...


def two(first: int, second: int) -> int:
    return first + second


def returns_awaitable(number: int) -> Awaitable[str]:
    return text_later(number)


async def plus_later(total: int, number: int) -> int:
    return total + number


TARGET, SINK = Numbers(), Sink(print, name="write")
SCOPE = vars()


@each_refusal(FUNCTIONS + OPTIONS + BRANCHES + CHAINS)
def test_what_cannot_run_is_refused_where_it_is_written(code: str, said: str) -> None:
    error = refused(code, **SCOPE)
    assert message(error) == said
    assert error.where == "composed.py:1"


@pytest.mark.parametrize("bad", ["0", "-1", "True", "1.5", "'2'"])
@pytest.mark.parametrize(
    "code",
    [
        "Transform(text_later, concurrency={})",
        "Sink(text_later, concurrency={})",
        "Batch({})",
        "Throttle({})",
        "Fold(plus, start=int, key=positive, max_keys={})",
        "CpuMap(text, workers={})",
        "Sink(Numbers(), batch={})",
        "LocalEngine(parallel={})",
        "SubprocessEngine(parallel={})",
        "WorkerPool(workers={})",
    ],
)
def test_a_count_is_a_whole_number(code: str, bad: str) -> None:
    rule = f"{option_of(code)} must be a whole number of at least 1; got {bad}"
    assert rule in message(refused(code.format(bad), SubprocessEngine=SubprocessEngine))


@pytest.mark.parametrize("bad", ["0", "-1", "True", "'1'", "nan", "datetime.timedelta(0)"])
@pytest.mark.parametrize(
    "code",
    [
        "Transform(text_later, timeout={})",
        "CpuMap(text, timeout={})",
        "Sink(Numbers(), timeout={})",
        "Batch(3, within={})",
        "Sink(Numbers(), within={})",
        "Throttle(3, per={})",
    ],
)
def test_a_time_is_above_zero(code: str, bad: str) -> None:
    rule = f"{option_of(code)} must be a number of seconds or a timedelta above 0; got {bad}"
    assert message(refused(code.format(bad), datetime=dt, nan=float("nan"))).endswith(rule)


@pytest.mark.parametrize("bad", [float("inf"), 1e12, 10**400, dt.timedelta.max], ids=str)
@pytest.mark.parametrize("code", ["Transform(text_later, timeout=bad)", "CpuMap(text, timeout=bad)"])
def test_a_time_is_no_longer_than_timers_take(code: str, bad: object) -> None:
    assert refused(code, bad=bad).rule == "timeout is at most 100,000,000 seconds"


def option_of(code: str) -> str:
    """The option of which the code gives the value to be filled in."""
    return code.rpartition("={}")[0].rpartition(" ")[2].rpartition("(")[2] or "count"


@pytest.mark.parametrize(
    "bad",
    [
        {"attempts": 0},
        {"attempts": True},
        {"attempts": 1.5},
        {"first": "soon"},
        {"attempts": 2, "limit": float("inf")},
        {"first": 1e12},
    ],
    ids=str,
)
def test_a_retry_counts_whole_attempts_and_waits_as_long_as_timers_take(bad: dict[str, Any]) -> None:
    rules = "attempts must be a whole number >= 1 .*, got|first and limit must be >= 0 seconds, got 'soon' and 30|at most 100,000,000 seconds"
    with pytest.raises(ValueError, match=rules):
        Retry(**bad)


@each_refusal(ACTIONS)
def test_what_a_closed_pipeline_can_do_says_what_a_chain_is_missing(code: str, said: str) -> None:
    error = refused(code, NotClosed, **SCOPE)
    assert message(error) == said
    assert error.where == "composed.py:1"


def test_a_chain_has_not_what_a_closed_pipeline_has() -> None:
    chain = Source([1]) >> Transform(abs)
    assert not hasattr(chain, "run_sync")
    assert not hasattr(chain, "anything")
    with pytest.raises(AttributeError, match="'SourceChain' object has no attribute 'anything'"):
        getattr(chain, "anything")  # noqa: B009  # to a checker it has none


def test_what_a_fold_starts_with_fits_its_step() -> None:
    error = refused("Fold(plus, start=str)", StageTypeError)
    assert (error.rule, error.got) == ("its step takes the value as int", "str gives str")
