"""Uses that both checkers accept, with the types that they infer.

A line that only one of them refuses says so; the manual names these limits of the checkers. Where branches meet, mypy
adds `Either` to the union that pyright infers; `Exactly` accepts that union and no wider or narrower one.
"""

from functools import partial
from typing import Any, assert_type

from pydantic import TypeAdapter

from piko_flow import (
    Batch,
    Broadcast,
    CpuMap,
    Filter,
    FlatMap,
    Fold,
    Merge,
    On,
    Parse,
    Pipeline,
    Retry,
    Route,
    Sink,
    Source,
    Throttle,
    Transform,
)
from piko_flow.dataflow.stages.stage import SinkLike, SourceLike, TransformLike
from tests.typing.parts import (
    Doubling,
    Exactly,
    Numbers,
    Order,
    Pages,
    Refund,
    Rush,
    Texts,
    client,
    digits,
    digits_later,
    digits_listed,
    eight_kinds,
    is_refund,
    large,
    lines,
    mixed,
    numbers,
    numbers_later,
    numbers_listed,
    orders,
    parity,
    plus,
    positive,
    positive_later,
    print_later,
    print_number,
    print_text,
    reason,
    same,
    same_later,
    save_anything,
    save_both,
    save_numbers,
    save_order,
    save_refund,
    save_sequence,
    scaled,
    text,
    text_later,
    total,
    twice,
    untyped,
    with_client,
    with_client_later,
)

ints = Source(numbers)


def sources() -> None:
    assert_type(Source(numbers), Source[int])
    assert_type(Source(numbers_later), Source[int])
    assert_type(Source(numbers_listed), Source[int])
    assert_type(Source([1, 2]), Source[int])
    assert_type(Source(range(3)), Source[int])
    assert_type(Source({"a": 1}), Source[str])
    assert_type(Source(lines, splits=["a", "b"]), Source[str])
    assert_type(Source(lines, splits=lambda: ["a", "b"]), Source[str])
    assert_type(Source(partial(lines, "a")), Source[str])
    assert_type(Source(Pages(), max_items=100, max_age=5), Source[Order])
    assert_type(Source(numbers, on="thread", retry=Retry(3)), Source[int])


def functions() -> None:
    assert_type(ints >> Transform(text), SourceLike[str])
    assert_type(ints >> Transform(text_later, concurrency=8, timeout=1), SourceLike[str])
    assert_type(ints >> Transform(same), SourceLike[int])
    assert_type(ints >> Transform(same_later), SourceLike[int])
    assert_type(ints >> Transform(twice), SourceLike[tuple[int, int]])
    assert_type(ints >> Transform(twice) >> Transform(twice) >> Transform(len), SourceLike[int])
    assert_type(ints >> Transform(Doubling()), SourceLike[str])
    assert_type(ints >> Transform(Doubling().half), SourceLike[float])
    assert_type(ints >> Transform(Doubling().half_later), SourceLike[float])
    assert_type(ints >> Transform(partial(scaled, 0.5)), SourceLike[float])
    assert_type(ints >> Transform(with_client, uses={"client": client}), SourceLike[str])
    assert_type(ints >> Transform(with_client_later, uses={"client": client}), SourceLike[str])
    assert_type(ints >> Transform(str), SourceLike[str])
    assert_type(ints >> Transform(str) >> Transform(str.upper), SourceLike[str])
    assert_type(ints >> Transform(Refund), SourceLike[Refund])
    assert_type(ints >> CpuMap(text, workers=2), SourceLike[str])
    assert_type(ints >> CpuMap(same), SourceLike[int])
    assert_type(ints >> Transform(untyped), SourceLike[Any])


def lambdas() -> None:
    ints >> Transform(lambda number: number + 1)  # wrong for pyright: a lambda behind >> has no context
    ints >> Filter(lambda number: number > 1)  # wrong for pyright: a lambda behind >> has no context
    assert_type(ints >> Transform(lambda _: "a"), SourceLike[str])
    ints >> (Filter(lambda number: bool(number)) >> Transform(text)) >> Sink(print_text)
    ints >> Broadcast(Transform(text), Filter(lambda number: bool(number)) >> Sink(print))
    Source(orders) >> Route(On(Order, Filter(lambda order: bool(order))), On(object, Sink(print)))
    Source(mixed) >> Route(On(lambda item: bool(item), Transform(lambda _: 1)), On(object, Sink(print)))
    assert_type(ints >> Filter(lambda number: bool(number)), SourceLike[int])
    assert_type(ints >> Fold(plus, start=lambda: 0), SourceLike[int])


def filters_and_flat_maps() -> None:
    assert_type(ints >> Filter(positive), SourceLike[int])
    assert_type(ints >> Filter(positive_later, concurrency=3), SourceLike[int])
    assert_type(ints >> Filter(bool) >> Filter(bool) >> Transform(text), SourceLike[str])
    assert_type(ints >> FlatMap(digits), SourceLike[str])
    assert_type(ints >> FlatMap(digits_later), SourceLike[str])
    assert_type(ints >> FlatMap(digits_listed), SourceLike[str])
    assert_type(Source([[1], [2]]) >> FlatMap(list), SourceLike[int])


def parsing() -> None:
    assert_type(Source([b"{}"]) >> Parse(Order), SourceLike[Order])
    assert_type(Source([{"total": 1}]) >> Parse(Order, on_error="dead_letter"), SourceLike[Order])
    assert_type(Source([b"[1]"]) >> Parse(list[int]), SourceLike[list[int]])
    assert_type(Source([b"{}"]) >> Parse(TypeAdapter(Refund)), SourceLike[Refund])
    assert_type(Source([b"{}"]) >> Parse(Order | Refund), SourceLike[Order | Refund])
    assert_type(Source([b"{}"]) >> Parse(list[int | str] | None), SourceLike[list[int | str] | None])
    assert_type(Source([b"{}"]) >> Parse(Order | None), SourceLike[Order | None])
    assert_type(Source([b"{}"]) >> Parse(Order | Refund | None), SourceLike[Order | Refund | None])
    assert_type(
        Source([b"{}"]) >> Parse(Order | Refund | int | str | None),
        SourceLike[Order | Refund | int | str | None],
    )


def gathering() -> None:
    assert_type(ints >> Batch(3), SourceLike[list[int]])
    assert_type(ints >> Batch(3, within=0.5) >> Transform(len), SourceLike[int])
    assert_type(ints >> Batch(3) >> Batch(2), SourceLike[list[list[int]]])
    assert_type(Source(["a"]) >> Batch(100, weight=len), SourceLike[list[str]])
    assert_type(ints >> Throttle(5), SourceLike[int])
    assert_type(ints >> Throttle(5, per=60) >> Batch(3), SourceLike[list[int]])
    assert_type(ints >> Fold(plus, start=int), SourceLike[int])
    assert_type(ints >> Fold(plus, start=int, key=parity), SourceLike[tuple[bool, int]])


def sinks() -> None:
    assert_type(ints >> Sink(print_number), Pipeline)
    assert_type(ints >> Sink(print, concurrency=1), Pipeline)
    assert_type(ints >> Transform(text) >> Sink(print_later, concurrency=4), Pipeline)
    assert_type(ints >> Sink(Numbers(), batch=500, within=0.5), Pipeline)
    assert_type(ints >> Transform(text) >> Sink(Texts()), Pipeline)
    assert_type(ints >> Batch(3) >> Sink(save_numbers), Pipeline)
    assert_type(Source([True]) >> Sink(print_number), Pipeline)


def open_chains() -> None:
    cleaned = Filter(positive) >> Transform(text)
    assert_type(cleaned, TransformLike[int, str])
    assert_type(ints >> cleaned >> Sink(print_text), Pipeline)
    assert_type(Source([1, 2]) >> cleaned, SourceLike[str])
    assert_type(cleaned >> Sink(print_text), SinkLike[int])
    assert_type(ints >> (cleaned >> Sink(print_text)), Pipeline)
    assert_type(Batch(3) >> Sink(save_numbers), SinkLike[int])
    assert_type(Batch(3) >> Sink(save_sequence), SinkLike[int])
    assert_type(ints >> (Batch(3) >> Transform(len)), SourceLike[int])
    assert_type(Throttle(3) >> Transform(text), TransformLike[int, str])
    assert_type(Transform(text) >> Parse(Order), TransformLike[int, Order])


def routes() -> None:
    both = Source(mixed)
    assert_type(both >> Route(On(Order, Sink(save_order)), On(Refund, Sink(save_refund))), Pipeline)
    Exactly[int]((both >> Route(On(Order, Transform(total)), On(Refund, Sink(save_refund)))).take(1))
    apart = Route(On(Order, Transform(total)), On(Refund, Transform(reason)))
    takes_and_gives: TransformLike[Order | Refund, int | str] = apart
    Exactly[int | str]((both >> takes_and_gives).take(1))
    Exactly[int | str]((both >> apart).take(1))
    Exactly[int | str]((Source(orders) >> apart).take(1))
    Exactly[int | str]((Source([Rush(total=1)]) >> apart).take(1))
    assert_type(both >> Route(On(Rush, Sink(save_order)), On(object, Sink(print))), Pipeline)
    Exactly[int]((Source(orders) >> Route(On(large, Transform(total)), On(object, Sink(print)))).take(1))
    takes_orders: SinkLike[Order] = Route(On(large, Sink(save_order)), On(object, Sink(print)))
    assert_type(Source(orders) >> takes_orders, Pipeline)
    assert_type(both >> Route(On(is_refund, Sink(save_refund)), On(Order, Sink(save_order))), Pipeline)
    assert_type(both >> Route(On(Refund, Sink(save_refund)), On(large, Sink(save_order))), Pipeline)
    assert_type(both >> Route(On(Order | Refund, Sink(save_both))), Pipeline)
    assert_type(both >> Route(On(Order | Refund, Sink(print))), Pipeline)
    assert_type(both >> Route(On(Order, Batch(10) >> Sink(print)), On(object, Sink(print))), Pipeline)


def many_branches_of_a_route() -> None:
    numbers_and_text = On(int, Transform(text)), On(str, Sink(print_text)), On(bytes, Sink(print))
    others = On(complex, Transform(str)), On(range, Transform(len)), On(type(None), Sink(print))
    models = On(Order, Transform(total)), On(Refund, Transform(reason))
    eight = Route(*numbers_and_text, *others, *models)
    Exactly[str | int]((Source(eight_kinds) >> eight).take(1))
    Exactly[str | int]((Source(["a"]) >> eight).take(1))
    nine = Route(*numbers_and_text, *others, *models, On(object, Sink(print)))
    Exactly[str | int]((Source(eight_kinds) >> nine).take(1))
    Exactly[str | int]((Source([[1.5]]) >> nine).take(1))
    some = (*numbers_and_text, *others)
    twenty = Route(*some, *some, *some, *models)
    Exactly[str | int]((Source(eight_kinds) >> twenty).take(1))
    written_out = Route(
        On(str, Sink(print_text)),
        On(bytes, Transform(bytes.decode)),
        On(complex, Sink(print)),
        On(range, Transform(len)),
        On(type(None), Sink(print)),
        On(Rush, Filter(large)),
        On(Order, Transform(large)),
        On(Refund, Transform(reason) >> Transform(str.encode)),
        On(int, Filter(positive) >> Transform(Refund)),
    )
    Exactly[bytes | str | int | Order | bool | Refund]((Source(eight_kinds) >> written_out).take(1))
    On(bytes, Transform(same))  # wrong for mypy: a branch that begins with a generic function


def broadcasts() -> None:
    one = Source(orders)
    assert_type(one >> Broadcast(Sink(save_order), Sink(save_anything), Sink(save_both)), Pipeline)
    Exactly[int]((one >> Broadcast(Sink(save_order), Transform(total))).take(1))
    Exactly[int | str]((one >> Broadcast(Transform(total), Transform(str))).take(1))
    Exactly[Order | int]((one >> Broadcast(Transform(same), Transform(total))).take(1))
    assert_type(one >> Broadcast(Batch(10) >> Sink(print), Transform(total) >> Sink(print_number)), Pipeline)
    third = one >> Broadcast(Transform(total), Transform(str), Transform(same))
    Exactly[int | str | Order](third.take(1))  # wrong for pyright: a generic function as third branch
    both = Transform(total), Transform(str)
    nine = Broadcast(*both, *both, *both, *both, Transform(total) >> Transform(digits_listed))
    Exactly[int | str | list[str]]((one >> nine).take(1))
    eighteen = (*both, *both, *both, *both, *both, *both, *both, *both, *both)
    Exactly[int | str | bool | Order]((one >> Broadcast(*eighteen, Transform(large), Filter(large))).take(1))


def merges() -> None:
    one = Source(orders)
    Exactly[int | str](Merge(Source([1]), Source(["a"])).take(1))
    Exactly[Order | int | str](Merge(one, one >> Transform(total), ints >> Transform(text)).take(1))
    assert_type(Merge(Source([1]), ints) >> Sink(print_number), Pipeline)
    some = one, ints, Source(["a"])
    Exactly[Order | int | str | bytes](Merge(*some, *some, Source([b""]), *some).take(1))
    Exactly[Order | int | str | bytes](
        Merge(*some, *some, *some, *some, *some, *some, Source([b""]), ints).take(1)
    )
    merged: SourceLike[int | str] = Merge(ints, Source(["a"]))
    del merged


async def looking() -> None:
    assert_type(await (ints >> Transform(text)).collect(), list[str])
    assert_type(ints.take(2), list[int])
